"""One evaluation as a process of its own: evaluate_process.py HOME PROBLEM [TIMEOUT]. Prints `passed`, another verdict,
or the type of what was raised, and what it said."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
from autocomp_mcp.hardware_adapters.base import AdapterError
from autocomp_mcp.hardware_adapters.evaluator import evaluate
from autocomp_mcp.hardware_adapters.registry import adapter_for
from autocomp_mcp.hardware_adapters.store import Home


async def main(home: Home, problem: str, timeout_s: float | None) -> str:
    adapter = adapter_for(problem, home)
    source = adapter.baseline(adapter.problem(problem))
    assert source is not None
    try:
        found = await evaluate(problem, source, home=home, timeout_s=timeout_s)
    except AdapterError as error:
        return f"{type(error).__name__} {error}"
    return f"{found.verdict} {found.message}"


if __name__ == "__main__":
    patience = float(sys.argv[3]) if sys.argv[3:] else None
    print(anyio.run(main, Home(Path(sys.argv[1])), sys.argv[2], patience), flush=True)
