"""The sandbox: what programs that candidates or users wrote, or that read what they wrote, can do to this machine.

`hardware_adapters.process.run(..., reach=...)` confines a program: it sees its scratch folder, what `reach` shows it,
and the system's programs; no network, no other process, no key. `reach.interpreter()`, `reach.toolchain()` and
`reach.devices()` are the usual ones. What a machine does not have is left out, and `sandbox().layers` says so.
"""

from .layers import Layer, Sandbox, SandboxLackError, sandbox_required
from .reach import Reach, devices, interpreter, toolchain
from .starting import check_required, sandbox, wrapped

__all__ = [
    "Layer",
    "Reach",
    "Sandbox",
    "SandboxLackError",
    "check_required",
    "devices",
    "interpreter",
    "sandbox",
    "sandbox_required",
    "toolchain",
    "wrapped",
]
