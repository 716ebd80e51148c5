"""problem: the user's own problems, and what the other commands do when they are given a folder instead of an id."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..shell import DONE, KERNEL_FAILED, emit, guarded, run, say, tell
from ..terminal.verdict import evaluation_lines

if TYPE_CHECKING:
    from ...hardware_adapters.custom.intake import Intake
    from ...hardware_adapters.custom.proof import Proof

LISTED = 200
_MARKS = {True: "ok", False: "FAILED", None: "-"}


def problem_id_of(problem: str) -> str:
    """The id of what the command line names: an id, or the folder of a problem of the user's own, which proves itself
    the first time. Raises UsageError, EnvironmentLackError, EngineFailure, Stopped."""
    from ...hardware_adapters.custom.definition import is_own
    from ...hardware_adapters.custom.folder import PROBLEM_FILE, is_path

    if not (is_path(problem) or is_own(problem) or (Path(problem) / PROBLEM_FILE).is_file()):
        return problem
    intake = _intake()
    return run(lambda: intake.problem_id_of(problem))


def _intake() -> Intake:
    from ...hardware_adapters.custom.folder import roots
    from ...hardware_adapters.custom.intake import Intake
    from ...hardware_adapters.registry import adapters
    from ...hardware_adapters.store import Home

    return Intake(Home(), adapters(), roots(), anywhere=True, announce=say)


def allow(roots: Sequence[Path]) -> None:
    """Add to the folders that this process, and what it starts, reads problems from."""
    from ...hardware_adapters.custom.folder import ROOTS_VARIABLE

    named = [*filter(None, [os.environ.get(ROOTS_VARIABLE)]), *(str(root.absolute()) for root in roots)]
    if named:
        os.environ[ROOTS_VARIABLE] = os.pathsep.join(named)


def new(name: str, folder: Path | None, target: str, python: bool, as_json: bool) -> int:
    def command() -> int:
        from ...hardware_adapters.custom.scaffold import write

        place = folder or Path(name)
        files = write(name, place, python=python, target=target)
        if as_json:
            emit({"folder": str(place), "files": files})
            return DONE
        tell(f"{place}: {', '.join(files)}")
        tell(f"It works as it is: autocomp-mcp problem check {_shown(place)}")
        tell(f"then change it, and: autocomp-mcp optimize {_shown(place)}")
        return DONE

    return guarded(command, as_json)


def check(folder: Path, as_json: bool) -> int:
    """Prove it anew, whether it is kept or not."""

    def command() -> int:
        from ...hardware_adapters.custom.folder import read_folder
        from ...hardware_adapters.custom.proof import prove
        from ...hardware_adapters.store import Home

        definition = read_folder(folder)
        adapter = _intake().adapter(definition)

        async def work() -> Proof:
            await adapter.prepare(None, lambda what: say(f"building {what} (first use)"))
            return await prove(definition, adapter, Home())

        proof = run(work)
        if as_json:
            emit({**proof.model_dump(mode="json"), "passed": proof.passed})
        else:
            tell(*proof_lines(proof, folder))
        return DONE if proof.passed else KERNEL_FAILED

    return guarded(command, as_json)


def own(as_json: bool) -> int:
    """Those that were taken in, and those below the problem roots."""

    def command() -> int:
        from ...hardware_adapters.custom import shelf
        from ...hardware_adapters.registry import adapters
        from ...hardware_adapters.store import Home

        intake = _intake()
        kept = {
            k.definition.id: k.definition.title for target in adapters() for k in shelf.newest(Home(), target, LISTED)
        }
        listed = {p.id: p.title for target in adapters() for p in intake.listed(target)}
        if as_json:
            rows = [{"id": i, "title": title, "proven": i in kept} for i, title in {**kept, **listed}.items()]
            emit({"problems": rows})
            return DONE
        for problem_id, title in {**kept, **listed}.items():
            tell(f"{problem_id}  {title}{'' if problem_id in kept else '  (not proven yet)'}")
        if not kept and not listed:
            tell("none yet; begin with: autocomp-mcp problem new NAME")
        return DONE

    return guarded(command, as_json)


def proof_lines(proof: Proof, folder: Path) -> list[str]:
    lines = [proof.problem, ""]
    width = max(len(finding.check) for finding in proof.findings)
    lines += [f"  {_MARKS[f.passed]:<7}{f.check:<{width}}  {f.message}" for f in proof.findings]
    if proof.first is not None and not proof.first.passed:
        lines += ["", *(f"  {line}" for line in evaluation_lines(proof.first)[1:])]
    if proof.passed:
        source = "" if proof.first else " --source FILE"
        lines += ["", f"It proves itself. Next: autocomp-mcp optimize {_shown(folder)}{source}"]
    else:
        lines += ["", "It does not prove itself: mend what FAILED and check again."]
    return lines


def _shown(folder: Path) -> str:
    text = str(folder)
    return text if text.startswith((".", "/", "~")) else f"./{text}"
