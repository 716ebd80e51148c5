"""The program that runs a kernel on a whole machine: put together here, its report read here.

harness.c calls the kernel in user mode, behind memory protection, and leaves a report and the outputs in memory that
only the harness can write. Engines that dump memory are judged on the dump; of the others the report is read from the
console, with hashes of the output under a random nonce, and a few of its elements.
"""

from __future__ import annotations

import re
import struct
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..base import EnvironmentLackError, Tensor
from ..store import Home, locked
from ..toolchain import Compiler, source_digest
from .elf_file import Image, Segment, read_image, write_program
from .gemsim import POISON, layout
from .operators import tensor_bytes
from .toolchain import HERE, Build, build_environment, compiler_identity, target_flags

SOURCES = (HERE / "harness_start.S", HERE / "harness.c")
SCRIPT = HERE / "harness.ld"
LINK_FLAGS = ("-nostdlib", "-static", f"-Wl,-T,{SCRIPT}")

# The machine's memory, 256 MiB from 0x80000000 (the smallest of the systems this runs on).
PARAMETERS = 0x8008_0000
USER_PAGE = 0x800F_F000
KERNEL_BASE = 0x8010_0000
STACK = (0x8410_0000, 0x8411_0000)
OPERANDS = 0x8420_0000
RESULTS = 0x8880_0000
MEMORY_END = 0x9000_0000

ARGUMENTS, MAX_CALLS, GROUPS, SAMPLES, REGIONS = 8, 4, 64, 32, 8
_HEAD_WORDS = 9
_CALL_WORDS = 2 + GROUPS + SAMPLES
REPORT_WORDS = _HEAD_WORDS + MAX_CALLS * _CALL_WORDS
_READ, _WRITE, _EXECUTE, _TO_HERE = 1, 2, 4, 8  # of a protected region; _TO_HERE: from where the one before ends
_MIX = np.uint64(0x9E3779B97F4A7C15)
BEGUN = "autocomp-begun"  # printed, with the nonce, when the kernel is about to be called
STATES = {1: "begun", 2: "finished", 3: "trapped", 4: "not isolated"}


class Placed(NamedTuple):
    """A program for one input set, and where its results will lie."""

    program: bytes
    nonce: int
    samples: tuple[int, ...]
    calls: int
    output: Tensor


class CallReport(NamedTuple):
    """`cycles` and `instret` of the kernel alone: what an empty kernel takes has been subtracted."""

    cycles: int
    instret: int
    groups: np.ndarray
    samples: np.ndarray


class Report(NamedTuple):
    state: str
    isolated: bool
    calls: tuple[CallReport, ...]
    cause: int
    pc: int
    value: int


class NoReport(Exception):
    """The program left none. `begun`: it had got as far as calling the kernel."""

    def __init__(self, begun: bool) -> None:
        super().__init__("no report")
        self.begun = begun


def identity() -> str:
    """Changes with anything that could make evaluations come out differently."""
    return source_digest([*SOURCES, SCRIPT, HERE / "harness.py", HERE / "elf_file.py"])


async def harness_image(home: Home, compiler: Compiler) -> Image:
    """The harness as a linked program, built once per compiler. Raises EnvironmentLackError."""
    target = home.cache / f"harness-{compiler_identity(compiler)}-{identity()}.elf"
    if not target.exists():
        async with locked(home.cache / "harness.lock"):
            if not target.exists():
                await _build(home, compiler, target)
    return read_image(target.read_bytes())


async def _build(home: Home, compiler: Compiler, target: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="build-harness-", dir=home.cache, ignore_cleanup_errors=True) as scratch:
        build = Build(compiler, Path(scratch), build_environment(home, Path(scratch)))
        # The linker must not turn addresses into offsets from gp: that register is the kernel's.
        flags = (*target_flags(compiler), "-mno-relax", "-Wall", "-Wextra")
        result = await build.step(*flags, *SOURCES, *LINK_FLAGS, "-o", "harness.elf")
        if result.returncode != 0:
            raise EnvironmentLackError(f"{compiler.title} does not build the harness: {result.stderr.strip()[-1000:]}")
        (build.folder / "harness.elf").replace(target)


def place(
    harness: Image,
    kernel: Image,
    tensors: Sequence[Tensor],
    inputs: Mapping[str, np.ndarray],
    *,
    nonce: int,
    calls: int,
    dump: bool,
    unisolated_is_fine: bool,
    rng: np.random.Generator,
    shift: int = 0,
) -> Placed:
    """Kernel, harness, operands and orders in one program. `dump`: the host will read memory, not the console.

    shift: bytes by which the operands lie higher than usual, so that a kernel with built-in addresses fails.
    Raises ValueError for operands that do not fit the machine.
    """
    buffers = layout(tensors, OPERANDS + shift, "operands")
    output, tensor = buffers[-1], tensors[-1]
    room = -(-output.bytes // 8) * 8
    copies = RESULTS + 8 * REPORT_WORDS
    if output.address + room > RESULTS or copies + (calls * room if dump else 0) > MEMORY_END:
        raise ValueError(f"{sum(b.bytes for b in buffers)} bytes of operands do not fit a machine of 256 MiB")
    samples = tuple(int(i) for i in rng.integers(0, output.bytes, SAMPLES))
    first_input = buffers[0].address if len(buffers) > 1 else output.address
    code_end, data_end = _kernel_ends(kernel)
    regions = (
        (USER_PAGE, 0),
        (code_end, _READ | _EXECUTE | _TO_HERE),
        (data_end, _READ | _WRITE | _TO_HERE),
        (STACK[0], _TO_HERE),
        (STACK[1], _READ | _WRITE | _TO_HERE),
        (first_input, _TO_HERE),
        (output.address, _READ | _TO_HERE),
        (output.address + room, _READ | _WRITE | _TO_HERE),
    )
    configuration = sum(rights << 8 * index for index, (_, rights) in enumerate(regions))
    arguments = [b.address for b in buffers]
    words = [
        nonce, calls, int(unisolated_is_fine), int(not dump), int(dump), output.address, output.bytes,
        RESULTS, copies, *(end >> 2 for end, _ in regions), configuration, *samples,
        kernel.symbols["solution"], kernel.symbols.get("__global_pointer$", 0), STACK[1],
        *arguments, *([0] * (ARGUMENTS - len(arguments))),
    ]  # fmt: skip
    segments = [
        *harness.segments,
        *kernel.segments,
        _data(PARAMETERS, struct.pack(f"<{len(words)}Q", *words)),
        *(_data(b.address, np.ascontiguousarray(inputs[b.name]).tobytes()) for b in buffers[:-1]),
        # The words' last bytes are zeros: hashes cover whole words.
        _data(output.address, bytes([POISON[0]]) * output.bytes + bytes(room - output.bytes)),
    ]
    symbols = {name: harness.symbols[name] for name in ("tohost", "fromhost")}
    if dump:
        symbols |= {"begin_signature": RESULTS, "end_signature": copies + calls * room}
    program = write_program(harness.entry, kernel.flags, segments, symbols)
    return Placed(program, nonce, samples, calls, tensor)


def _data(address: int, data: bytes) -> Segment:
    return Segment(address, data, len(data))


def _kernel_ends(kernel: Image) -> tuple[int, int]:
    """Where code and constants end, and variables: whole pages."""
    fixed = max((s.end for s in kernel.segments if not s.writable), default=KERNEL_BASE)
    fixed = -(-fixed // 4096) * 4096
    return fixed, -(-max([fixed, *(s.end for s in kernel.segments)]) // 4096) * 4096


# ---------------------------------------------------------------- reports


def read_dump(path: Path, placed: Placed, console: str) -> tuple[Report, tuple[dict[str, np.ndarray], ...]]:
    """Report, and the output of every finished call by its name, from lines of 16 hex digits (8 bytes, highest first).

    Raises NoReport; ValueError for a file of any other form.
    """
    begun = f"{BEGUN} {placed.nonce:016x}" in console
    if not path.exists():
        raise NoReport(begun)
    data = np.frombuffer(bytes.fromhex(path.read_text()), np.uint8).reshape(-1, 8)[:, ::-1]
    words = np.ascontiguousarray(data).view("<u8").ravel()
    report = _report([int(w) for w in words[:REPORT_WORDS]], placed, begun)
    output = placed.output
    room = -(-tensor_bytes(output) // 8)
    outputs = []
    for call in range(len(report.calls)):
        at = REPORT_WORDS + call * room
        flat = np.ascontiguousarray(words[at : at + room]).view(np.uint8)[: tensor_bytes(output)]
        outputs.append({output.name: flat.view(output.dtype).reshape(output.shape)})
    return report, tuple(outputs)


def read_console(console: str, placed: Placed) -> Report:
    """The report of this evaluation: its nonce is in it. Raises NoReport."""
    begun = f"{BEGUN} {placed.nonce:016x}" in console
    for match in re.finditer(r"autocomp-report((?: [0-9a-f]{16})+)", console):
        words = [int(word, 16) for word in match[1].split()]
        if len(words) == REPORT_WORDS and words[0] == placed.nonce:
            return _report(words, placed, begun)
    raise NoReport(begun)


def _report(words: Sequence[int], placed: Placed, begun: bool) -> Report:
    if len(words) < REPORT_WORDS or words[0] != placed.nonce or STATES.get(words[1], "begun") == "begun":
        raise NoReport(begun)
    _, state, isolated, overhead_cycles, overhead_instret, calls, cause, pc, value = words[:_HEAD_WORDS]
    if calls > placed.calls or (STATES[state] == "finished" and calls != placed.calls):
        raise ValueError(f"the report tells of {calls} calls, ordered were {placed.calls}")
    reports = []
    for call in range(calls):
        at = _HEAD_WORDS + call * _CALL_WORDS
        cycles, instret = words[at], words[at + 1]
        groups = np.array(words[at + 2 : at + 2 + GROUPS], np.uint64)
        samples = np.array(words[at + 2 + GROUPS : at + _CALL_WORDS], np.uint64).astype(np.uint8)
        net = CallReport(max(0, cycles - overhead_cycles), max(0, instret - overhead_instret), groups, samples)
        reports.append(net)
    return Report(STATES[state], bool(isolated), tuple(reports), cause, pc, value)


def expected_groups(expected: np.ndarray, nonce: int) -> np.ndarray:
    """The hashes that harness.c computes of a right output: 64 stretches of whole words, the rest zeros."""
    raw = np.ascontiguousarray(expected).view(np.uint8).ravel()
    count = -(-raw.size // 8)
    each = -(-count // GROUPS)
    padded = np.zeros(GROUPS * each * 8, np.uint8)
    padded[: raw.size] = raw
    words = padded.view("<u8").reshape(GROUPS, each)
    lengths = np.clip(count - each * np.arange(GROUPS), 0, each)
    hashes = np.uint64(nonce) + np.arange(GROUPS, dtype=np.uint64)
    for i in range(each):
        mixed = (hashes ^ words[:, i]) * _MIX
        mixed ^= mixed >> np.uint64(29)
        hashes = np.where(i < lengths, mixed, hashes)
    return hashes
