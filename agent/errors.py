"""What can stop the agent. A kernel that fails is none of these: it is data."""

from __future__ import annotations

from typing import Literal

LimitType = Literal["cost", "tokens", "evaluations", "time"]


class AgentError(Exception):
    """Base of this package's errors; the message says what to do next."""


class AgentUsageError(AgentError):
    """The caller's mistake: the same call fails again until its arguments change."""


class ToolUsageError(AgentUsageError):
    """A tool refused its arguments."""


class InfrastructureError(AgentError):
    """A server, engine or connection failed, not the candidate; the run can be resumed."""


class JournalError(InfrastructureError):
    """The journal cannot be read or written: the disk is full, the database is held by another process, or gone."""


class KnownAlreadyError(AgentError):
    """What may be in the journal once is there already."""


class ModelUnavailableError(InfrastructureError):
    """The model's service did not answer, retries included."""


class ModelUsageError(AgentUsageError):
    """The model's service refuses the request itself: key, permission, model name, request size."""


class ModelPackageError(InfrastructureError):
    """An optional package that a provider of models needs is not installed."""

    def __init__(self, spec: str, extra: str) -> None:
        super().__init__(f"{spec} needs a package that is not installed: pip install 'autocomp-mcp[{extra}]'")
        self.extra = extra


class EngineLackingError(InfrastructureError):
    """The server that judges does not have what the engine needs."""

    def __init__(self, engine: str, why: str) -> None:
        super().__init__(f"engine {engine!r} is not available: {why}")
        self.engine = engine


class SandboxLackingError(InfrastructureError):
    """The sandbox is required, and the server that judges does not have all of it."""

    def __init__(self, missing: tuple[str, ...]) -> None:
        super().__init__(
            f"the sandbox is required, and the judging server lacks: {', '.join(missing)}; "
            "`autocomp-mcp doctor` on its machine says how to get each"
        )
        self.missing = missing


class UnknownRunError(AgentUsageError):
    def __init__(self, run_id: str) -> None:
        super().__init__(f"no run {run_id!r} in the journal; `autocomp-mcp runs` lists them")
        self.run_id = run_id


class NeverBegunError(UnknownRunError):
    """The process that entered the run ended before its first event: there is nothing to show or to go on with."""

    def __init__(self, run_id: str) -> None:
        AgentUsageError.__init__(
            self,
            f"run {run_id!r} never began: its process ended before anything of it was journalled, so there is nothing "
            "to show or to resume; start the search again",
        )
        self.run_id = run_id


class RunBusyError(AgentUsageError):
    """Another live process drives this run."""

    def __init__(self, run_id: str, pid: int, host: str) -> None:
        where = f"process {pid} of {host}"
        super().__init__(f"run {run_id!r} is being driven by {where}; cancel it there, or wait until it ends")
        self.run_id = run_id
        self.pid = pid


class LeaseLostError(AgentError):
    """Another process took this run over; nothing more may be written for it here."""


class LimitExceeded(AgentError):
    """A limit of the settings is reached."""

    def __init__(self, type: LimitType, value: float, limit: float) -> None:
        units = {"cost": "USD", "tokens": "tokens", "evaluations": "evaluations", "time": "s"}
        super().__init__(f"{type} limit reached: {value:.6g} of {limit:.6g} {units[type]}")
        self.type: LimitType = type
        self.value = value
        self.limit = limit
