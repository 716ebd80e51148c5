"""A job of compilation: the launches that `launch` makes, each compiled as Triton would compile it on the device."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .addressed import Addressed
from .calling import OPTIONS, Started, arguments_of, grid_size
from .errors import KernelFault, described, words

MAX_COMPILED = 16
MAX_COMPLAINT = 20_000  # Triton quotes the whole kernel before it says what is wrong
POINTER = 1 << 40  # aligned, and never followed: nothing is run here
_USED = re.compile(r"REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)")


class _Device:
    """Stands where Triton looks for the driver of a device."""

    def __init__(self, capability: int) -> None:
        from triton.backends.compiler import GPUTarget  # pyright: ignore[reportMissingImports]

        self._target = GPUTarget("cuda", capability, 32)

    def get_current_target(self) -> Any:
        return self._target

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0


def run_job(
    job: dict[str, Any], folder: Path, guard: Callable[..., Any], load: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """The first shape is that of the id: all its launches are compiled, of the others those with other constants."""
    os.environ["TRITON_CACHE_DIR"] = str(folder / "cache")
    os.environ["TRITON_DEFAULT_FP_FUSION"] = "1"
    import triton.language as tl  # pyright: ignore[reportMissingImports]
    from triton.runtime import driver  # pyright: ignore[reportMissingImports]
    from triton.runtime.jit import JITFunction  # pyright: ignore[reportMissingImports]

    driver.set_active(_Device(job["capability"]))  # type: ignore[arg-type]
    compile_now, recorded, started = JITFunction.run, [], Started()

    def record(self: Any, *given: Any, grid: Any, warmup: bool = False, **named: Any) -> None:
        if unknown := sorted(set(named) - set(self.signature.parameters) - set(OPTIONS)):
            raise KernelFault("bad_launch", f"{self.__name__} has no parameter {unknown[0]!r}, and that is no option")
        bound = self.signature.bind(*given, **{k: v for k, v in named.items() if k in self.signature.parameters})
        bound.apply_defaults()
        options = {name: named[name] for name in OPTIONS if name in named}
        size = grid_size(grid, dict(bound.arguments))
        started.launch(self.__name__, self.def_file_line_number, size, bound.arguments, options)
        recorded.append((self, given, named, bound.arguments))

    JITFunction.run = record  # type: ignore[method-assign]
    try:
        launch = load()["launch"]
    except Exception as error:
        return {"error": _said(error), "kernels": []}
    kernels: list[dict[str, Any]] = []
    launched: list[str] = []
    known: set[tuple[Any, ...]] = set()
    for number, shape in enumerate(job["shapes"]):
        recorded.clear()
        started = Started()
        tensors = [Addressed(POINTER, size, tl.float32) for size in shape["tensors"]]
        try:
            guard(launch, *arguments_of(launch, tensors, Addressed(POINTER, (job["scratch"],), tl.float32)))
        except Exception as error:
            return {"error": _said(error, shape["name"]), "kernels": kernels}
        for function, given, named, bound in list(recorded):
            key = _key(function, named, bound)
            if key in known:
                continue
            if len(known) >= MAX_COMPILED:
                return {"error": _said(_too_many(), shape["name"]), "kernels": kernels}
            known.add(key)
            try:
                made = compile_now(function, *given, grid=(1,), warmup=True, **named)
                kernels.append(_facts(made, function, number == 0, folder, job["cuobjdump"]))
            except Exception as error:
                if _killed(error):
                    raise
                return {"error": _said(error, shape["name"], function), "kernels": kernels}
        launched.append(started.digest)
    return {"error": None, "kernels": kernels, "launched": launched}


def _too_many() -> KernelFault:
    text = f"launch starts kernels that differ in more than their sizes: at most {MAX_COMPILED} are compiled"
    return KernelFault("limit_exceeded", text)


def _key(function: Any, named: dict[str, Any], bound: dict[str, Any]) -> tuple[Any, ...]:
    """Specialised integers aside: launches of one key differ in sizes only."""
    constants = tuple(
        (param.name, repr(bound.get(param.name))) for param in function.params if param.is_constexpr
    )  # fmt: skip
    options = tuple(sorted((name, repr(value)) for name, value in named.items() if name not in function.arg_names))
    return id(function), constants, options


def _said(error: BaseException, shape: str | None = None, function: Any = None) -> dict[str, Any]:
    kind, message, line = described(error)
    whole = words(error, MAX_COMPLAINT)
    found = re.search(r"^at (\d+):\d+:", whole, re.MULTILINE)
    if function is not None and found is not None:  # Triton counts from the first line of the function
        line = function.starting_line_number + int(found[1]) - 1
        message = whole.strip().splitlines()[-1]
    return {"kind": kind, "message": message[:600], "line": line, "shape": shape,
            "wrong_call": isinstance(error, KernelFault)}  # fmt: skip


def _killed(error: BaseException) -> bool:
    """ptxas was, from outside, and Triton says it as if the kernel were at fault."""
    cause = error.__context__
    return isinstance(cause, subprocess.CalledProcessError) and cause.returncode == -signal.SIGKILL


def _facts(made: Any, function: Any, at_full_shape: bool, folder: Path, tool: str) -> dict[str, Any]:
    path = folder / "kernel.cubin"
    path.write_bytes(made.asm["cubin"])
    told = subprocess.run(
        [tool, "--dump-resource-usage", path], capture_output=True, text=True, timeout=60, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    found = _USED.search(told.stdout)
    return {
        "kernel": function.__name__,
        "full": at_full_shape,
        "shared": int(made.metadata.shared),
        "registers": int(found[1]) if found else None,
        "stack": int(found[2]) if found else None,
        "local": int(found[4]) if found else None,
    }
