"""Nothing that a kernel can name keeps anything from one call to the next, and nothing moves data without a cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from autocomp_mcp.hardware_adapters.trainium.nkisim import modules
from autocomp_mcp.hardware_adapters.trainium.nkisim.nki1 import modules as nki1
from nki_job import kernel, run_kernel


def named(values: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if id(value) in seen:
            continue
        seen.add(id(value))
        yield f"{path}.{name}", value
        if isinstance(value, modules.Namespace):
            yield from named(value._names, f"{path}.{name}", seen)


FOUND = [
    *named(modules.MODULES, "nki 2", set()),
    *named(nki1.MODULES, "nki 1", set()),
    *named(modules.kernel_globals()["__builtins__"], "builtins", set()),
]


@pytest.mark.parametrize(("path", "value"), FOUND, ids=[path for path, _ in FOUND])
def test_a_name_takes_no_attribute(path: str, value: Any) -> None:
    if path.endswith(("__import__", "__build_class__")):
        return  # cannot be named
    with pytest.raises(Exception):  # noqa: B017 - of which kind depends on what it is
        value.calls = 1


def test_there_was_something_to_try() -> None:
    assert len(FOUND) > 300 and any(path.endswith(".dma_copy") for path, _ in FOUND)


REGISTER = "n = nisa.register_alloc()\n"
ONE = "i = nl.ndarray((1, 1), dtype=nl.int32)\nnisa.memset(dst=i, value=3)\n"


END = "out = nl.ndarray((1, 1), dtype=nl.int32, buffer=nl.shared_hbm)\nnisa.dma_copy(dst=out, src=i)\nreturn out"


def latency_ns(body: str) -> float:
    values = {"x": np.zeros((1, 1), np.float32)}
    report, _ = run_kernel(kernel(body), values, [("out", (1, 1), "int32")])
    assert report["faults"] == [None]
    return report["schedule"]["latency_ns"]


def test_registers_cost_what_a_small_instruction_does() -> None:
    without = latency_ns(ONE + REGISTER + END)
    loads = latency_ns(ONE + REGISTER + "for _ in range(50):\n    nisa.register_load(n, i)\n" + END)
    stores = latency_ns(ONE + REGISTER + "nisa.register_move(n, 3)\n" + "nisa.register_store(i, n)\n" * 50 + END)
    assert loads > 50 * 50  # ns: 64 cycles at 1.2 GHz are 53
    assert stores > without + 50 * 50


def test_a_dma_that_adds_many_tensors_takes_as_long_as_it_reads() -> None:
    body = "ts = [nl.zeros((128, 2048), dtype=nl.float32) for _ in range({n})]\n"
    body += "r = nl.ndarray((128, 2048), dtype=nl.float32)\n"
    body += "nisa.dma_compute(dst=r, srcs=ts, reduce_op=nl.add)\n" + ONE + END
    assert latency_ns(body.format(n=8)) > 3 * latency_ns(body.format(n=1))
