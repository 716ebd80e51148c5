"""A kernel's shared object: compiled, and looked at before it may be loaded."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import anyio.to_thread

from ...base import Compilation, Diagnostic, EngineFailure
from ...simulating import Judgement, compile_error
from ..nvcc import Compiled
from ..screen import assembly, screen
from . import library
from .engines import Setup
from .toolkit import compile_library

NO_ASSEMBLY = "inline assembly is not run natively: use the intrinsics (mma.h, cuda_pipeline.h, __shfl_sync, ...)"


class Built(NamedTuple):
    """`refused`: why the kernel is not run; None when it may be."""

    compiled: Compiled
    refused: Judgement | None

    def compilation(self, found: Setup) -> Compilation:
        entries = self.compiled.kernels.values()
        registers = [entry.registers for entry in entries]
        spills = [entry.spill_stores + entry.spill_loads for entry in entries]
        facts = {"registers_per_thread": max(registers), "spill_bytes_per_thread": max(spills)} if registers else {}
        return Compilation(
            ok=self.compiled.ok,
            compiler=f"{found.kit.nvcc.title} for {found.gpu.architecture}",
            diagnostics=self.compiled.diagnostics,
            facts=facts,
            seconds=self.compiled.seconds,
        )


async def build(found: Setup, source: str, to: Path) -> Built:
    """Raises EngineFailure, EnvironmentLackError."""
    screened = await anyio.to_thread.run_sync(screen, source)
    refusals = screened.refused
    if (line := assembly(source)) is not None:
        refusals = (Diagnostic(severity="error", message=NO_ASSEMBLY, line=line),)
    if refusals:
        reason = f"line {refusals[0].line}: {refusals[0].message}"
        return Built(Compiled(True, refusals, {}, 0.0), Judgement("rejected", reason))
    if screened.errors:
        return _failing(Compiled(False, screened.errors, {}, 0.0))
    try:
        compiled = await compile_library(found.kit, found.gpu.architecture, source, to)
    except OSError as error:
        raise EngineFailure(f"{found.kit.nvcc.title} cannot be started: {error}") from error
    if not compiled.ok:
        return _failing(compiled)
    reason = await anyio.to_thread.run_sync(library.refusal, to)
    return Built(compiled, None if reason is None else Judgement("rejected", reason))


def _failing(compiled: Compiled) -> Built:
    return Built(compiled, compile_error(compiled.diagnostics[0]))
