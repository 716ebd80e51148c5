"""evaluate, profile and compile: straight to the adapters, without a server."""

from __future__ import annotations

from pathlib import Path

from ...hardware_adapters.base import Evaluation, Profile
from ..shell import DONE, KERNEL_FAILED, emit, guarded, read_source, run, say, tell
from ..terminal.verdict import compilation_lines, evaluation_lines
from .own import problem_id_of


def evaluate(problem: str, file: Path, engine: str | None, seed: int, as_json: bool) -> int:
    def command() -> int:
        from ...hardware_adapters.evaluator import evaluate
        from ...hardware_adapters.registry import adapter_for

        wanted = problem_id_of(problem)
        adapter = adapter_for(wanted)
        adapter.problem(wanted)  # a typo is refused before the file is read
        source = read_source(file)

        async def judge() -> Evaluation:
            await adapter.prepare(engine, _building)
            return await evaluate(wanted, source, engine=engine, seed=seed)

        evaluation = run(judge)
        if as_json:
            emit(evaluation.model_dump(mode="json"))
        else:
            tell(*evaluation_lines(evaluation))
        return DONE if evaluation.passed else KERNEL_FAILED

    return guarded(command, as_json)


def compile_kernel(problem: str, file: Path, as_json: bool) -> int:
    def command() -> int:
        from ...hardware_adapters.registry import adapter_for

        wanted = problem_id_of(problem)
        adapter = adapter_for(wanted)
        found = adapter.problem(wanted)
        source = read_source(file)
        compilation = run(lambda: adapter.compile(found, source))
        if as_json:
            emit(compilation.model_dump(mode="json"))
        else:
            tell(*compilation_lines(compilation))
        return DONE if compilation.ok else KERNEL_FAILED

    return guarded(command, as_json)


def profile(
    problem: str, file: Path, engine: str | None, timeline: Path | None, as_json: bool, *, everything: bool = False
) -> int:
    """`everything`: all lines and all waits, where the most costly would do; in JSON too."""

    def command() -> int:
        from ...hardware_adapters.registry import adapter_for

        wanted = problem_id_of(problem)
        adapter = adapter_for(wanted)
        found = adapter.problem(wanted)
        source = read_source(file)

        async def look() -> Profile | Evaluation:
            await adapter.prepare(engine, _building)
            patience_s = adapter.engine(engine).patience_s
            detail = everything or not as_json
            return await adapter.profile(
                found, source, engine=engine, timeline=timeline, timeout_s=patience_s, detail=detail
            )

        result = run(look)
        if as_json:
            emit(result.model_dump(mode="json"))
        else:
            from ..terminal.profile_view import profile_lines

            done = isinstance(result, Profile)
            tell(*(profile_lines(result, found, source, everything) if done else evaluation_lines(result)))
        if timeline is not None and isinstance(result, Profile):
            say(f"timeline: {timeline} (open it at https://ui.perfetto.dev)")
        return DONE if isinstance(result, Profile) else KERNEL_FAILED

    return guarded(command, as_json)


def _building(what: str) -> None:
    say(f"building {what} (first use)")
