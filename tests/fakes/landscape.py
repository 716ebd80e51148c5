"""An MCP server with a synthetic target: kernels are four small numbers, and their latency follows from those.

Fast, deterministic, with options that only pay together, kernels that fail, and rewrites that lead to the same text
by two ways: what a search has to cope with. Every evaluation is noted in `log`, and in `log_file` if there is one.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import anyio
from autocomp_mcp.hardware_adapters.base import FACTS, UNSUPPORTED, kernel_digest
from autocomp_mcp.hardware_adapters.gemmini.operators import TIMING
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, TextContent
from pydantic import BaseModel

PROBLEM = "toy/sum-64"
LARGER = "toy/sum-128"  # its kernels take twice as long; the same numbers are best
SIZES = {PROBLEM: 64, LARGER: 128}
NAMES = ("width", "depth", "lanes", "tiles")
TOP = 6
BOUND = 100.0


class Anything(BaseModel):
    model_config = {"extra": "allow"}


Result = Annotated[CallToolResult, Anything]


def kernel(**values: int) -> str:
    return "".join(f"int {name} = {values.get(name, 0)};\n" for name in NAMES) + "void solution(void) {}\n"


def values_of(source: str) -> dict[str, int] | None:
    found = {name: re.search(rf"int {name} = (\d+);", source) for name in NAMES}
    return {name: int(match[1]) for name, match in found.items() if match} if all(found.values()) else None


def latency_of(v: dict[str, int]) -> float:
    """100 at best. Depth pays only with width, tiles only up to the number of lanes."""
    missing = (TOP - v["width"]) * 4 + (TOP - min(v["depth"], v["width"])) * 3
    missing += (TOP - v["lanes"]) * 2 + abs(v["tiles"] - v["lanes"]) * 2 + (TOP - min(v["tiles"], v["lanes"]))
    return BOUND + 12.0 * missing


def evaluation(source: str, seed: int, problem: str = PROBLEM) -> dict[str, Any]:
    values = values_of(source)
    verdict, message = "passed", "correct"
    if values is None or "syntax error" in source:
        verdict, message = "compile_error", "expected four numbers"
    elif max(values.values()) > TOP:
        verdict, message = "wrong_result", f"no number may exceed {TOP}"
    result: dict[str, Any] = {
        "problem": problem, "kernel": kernel_digest(source), "verdict": verdict, "message": message,
        "engine": "toysim", "engine_version": "1", "source": "estimated", "seed": seed,
    }  # fmt: skip
    if verdict == "passed":
        assert values is not None
        latency = latency_of(values) * SIZES[problem] / SIZES[PROBLEM]
        result["latency"] = {"value": latency, "unit": "cycles", "statistic": "first call"}
        result["utilisation"] = BOUND / latency_of(values)
    return result


def rewrites(source: str, option: str) -> dict[str, str]:
    values = values_of(source)
    if values is None or not option.startswith("more-"):
        return {}
    name = option.removeprefix("more-")
    return {f"by-{n}": kernel(**{**values, name: values[name] + n}) for n in (1, 2) if values[name] + n <= TOP + 1}


def option_of(name: str) -> dict[str, Any]:
    return {
        "id": f"more-{name}", "title": f"Raise the {name}", "families": ["sum"],
        "triggers": ["narrow"] if name in ("width", "lanes") else ["shallow"],
        "when": f"The {name} is small and time is lost.", "how": f"Raise the number named {name} by one or by two.",
        "preconditions": f"No number exceeds {TOP}.", "example": f"int {name} = 3;",
        "effect": "Up to a tenth of the latency.", "provenance": "Made up for these tests.",
    }  # fmt: skip


def problem_record(problem: str = PROBLEM) -> dict[str, Any]:
    n = SIZES[problem]
    return {
        "id": problem, "target": "toy", "family": "sum", "title": f"Sum of {n}", "dims": {"n": n},
        "tensors": [{"name": "A", "role": "input", "shape": [n], "dtype": "int8"}],
        "signature": "void solution(void)", "semantics": "none", "inputs": "none", "tolerance": "exact",
        "work": {"macs": n, "bytes_in": n, "bytes_out": 1},
        "bound": {"value": BOUND * n / 64, "unit": "cycles", "reason": "as made up"},
        "rules": ["Keep the four numbers."],
        "timing": TIMING,
    }  # fmt: skip


def answer(data: dict[str, Any], meta: dict[str, Any] | None = None) -> CallToolResult:
    text = TextContent(type="text", text=json.dumps(data))
    return CallToolResult(content=[text], structured_content=data, _meta=meta)


class Landscape:
    def __init__(
        self, *, delay_s: float = 0.0, log_file: Path | None = None, failures: int = 0, at_once: int | None = None
    ) -> None:
        self.delay_s = delay_s
        self.at_once = at_once  # evaluations; the others wait
        self._slots = anyio.CapacityLimiter(at_once or 10_000)
        self.knows = True  # any problem
        self.conditions = "as usual"  # of toysim
        self.status: int | None = None  # of HTTP, instead of any answer (toy_server.py)
        self.refuses_more_than: int | None = None  # evaluations; says that it is busy
        self.hangs = 0  # so many evaluations never end
        self.version: str | None = None  # of the engines
        self.log_file = log_file
        self.failures = failures  # so many evaluations fail for reasons of the machine
        self.defect: Exception | None = None  # what simulate_kernel raises without having meant to
        self.log: list[str] = []
        self._under_way = 0
        self.most_under_way = 0  # evaluations at once, those that wait among them
        self.most_file: Path | None = None  # has that number
        self.profiled = 0
        # A second engine, "toyrtl": what it makes of a kernel that toysim passes, and what it was asked.
        self.rtl: Callable[[dict[str, int]], dict[str, Any]] = lambda values: {}
        self.rtl_failures = 0
        self.rtl_log: list[tuple[str, float | None]] = []
        self.beyond_toysim: Callable[[dict[str, int]], bool] = lambda values: False
        self.rtl_here = True
        # Speed of a kernel against another and whether that is certain; set, toyrtl is hardware that times in turns.
        self.turns: Callable[[dict[str, int], dict[str, int]], tuple[float, bool]] | None = None
        self.turn_log: list[tuple[str, str | None]] = []
        self.page = 10_000  # characters of a baseline per page
        self.server: MCPServer[Any] = MCPServer(name="toy", log_level="ERROR")
        self._register()

    def note(self, source: str) -> None:
        self.log.append(kernel_digest(source))
        if self.log_file is not None:
            handle = os.open(self.log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            os.write(handle, (kernel_digest(source) + "\n").encode())
            os.close(handle)

    @contextmanager
    def _here(self) -> Iterator[None]:
        self._under_way += 1
        self.most_under_way = max(self.most_under_way, self._under_way)
        if self.most_file is not None:
            self.most_file.write_text(str(self.most_under_way))
        try:
            yield
        finally:
            self._under_way -= 1

    def _register(self) -> None:
        tool = self.server.tool

        @tool()
        async def get_problem(problem: str, offset: int = 0) -> Result:
            if problem not in SIZES or not self.knows:
                raise ToolError(f"unknown problem {problem!r}: did you mean {PROBLEM}?")
            text = kernel()
            following = offset + self.page if offset + self.page < len(text) else None
            part = text[offset : offset + self.page]
            return answer({"problem": problem_record(problem), "baseline": part, "next_offset": following})

        @tool()
        async def list_optimizations(
            problem: str,
            source: str | None = None,
            bottlenecks: list[str] | None = None,
            drop: float = 0,
            seed: int = 0,
            limit: int = 1,
        ) -> Result:
            shown: list[dict[str, Any]] = []
            for name in NAMES:
                option = option_of(name)
                places = [i for i, found in enumerate(bottlenecks or ()) if found in option["triggers"]]
                option |= {"addresses": min(places, default=None)}
                shown.append({**option, "rewrites": len(rewrites(source or "", f"more-{name}"))})
            if drop:
                shown = [entry for i, entry in enumerate(shown) if (seed >> i) & 1] or shown[:1]
            return answer({"options": shown[:limit], "total": len(NAMES)})

        @tool()
        async def get_optimization(
            option: str, problem: str, source: str | None = None, variant: str | None = None
        ) -> Result:
            name = option.removeprefix("more-")
            if name not in NAMES:
                raise ToolError(f"unknown option {option!r}")
            known = rewrites(source or "", option)
            if variant is not None and variant not in known:
                raise ToolError(f"no rewrite {variant!r}")
            listed = [{"name": key, "summary": f"{name} {key}"} for key in known]
            return answer(
                {"option": option_of(name), "rewrites": listed, "source": known[variant] if variant else None}
            )

        @tool()
        async def list_targets() -> Result:
            engines = [
                {"name": name, "kind": "hardware" if self.turns and name == "toyrtl" else "simulator",
                 "version": self.version, "available": here, "reason": "as made up", "source": source, "trust": "none",
                 "default": name == "toysim", "in_turns": self.turns is not None and name == "toyrtl"}
                for name, source, here in (("toysim", "estimated", True), ("toyrtl", "measured", self.rtl_here))
            ]  # fmt: skip
            targets = [{"name": "toy", "title": "Toy", "engines": engines, "families": ["sum"]}]
            facts = {"at_once": self.at_once, "conditions": {"toy/toysim": self.conditions}}
            return answer({"targets": targets}, {FACTS: facts})

        @tool()
        async def simulate_kernel(
            problem: str, source: str, engine: str | None = None, seed: int = 0, timeout_s: float | None = None
        ) -> Result:
            if engine == "toyrtl":
                if self.rtl_failures and self.rtl_log:
                    self.rtl_failures -= 1
                    raise ToolError("environment: the licence server is down")
                self.rtl_log.append((kernel_digest(source), timeout_s))
                result = {**evaluation(source, seed, problem), "engine": "toyrtl", "source": "measured"}
                return answer(result | self.rtl(values_of(source) or {}))
            if self.failures:
                self.failures -= 1
                raise ToolError("environment: the engine failed, the kernel is not at fault")
            if self.defect is not None:
                raise self.defect
            if self.refuses_more_than is not None and self._slots.borrowed_tokens >= self.refuses_more_than:
                raise ToolError("environment: busy, retry after 1 s. Too many evaluations are waiting here.")
            with self._here():
                if self.hangs:
                    self.hangs -= 1
                    await anyio.sleep_forever()
                async with self._slots:
                    await anyio.sleep(self.delay_s)
            self.note(source)
            result = evaluation(source, seed, problem)
            if self.beyond_toysim(values_of(source) or {}):
                fault = {"kind": UNSUPPORTED, "message": "toysim has no such number"}
                result |= {"verdict": "rejected", "message": fault["message"], "fault": fault, "latency": None}
            return answer(result)

        @tool()
        async def run_kernel(
            problem: str, source: str, engine: str, seed: int, timeout_s: float, against: str | None = None
        ) -> Result:
            assert self.turns is not None and engine == "toyrtl"
            self.turn_log.append((kernel_digest(source), against and kernel_digest(against)))
            values = values_of(source) or {}
            result = {**evaluation(source, seed, problem), "engine": engine, "source": "measured", **self.rtl(values)}
            if against is not None and result["verdict"] == "passed":
                speed, certain = self.turns(values, values_of(against) or {})
                spread = {"low": speed - 0.01, "high": speed + 0.01}
                result["beside"] = {"kernel": kernel_digest(against), "speed": speed, "certain": certain, **spread}
            return answer(result)

        @tool()
        async def profile_kernel(problem: str, source: str, engine: str | None = None) -> Result:
            self.profiled += 1
            result = evaluation(source, 0, problem)
            if result["verdict"] != "passed":
                return answer({"profile": None, "evaluation": result})
            kept = {k: result[k] for k in ("problem", "kernel", "engine", "engine_version", "source", "latency")}
            found = {"id": "narrow", "explanation": "too few lanes", "evidence": {"lanes": 1.0}}
            profile = {"utilisation": result["utilisation"], "counters": {}, "units": [], "stalls": []}
            return answer({"profile": {**kept, **profile, "bottlenecks": [found]}, "evaluation": None})

        @self.server.resource("reference://toy/{topic}")
        def reference(topic: str) -> str:
            return f"How to program the toy: {topic}."
