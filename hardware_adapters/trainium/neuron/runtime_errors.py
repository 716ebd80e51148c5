"""Status codes of the Neuron runtime: which are the kernel's fault, and which the machine's.

Names and numbers are those of the public header nrt_status.h and the runtime's troubleshooting pages.
"""

from __future__ import annotations

import re
from typing import NamedTuple

KERNEL = {
    "NRT_TIMEOUT": "the device did not finish: instructions wait for one another for ever",
    "NRT_EXEC_BAD_INPUT": "the compiled kernel wants other inputs than it is given",
    "NRT_EXEC_COMPLETED_WITH_NUM_ERR": "a computation on the device produced a numerical error",
    "NRT_EXEC_COMPLETED_WITH_ERR": "the device reports errors of instructions",
    "NRT_EXEC_OOB": "an access out of bounds on the device",
    "NRT_EXEC_UNIT_UNRECOVERABLE": "the kernel brought the core into a state that it cannot leave",
}
# "NRT Error NRT_EXEC_OOB(1006): Failed to execute model"; logs have "nrt_execute failed ... status=1006".
_NAMED = re.compile(r"\b(NRT_[A-Z_]+)(?:\((\d+)\))?")
_NUMBERS = {
    "NRT_FAILURE": 1, "NRT_INVALID": 2, "NRT_RESOURCE": 4, "NRT_TIMEOUT": 5, "NRT_HW_ERROR": 6,
    "NRT_LOAD_NOT_ENOUGH_NC": 9, "NRT_UNINITIALIZED": 13, "NRT_CLOSED": 14, "NRT_EXEC_UNIT_UNRECOVERABLE": 101,
    "NRT_EXEC_BAD_INPUT": 1002, "NRT_EXEC_COMPLETED_WITH_NUM_ERR": 1003, "NRT_EXEC_COMPLETED_WITH_ERR": 1004,
    "NRT_EXEC_NC_BUSY": 1005, "NRT_EXEC_OOB": 1006,
}  # fmt: skip
_STATUS = re.compile(r"\b(?:nrt_\w+[^\n]*?)?status(?:_code)?\s*[=:]\s*(\d+)")


class RuntimeStatus(NamedTuple):
    name: str
    number: int | None
    by_kernel: bool

    @property
    def meaning(self) -> str:
        return KERNEL.get(self.name, "the Neuron runtime or the device failed")


def runtime_status(text: str) -> RuntimeStatus | None:
    """The first code that a message names; None for a message without one, e.g. of the compiler."""
    if (found := _NAMED.search(text)) and found[1] != "NRT_SUCCESS":
        return RuntimeStatus(found[1], int(found[2]) if found[2] else _NUMBERS.get(found[1]), found[1] in KERNEL)
    if "nrt" in text.lower() and (found := _STATUS.search(text)):
        number = int(found[1])
        name = next((name for name, known in _NUMBERS.items() if known == number), "NRT_STATUS")
        return RuntimeStatus(name, number, name in KERNEL)
    return None
