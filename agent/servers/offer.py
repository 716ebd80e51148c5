"""What a server offers, and whether its answers can stand beside those of the others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from ...hardware_adapters.base import EngineStatus, SandboxStatus
from ..errors import InfrastructureError
from ..toolbox import Toolbox

Introduce = Callable[[Toolbox], Awaitable[None]]  # sees that the server knows the problem; raises as get_problem


class Wanted(NamedTuple):
    """What a search asks of every server. engine None: the target's default."""

    problem: str
    engine: str | None
    introduce: Introduce
    require_sandbox: bool = False

    @property
    def target(self) -> str:
        return self.problem.partition("/")[0]


class Offer(NamedTuple):
    """`engines`: those of the target; None where the server does not say. `engine`: the name of the one wanted.
    `conditions`: of each engine, a digest of what decides its results besides its version. `at_once`: evaluations that
    it works on at once, where it says so. `package`: name and version of its software."""

    problem_digest: str
    engines: dict[str, EngineStatus] | None
    engine: str | None
    conditions: dict[str, str]
    at_once: int | None
    sandbox: SandboxStatus | None
    package: tuple[str, str] | None


async def offer_of(toolbox: Toolbox, wanted: Wanted, package: tuple[str, str] | None) -> Offer:
    """Raises ToolUsageError for a problem or engine that the server does not know, EngineLackingError,
    SandboxLackingError, and what `introduce` raises."""
    await wanted.introduce(toolbox)
    detail = await toolbox.get_problem(wanted.problem)
    machine = await toolbox.machine(wanted.target)
    if not machine.engines:
        return Offer(detail.problem.digest, None, wanted.engine, {}, None, None, package)
    engine = wanted.engine or next((name for name, status in machine.engines.items() if status.default), None)
    if engine is not None:
        machine.check_engine(engine)
    if wanted.require_sandbox:
        machine.check_sandbox()
    own = {name: machine.facts.conditions.get(f"{wanted.target}/{name}", "") for name in machine.engines}
    return Offer(detail.problem.digest, machine.engines, engine, own, machine.facts.at_once, machine.sandbox, package)


class UnlikeError(InfrastructureError):
    """Its answers could not be compared with those of the server that was named first."""


def check_alike(offer: Offer, first: Offer, name: str) -> None:
    """One journal, one ranking: what several servers say of a kernel must be what one of them would have said. Raises
    UnlikeError. `name`: of the server with the first offer."""
    if offer.problem_digest != first.problem_digest:
        raise UnlikeError(f"the problem is another one here than at {name}")
    if offer.package and first.package and offer.package != first.package:
        raise UnlikeError(f"it has {' '.join(offer.package)}, {name} {' '.join(first.package)}: install one version")
    if offer.engine != first.engine:
        raise UnlikeError(
            f"its default engine is {offer.engine!r}, that of {name} {first.engine!r}: name one (--engine)"
        )
    if offer.engine is None or offer.engines is None or first.engines is None:
        return
    here, there = offer.engines[offer.engine], first.engines[offer.engine]
    if not alike(offer, first, offer.engine):
        differ = f"{here.version}, not {there.version}" if here.version != there.version else "compiler or settings"
        raise UnlikeError(f"engine {offer.engine!r} is another one here than at {name} ({differ})")


def alike(offer: Offer, other: Offer, engine: str) -> bool:
    """Whether this engine judges alike at both: the same version, compiler and settings."""
    here, there = (offer.engines or {}).get(engine), (other.engines or {}).get(engine)
    if here is None or there is None:
        return False
    return (here.version, offer.conditions.get(engine)) == (there.version, other.conditions.get(engine))
