"""What reads untrusted text and files in Python: screens, rewriter of CUDA, readers of ELF, DWARF and reports.

Each may refuse in its own words; nothing else may come out, and nothing may take minutes. Repetitions of one piece find
what is quadratic: for a large source that is the difference between milliseconds and an hour.
"""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from autocomp_mcp.hardware_adapters.base import EngineFailure, Tensor
from autocomp_mcp.hardware_adapters.gemmini.debug_info import LineTable, code_digest, section_bytes
from autocomp_mcp.hardware_adapters.gemmini.elf_file import Segment, write_program
from autocomp_mcp.hardware_adapters.gemmini.harness import NoReport, Placed, read_console, read_dump
from autocomp_mcp.hardware_adapters.nvidia.cpusim.emulate import _read, _report

pytestmark = pytest.mark.trust
SEED = 20260
PIECES = (
    "a<<<", "a<<<1>>>(", "a>><<<1>>>()", "cudaFuncSetAttribute(", "&", "()", "__global__ ",
    "__global__ __launch_bounds__(", "f(", "__shared__ int a;", "__shared__ ", "\\\n", "a\\\n", "system(",
    "std::system(", "auto a = [", "<", "(", "{", "[", "/*", "//", '"', "'", "#define a(", "#define a b\n", 'R"(',
    "asm ", "extern ", "__attribute__((", "#include\n", "#", "::", "a::", "\n", ".incbin ", "0x", "?", "\x00",
    "\ud800", "\u202e", "9" * 50, "a=", "lambda:", "-", "not ", "import a;", "if 1:\n ", "f'{", "x[", "é", "a.b",
    ";",
)  # fmt: skip
FRAMES = (
    ("", ""), ("", ">>>()"),
    ("n;", ";"), ("void f(){", "}"), ("cudaFuncSetAttribute(", "k,1,2);"), ("#define a ", "\n"),
    ("x = ", "1"),
)  # fmt: skip

# In a process of its own: a hang ends it, and so would a crash of the interpreter.
READER = """
import json, sys
from autocomp_mcp.hardware_adapters.gemmini.screen import refused_assembly, refused_source
from autocomp_mcp.hardware_adapters.nvidia.cpusim.rewrite import Unsupported, rewrite
from autocomp_mcp.hardware_adapters.nvidia.screen import assembly, screen as cuda_screen
from autocomp_mcp.hardware_adapters.trainium.screen import screen as nki_screen

def rewritten(source):
    try:
        rewrite(source)
    except Unsupported:
        pass

def assembled(source):
    refused_assembly(source)
    refused_assembly('.ascii "' + source.replace('"', "").replace(chr(10), " ") + '"' + chr(10))

READERS = {
    "gemmini": refused_source, "assembly": assembled, "nvidia": cuda_screen, "inline": assembly, "cpusim": rewritten,
    "nki": nki_screen,
}
for line in sys.stdin:
    source = json.loads(line)
    for name, read in READERS.items():
        print(f"{name}: {source[:120]!r}...", file=sys.stderr, flush=True)
        read(source)
    print("read", flush=True)
"""
HANG_S = 240  # for what takes a few seconds


def sources(rng: random.Random, count: int) -> list[str]:
    """Repetitions of each piece, in frames; then mixtures."""
    size = 20_000
    found = [
        before + piece * (size // len(piece)) + after for piece in PIECES for before, after in [rng.choice(FRAMES)]
    ]
    found.append("a<<<" * (size // 4) + ">>>()")
    found.append("cudaFuncSetAttribute(" + "&" * size + "k, 1, 2);")
    while len(found) < count:
        found.append("".join(rng.choice(PIECES) for _ in range(rng.randrange(1, 400))))
    return found[:count]


def test_screens_and_rewriter_bear_any_source(score, how_many) -> None:
    wanted = sources(random.Random(SEED), how_many(150, 20_000))
    text = "".join(json.dumps(source) + "\n" for source in wanted)
    # The interpreter may refuse surrogates, in text of its own; here they come as a client's JSON would bring them.
    ended = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", READER], input=text, capture_output=True, text=True, errors="replace",
        timeout=how_many(HANG_S, 60 * HANG_S), check=False,
    )  # fmt: skip
    held = ended.stdout.count("read")
    score("fuzz, screens and rewriter", held, tried=len(wanted))
    assert ended.returncode == 0 and held == len(wanted), ended.stderr[-2000:]


def damaged(rng: random.Random, data: bytes) -> bytes:
    """Some bytes replaced, or cut off."""
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 12)):
        at, width = rng.randrange(len(changed)), rng.choice((1, 2, 4, 8))
        changed[at : at + width] = rng.choice((b"\xff" * width, bytes(width), rng.randbytes(width)))
    return bytes(changed[: rng.randrange(len(changed))] if rng.random() < 0.2 else changed)


def allowed(read: Callable[[], object], *refusals: type[Exception]) -> bool:
    """Whether it read or refused; anything else that it raises is the test's failure."""
    with contextlib.suppress(*refusals):
        read()
    return True


def test_readers_of_programs_bear_damage(tmp_path: Path, score, how_many) -> None:
    rng = random.Random(SEED)
    whole = write_program(0x80000000, 0, [Segment(0x80000000, b"\x13\0\0\0" * 64, 256)], {"solution": 0x80000000})
    path, held, count = tmp_path / "kernel.elf", 0, how_many(400, 50_000)
    for _ in range(count):
        program = damaged(rng, whole)
        path.write_bytes(program)
        held += allowed(lambda data=program: code_digest(data), ValueError)
        held += allowed(lambda data=program: section_bytes(data), ValueError)
        held += LineTable(path, "kernel.c").line(0x80000000) is None
    score("fuzz, readers of programs", held, tried=3 * count)
    assert held == 3 * count


def test_readers_of_reports_bear_any_text(tmp_path: Path, score, how_many) -> None:
    rng = random.Random(SEED)
    output = Tensor(name="C", dtype="int8", shape=(4, 4), role="output")
    placed = Placed(b"", 0x0123456789ABCDEF, (), 2, output)
    dump, report, held, count = tmp_path / "dump", tmp_path / "report", 0, how_many(300, 50_000)
    words = [placed.nonce, 2, 1, 0, 0, 2, *(rng.getrandbits(64) for _ in range(2000))]
    begin = f"autocomp-begun {placed.nonce:016x}\n"
    said = {"nonce": "n", "fault": None, "launches": [], "sites": [], "notes": [], "returned": 0, "dropped": 0}
    values: tuple[object, ...] = (None, -1, 1 << 70, "", "\ud800", [], [[]], [{}], {}, {"kind": 1}, 1e999, [None], True)
    for _ in range(count):
        lines = "\n".join(f"{word:016x}" for word in words[: rng.randrange(1, len(words))])
        dump.write_bytes(damaged(rng, lines.encode()))
        held += allowed(lambda: read_dump(dump, placed, begin), NoReport, ValueError)
        console = begin + "autocomp-report" + "".join(f" {word:016x}" for word in words[: rng.randrange(500)])
        held += allowed(lambda text=console: read_console(text, placed), NoReport, ValueError)
        changed = {**said, rng.choice(sorted(said)): rng.choice(values)}
        report.write_bytes(
            damaged(rng, json.dumps(changed).encode()) if rng.random() < 0.5 else json.dumps(changed).encode()
        )
        found = _read(report, "n")
        held += found is None or allowed(lambda data=found: _report(data, dump), EngineFailure)
    report.write_text("[" * 100_000)  # deeper than the interpreter goes
    held += _read(report, "n") is None
    score("fuzz, readers of reports", held, tried=3 * count + 1)
    assert held == 3 * count + 1
