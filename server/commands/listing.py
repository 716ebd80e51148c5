"""problems and menu: what there is to choose from."""

from __future__ import annotations

from ..shell import DONE, emit, guarded, tell, tell_source
from . import own


def problems(target: str | None, baseline: str | None, reference: str | None, suite: str | None, as_json: bool) -> int:
    def command() -> int:
        nonlocal target, suite
        from ...hardware_adapters.base import UsageError
        from ...hardware_adapters.registry import adapter_for, adapters
        from ...menus.menu import UnknownNameError

        if baseline is not None and reference is not None:
            raise UsageError("--baseline and --reference exclude each other: print one kernel at a time")
        if named := baseline or reference:
            wanted = own.problem_id_of(named)
            adapter = adapter_for(wanted)
            make = adapter.baseline if baseline else adapter.reference_kernel
            source = make(adapter.problem(wanted))
            if source is None:
                lacks = (
                    "came without a kernel" if baseline else "has no reference kernel; --baseline prints a simple one"
                )
                raise UsageError(f"{wanted} {lacks}")
            if as_json:
                emit({"problem": wanted, "baseline" if baseline else "reference": source})
            else:
                tell_source(source)
            return DONE
        known = adapters()
        if suite is not None and "/" in suite:  # TARGET/NAME, as a campaign's file has it
            of, _, suite = suite.partition("/")
            if target not in (None, of):
                raise UsageError(f"--suite {of}/{suite} is not of --target {target}: leave one of them out")
            target = of
        if target is not None and target not in known:
            raise UnknownNameError("target", target, known)
        chosen = {name: adapter for name, adapter in known.items() if target in (None, name)}
        suites = {name: what for adapter in chosen.values() for name, what in adapter.suites().items()}
        if suite is not None and suite not in suites:
            raise UnknownNameError("suite", suite, suites)
        listed = [
            problem
            for adapter in chosen.values()
            for problem in (
                adapter.problems() if suite is None else adapter.suite(suite) if suite in adapter.suites() else ()
            )
        ]
        families = {f"{t}/{f}": p for t, adapter in chosen.items() for f, p in adapter.families().items()}
        if as_json:
            emit({"problems": [p.model_dump(mode="json") for p in listed], "suites": suites, "families": families})
            return DONE
        width = max(len(p.id) for p in listed)
        for p in listed:
            tell(f"{p.id:<{width}}  {p.title}")
        if suite is None:
            tell("\nSuites (problems --suite NAME):")
            width = max(map(len, suites), default=0)
            for name, what in suites.items():
                tell(f"  {name:<{width}}  {what}")
            tell("\nAny dimensions:")
            for pattern in families.values():
                tell(f"  {pattern}")
        return DONE

    return guarded(command, as_json)


def menu(target: str | None, as_json: bool) -> int:
    def command() -> int:
        from ...menus.menu import load_menu, targets

        names = [target] if target is not None else list(targets())
        menus = {name: load_menu(name) for name in names}
        if as_json:
            emit({name: [o.model_dump(mode="json") for o in m.select()] for name, m in menus.items()})
            return DONE
        for name, m in menus.items():
            tell(f"{name}:")
            for option in m.select():
                tell(f"  {option.id:<32}{option.title}")
        return DONE

    return guarded(command, as_json)
