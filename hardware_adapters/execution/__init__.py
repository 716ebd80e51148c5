"""Where evaluations run: this machine, or a Ray cluster. `chosen_executor()` is the executor of this process; every
adapter of the registry hands its work to it (`Dispatched`). What a target's engines need is data: needs.yaml."""

from .choice import chosen_executor
from .dispatched import Dispatched
from .executor import Executor, Job
from .local import Local

__all__ = ["Dispatched", "Executor", "Job", "Local", "chosen_executor"]
