"""A user's own problem proves that it can tell right kernels from wrong ones, before any kernel is judged by it.

Its reference must work, say the same twice, depend on every input, and give outputs that no worthless kernel leaves;
its first kernel must pass. What a worthless kernel would leave is compared as a kernel's outputs are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import anyio
from pydantic import Field

from ..base import Evaluation, HardwareAdapter, InvalidProblemError, Problem, Record, UnprovenProblemError
from ..checking import agreeing
from ..store import Home
from . import shelf
from .definition import FLOATS, Definition, first_kernel
from .reference import results

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray
    Arrays = Mapping[str, Array]

DRAWS = 3  # each of which must do for the proof: evaluations draw anew
SATURATED = 0.02  # share of outputs at the ends of their type's range from which a wrong sum may hide there
LEVELS_AT_ONCE = 4
PROOF_S = 60.0  # for the first kernel


class Finding(Record):
    check: str
    passed: bool | None = Field(description="null: not looked at")
    message: str


class Proof(Record):
    """What was found out about a problem of the user's own; it is taken in when every finding passed."""

    problem: str = Field(description="Its id from now on, if it was taken in")
    findings: tuple[Finding, ...]
    first: Evaluation | None = Field(default=None, description="The verdict on its own kernel")

    @property
    def passed(self) -> bool:
        return all(finding.passed is not False for finding in self.findings)


class _Draw(NamedTuple):
    """Inputs of one evaluation's sets, and the right outputs."""

    inputs: tuple[dict[str, Array], ...]
    right: tuple[dict[str, Array], ...]


async def take_in(
    definition: Definition,
    adapter: HardwareAdapter,
    home: Home,
    announce: Callable[[str], None] = lambda what: None,
    within_s: float | None = None,
) -> Proof | None:
    """Keep the problem, so that its id can be used, once it has proven itself; None when it is kept already.

    `announce` is told what takes time. `within_s`: what whoever waits has, besides builds for a first use.
    Raises InvalidProblemError, UnprovenProblemError, EnvironmentLackError, EngineFailure.
    """
    if _proven(home, definition):
        return None
    adapter.custom(definition)
    await adapter.prepare(None, lambda what: announce(f"building {what} (first use)"))
    announce(f"{definition.id}: checking that it proves itself (once)")
    proof = None
    with anyio.move_on_after(within_s):
        proof = await prove(definition, adapter, home)
    if proof is None:
        slow = (
            f"it did not prove itself within {within_s:.0f} s: make dimensions smaller, or reference or kernel faster"
        )
        shell = "`autocomp-mcp problem check FOLDER` has no such limit, and then the id works here too"
        raise UnprovenProblemError(definition.name, [f"{slow}. {shell}"])
    if not proof.passed:
        failures = [f"{finding.check}: {finding.message}" for finding in proof.findings if finding.passed is False]
        raise UnprovenProblemError(definition.name, failures)
    return proof


async def prove(definition: Definition, adapter: HardwareAdapter, home: Home) -> Proof:
    """All findings; the problem is kept if it passes. Raises InvalidProblemError where the target has no machine for
    it, EnvironmentLackError, EngineFailure."""
    problem = adapter.custom(definition)
    findings: list[Finding] = []
    draws, level = await _references(definition, findings)
    if draws:
        findings += _worthless(definition, draws)
        findings.append(await _depends(definition, draws))
    first = None
    works = all(finding.passed for finding in findings)
    if works and definition.kernel is None:
        lacking = first_kernel(definition.target).what
        told = f"none is given: nothing shows that a kernel can pass, and a search needs {lacking}"
        findings.append(Finding(check="kernel", passed=None, message=told))
        shelf.keep(home, shelf.Kept(definition=definition, proven=True, level=level))
    elif works:
        first = await _first_kernel(definition, adapter, home, problem, level)
        findings.append(Finding(check="kernel", passed=first.passed, message=first.message))
    else:
        findings.append(Finding(check="kernel", passed=None, message="not run: the reference comes first"))
    if first is not None and first.passed:
        used = first.counters.get("instret")
        shelf.keep(home, shelf.Kept(definition=definition, proven=True, level=level, instructions=used))
    return Proof(problem=definition.id, findings=tuple(findings), first=first)


async def _references(definition: Definition, findings: list[Finding]) -> tuple[list[_Draw], int]:
    """No draws where the reference does not work."""
    rng = _generator(definition)
    try:
        level, saturated = await _level(definition, rng)
        draws = [await _drawn(definition, rng, level) for _ in range(DRAWS)]
        again = await results(definition, draws[0].inputs)
    except InvalidProblemError as error:
        findings.append(Finding(check="reference", passed=False, message=error.what))
        return [], 0
    findings.append(Finding(check="reference", passed=True, message=_saturation(definition, level, saturated)))
    same = all(_same(definition, one, other) for one, other in zip(draws[0].right, again, strict=True))
    told = "the same inputs give the same outputs" if same else "the same inputs give other outputs the second time"
    findings.append(Finding(check="deterministic", passed=same, message=told))
    return draws, level


async def _drawn(definition: Definition, rng: np.random.Generator, level: int) -> _Draw:
    from .inputs import dense, sparse, whole

    sets = (whole(definition, rng), sparse(definition, rng), dense(definition, rng, level))
    return _Draw(sets, tuple(await results(definition, sets)))


async def _level(definition: Definition, rng: np.random.Generator) -> tuple[int, float]:
    """The largest inputs, as halvings of their ranges, of which few outputs saturate; and the share that still does."""
    from .inputs import FLOAT_LEVEL, MAX_LEVEL, dense

    if all(t.dtype in FLOATS for t in definition.outputs):
        return FLOAT_LEVEL, 0.0
    found: list[float] = []
    while len(found) <= MAX_LEVEL:
        levels = range(len(found), min(len(found) + LEVELS_AT_ONCE, MAX_LEVEL + 1))
        outputs = await results(definition, [dense(definition, rng, level) for level in levels])
        found += [max(_saturated(output) for output in case.values()) for case in outputs]
        if (best := next((n for n, share in enumerate(found) if share <= SATURATED), None)) is not None:
            return best, found[best]
    best = min(range(len(found)), key=lambda n: found[n])
    return best, found[best]


def _saturated(output: Array) -> float:
    import numpy as np

    if not np.issubdtype(output.dtype, np.integer):
        return 0.0
    ends = np.iinfo(output.dtype)
    return float(((output == ends.min) | (output == ends.max)).mean())


def _saturation(definition: Definition, level: int, share: float) -> str:
    if share > SATURATED:
        return f"it works, but {share:.0%} of an output saturate whatever the inputs: some mistakes will not show"
    if level == 0 or definition.tolerance is not None:
        return "it works, in range and finite"
    return f"it works, in range and finite; with inputs 2^{level} times smaller few outputs saturate"


def _worthless(definition: Definition, draws: Sequence[_Draw]) -> list[Finding]:
    """Zeros, constants and copies of an input, as the outputs of kernels that do nothing."""
    import numpy as np

    findings: list[Finding] = []
    constant: list[str] = []
    zeros: list[str] = []
    copies: list[str] = []
    for tensor in definition.outputs:
        name = tensor.name
        if any(_passes(definition, name, draw, [np.zeros_like(r[name]) for r in draw.right]) for draw in draws):
            zeros.append(name)
        elif any(_passes(definition, name, draw, _constants(draw, name)) for draw in draws):
            constant.append(name)
        for given in definition.inputs:
            if any(_passes(definition, name, draw, _copies(draw, name, given.name)) for draw in draws):
                copies.append(f"{name} is a copy of {given.name}")
    findings.append(_finding("zeros", zeros, "writes zeros", "is zero"))
    findings.append(_finding("constants", constant, "writes a constant", "is one number"))
    findings.append(_finding("copies", copies, "copies an input", ""))
    return findings


def _finding(check: str, failing: Sequence[str], deed: str, looks: str) -> Finding:
    if not failing:
        return Finding(check=check, passed=True, message=f"a kernel that {deed} fails")
    found = f"{', '.join(failing)} {looks}".rstrip()
    return Finding(check=check, passed=False, message=f"{found} on all inputs drawn, so a kernel that {deed} passes")


def _constants(draw: _Draw, name: str) -> list[Array]:
    """The number that is right most often, everywhere."""
    import numpy as np

    values, counts = np.unique(np.concatenate([right[name].ravel() for right in draw.right]), return_counts=True)
    return [np.full_like(right[name], values[counts.argmax()]) for right in draw.right]


def _copies(draw: _Draw, name: str, given: str) -> list[Array]:
    import numpy as np

    pairs = zip(draw.inputs, draw.right, strict=True)
    return [np.resize(inputs[given].astype(right[name].dtype), right[name].shape) for inputs, right in pairs]


def _passes(definition: Definition, name: str, draw: _Draw, left: Sequence[Array]) -> bool:
    """Whether a kernel that leaves this in an output would pass there."""
    pairs = zip(left, draw.right, strict=True)
    return all(bool(agreeing(got, right[name], definition.tolerance).all()) for got, right in pairs)


async def _depends(definition: Definition, draws: Sequence[_Draw]) -> Finding:
    """Other numbers in an input must change an output, by more than the tolerance."""
    from .inputs import whole, zeroed

    rng, draw = _generator(definition), draws[0]
    idle: list[str] = []
    for tensor in definition.inputs:
        for number in reversed(range(len(draw.inputs))):  # the set that does not saturate shows it best
            inputs = draw.inputs[number]
            others = (zeroed(definition, tensor), whole(definition, rng)[tensor.name])
            changed = await results(definition, [{**inputs, tensor.name: other} for other in others])
            if any(not _same(definition, draw.right[number], case) for case in changed):
                break
        else:
            idle.append(tensor.name)
    if idle:
        text = f"the outputs do not depend on {', '.join(idle)}: a kernel need not read it"
        return Finding(check="inputs", passed=False, message=text)
    return Finding(check="inputs", passed=True, message="the outputs depend on every input")


def _same(definition: Definition, one: Arrays, other: Arrays) -> bool:
    return all(bool(agreeing(one[name], other[name], definition.tolerance).all()) for name in one)


async def _first_kernel(
    definition: Definition, adapter: HardwareAdapter, home: Home, problem: Problem, level: int
) -> Evaluation:
    """The verdict. Meanwhile the problem is on the shelf, proven only if it was before; it goes if the kernel fails.

    Interrupted, the check leaves what there is: it may be proven by an earlier check, or about to be by one that runs
    beside this one; and by a problem that is not proven no kernel but its own is judged.
    """
    if not _proven(home, definition):
        shelf.keep(home, shelf.Kept(definition=definition, level=level))
    assert definition.kernel is not None
    evaluation = await adapter.evaluate(problem, definition.kernel, timeout_s=PROOF_S)
    busy = evaluation.verdict == "timed_out" and evaluation.fault is None  # says as much of the machine
    if not evaluation.passed and not (busy and _proven(home, definition)):
        shelf.remove(home, definition)
    return evaluation


def _proven(home: Home, definition: Definition) -> bool:
    known = shelf.kept(home, definition)
    return known is not None and known.proven


def _generator(definition: Definition) -> np.random.Generator:
    """The same for one definition: a proof can be repeated."""
    import numpy as np

    return np.random.default_rng(int.from_bytes(hashlib.sha256(definition.id.encode()).digest()[:16], "big"))
