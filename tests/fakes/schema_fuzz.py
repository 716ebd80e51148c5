"""Arguments for a tool, made from its JSON schema: right ones, nearly right ones and hostile ones.

Each case follows from its number alone, so that a failure can be made again.
"""

from __future__ import annotations

from random import Random
from typing import Any

MARK = "pwned-by-fuzz"
HOSTILE_STRINGS = (
    "",
    " ",
    "\0",
    "a\0b",
    "\ud800",
    "\udfff\ud800x",
    "\x1b[31mred\x1b[2J",
    "'; DROP TABLE runs; --",
    "%s%n%x",
    "${jndi:ldap://x}",
    "../../../etc/passwd",
    "..\\..\\x",
    "/etc/passwd",
    "/dev/zero",
    "/proc/self/mem",
    "~",
    "-rf",
    "$(touch " + MARK + ")",
    "`touch " + MARK + "`",
    "\u202egnp.exe",
    "a" * 5000,
    "é" * 300,
    "\n" * 500,
    "[" * 3000,
    '{"a":' * 800,
    "NaN",
    "1e400",
    "-0",
    "null",
    "true",
    "0x10",
    "9" * 400,
    "kernel://",
    "run://../x",
    "http://127.0.0.1:9/",
    "<script>",
    "\ufeff",
    "\r\n\r\nHTTP/1.1 200",
    "a/b/c/d",
    "gemmini/",
    "/",
    "gemmini/gemm--1x2x3",
    "gemmini/gemm-99999999999x1x1",
    "gemmini/gemm-1x1x1-shift99",
    "gemmini/conv-1x1x1x1-k0-s0-p0",
    "gemmini/gemm-2147483648x2147483648x2147483648",
    "gemmini/custom-x-00000000",
    "nvidia/sgemm-1e9x1x1",
    "trainium/gemm-٣x3x3",
    "file:///etc/passwd",
    "gemmini/gemm-0x0x0",
    "{{7*7}}",
    "--help",
    "gemmini/gemm-32x32x32\n",
    "deadbeefdeadbeef",
    "f" * 64,
    "0" * 16,
)
HOSTILE_NUMBERS = (
    0,
    -1,
    1,
    2**31,
    2**63,
    2**64,
    -(2**63),
    10**30,
    1e308,
    -1e308,
    5e-324,
    0.1,
    1e-9,
    float("inf"),
    float("nan"),
)
KNOWN: dict[str, tuple[Any, ...]] = {
    "problem": (
        "gemmini/gemm-16x16x16",
        "trainium/rmsnorm-128x64",
        "nvidia/softmax-16x16",
        "gemmini/tinympc-forward-4x2x3",
    ),
    "target": ("gemmini", "trainium", "nvidia"),
    "engine": ("gemsim", "nkisim", "cpu", "spike", "cuda"),
    "model": ("offline", "anthropic:x", "replay:/etc/passwd", "A@2,B", "P > C"),
    "option": ("larger-tile", "wide-loads", "tile-size"),
    "source": (
        "void solution(void) {}",
        '#include "gemmini_api.h"\nvoid solution(int x) { for(;;) }',
        "import os",
        "#if 0",
    ),
    "topic": ("overview", "mvin"),
    "wait_s": (0, 0.01),
    "timeout_s": (0.5, 1),
}


def arguments(schema: dict[str, Any], number: int) -> dict[str, Any]:
    """Of one call: any subset of what the tool takes, and sometimes what it does not."""
    chance = Random(number)
    required = set(schema.get("required", ()))
    found: dict[str, Any] = {}
    for name, part in schema.get("properties", {}).items():
        if chance.random() < (0.97 if name in required else 0.35):
            found[name] = _value(part, name, chance, schema.get("$defs", {}), 0)
    if chance.random() < 0.03:
        found[chance.choice(HOSTILE_STRINGS)] = hostile(chance)
    return found


def hostile(chance: Random, depth: int = 0) -> Any:
    kind = chance.randrange(9)
    if kind < 4 or depth > 3:
        return chance.choice(HOSTILE_STRINGS)
    if kind == 4:
        return chance.choice(HOSTILE_NUMBERS)
    if kind == 5:
        return chance.choice([None, True, False])
    if kind == 6:
        return [hostile(chance, depth + 1) for _ in range(chance.randrange(4))]
    if kind == 7:
        return {chance.choice(HOSTILE_STRINGS): hostile(chance, depth + 1) for _ in range(chance.randrange(4))}
    if chance.random() < 0.05:
        return "x" * 1_000_000
    nested: Any = 0
    for _ in range(chance.randrange(200)):
        nested = [nested] if chance.random() < 0.5 else {"a": nested}
    return nested


def _value(part: dict[str, Any], name: str, chance: Random, defs: dict[str, Any], depth: int) -> Any:
    if chance.random() < 0.25:
        return hostile(chance)
    if name in KNOWN and chance.random() < 0.7:
        return chance.choice(KNOWN[name])
    if "$ref" in part:
        part = defs[part["$ref"].rpartition("/")[2]]
    if options := part.get("anyOf") or part.get("oneOf"):
        return _value(chance.choice(options), name, chance, defs, depth)
    if "enum" in part:
        return chance.choice(part["enum"])
    kind = part.get("type")
    if kind == "string":
        return chance.choice(HOSTILE_STRINGS) if chance.random() < 0.5 else _word(chance)
    if kind in ("integer", "number"):
        low, high = part.get("minimum", -5), part.get("maximum", 50)
        return chance.choice(HOSTILE_NUMBERS) if chance.random() < 0.3 else chance.randint(int(low), int(min(high, 50)))
    if kind == "boolean":
        return chance.random() < 0.5
    if kind == "array":
        items = part.get("items", {})
        return [_value(items, "source", chance, defs, depth + 1) for _ in range(chance.randrange(3 if depth else 10))]
    if kind == "object" and "properties" in part and depth < 4:
        return {
            key: _value(inner, key, chance, defs, depth + 1)
            for key, inner in part["properties"].items()
            if chance.random() < 0.8
        }
    return hostile(chance, depth + 1)


def _word(chance: Random) -> str:
    return "".join(chr(chance.choice((chance.randrange(32, 127), chance.randrange(0xD7FF)))) for _ in range(12))
