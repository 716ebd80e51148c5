"""Programs for the simulator's core without a compiler: instruction encodings, a minimal ELF writer, a job runner."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

CODE, DATA, IN, OUT = 0x8000_0000, 0x8010_0000, 0x9000_0000, 0x9010_0000
A0, A1, A2, A3, A4, A5, T0, T1, T2, SP, RA, ZERO = 10, 11, 12, 13, 14, 15, 5, 6, 7, 2, 1, 0


def words(*instructions: int) -> bytes:
    """Instructions as code; those below 2^16 whose low bits say so are compressed ones."""
    return b"".join(struct.pack("<I" if i & 3 == 3 else "<H", i) for i in instructions)


def r_type(opcode: int, funct3: int, funct7: int, rd: int, rs1: int, rs2: int) -> int:
    return funct7 << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode


def i_type(opcode: int, funct3: int, rd: int, rs1: int, imm: int) -> int:
    return (imm & 0xFFF) << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode


def s_type(opcode: int, funct3: int, rs2: int, rs1: int, imm: int) -> int:
    return (imm >> 5 & 0x7F) << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | (imm & 31) << 7 | opcode


def branch(funct3: int, rs1: int, rs2: int, offset: int) -> int:
    high = (offset >> 12 & 1) << 6 | (offset >> 5 & 0x3F)
    return high << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | (offset >> 1 & 15) << 8 | (offset >> 11 & 1) << 7 | 0x63


def jal(rd: int, offset: int) -> int:
    imm = (offset >> 20 & 1) << 19 | (offset >> 1 & 0x3FF) << 9 | (offset >> 11 & 1) << 8 | (offset >> 12 & 0xFF)
    return imm << 12 | rd << 7 | 0x6F


def addi(rd: int, rs1: int, imm: int) -> int:
    return i_type(0x13, 0, rd, rs1, imm)


def ld(rd: int, rs1: int, imm: int) -> int:
    return i_type(0x03, 3, rd, rs1, imm)


def sd(rs2: int, rs1: int, imm: int) -> int:
    return s_type(0x23, 3, rs2, rs1, imm)


def lui(rd: int, upper: int) -> int:
    return (upper & 0xFFFFF) << 12 | rd << 7 | 0x37


def jalr(rd: int, rs1: int, imm: int = 0) -> int:
    return i_type(0x67, 0, rd, rs1, imm)


RET = jalr(ZERO, RA)


def elf(code: bytes, *, data: bytes = b"", symbol: str = "solution") -> bytes:
    """A statically linked ELF64 RISC-V program: code at CODE, writable data at DATA, one function symbol."""
    names = b"\0" + symbol.encode() + b"\0"
    symtab = bytes(24) + struct.pack("<IBBHQQ", 1, 0x12, 0, 1, CODE, len(code))
    segments = [(5, CODE, code)] + ([(6, DATA, data)] if data else [])
    at = 64 + 56 * len(segments)
    headers, body = b"", b""
    for flags, address, contents in segments:
        offset = at + len(body)
        headers += struct.pack("<IIQQQQQQ", 1, flags, offset, address, address, len(contents), len(contents), 16)
        body += contents
    symtab_at = at + len(body)
    names_at = symtab_at + len(symtab)
    sections_at = names_at + len(names)
    sections = bytes(64)
    sections += struct.pack("<IIQQQQIIQQ", 0, 2, 0, 0, symtab_at, len(symtab), 2, 1, 8, 24)
    sections += struct.pack("<IIQQQQIIQQ", 0, 3, 0, 0, names_at, len(names), 0, 0, 1, 0)
    head = b"\x7fELF\2\1\1" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, 243, 1, CODE, 64, sections_at, 5, 64, 56, len(segments), 64, 3, 0)
    return head + headers + body + symtab + names + sections


class Outcome(NamedTuple):
    """One case of a job: the case of the answer, and the output buffer after each call."""

    case: dict[str, Any]
    outputs: list[bytes]

    @property
    def fault(self) -> dict[str, Any]:
        assert self.case["status"] == "fault", self.case
        return self.case["fault"]


class Machine:
    """Runs programs on the simulator: solution(in, out) with two buffers at IN and OUT."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.program, self.folder = program, folder

    def job(self, text: str) -> subprocess.CompletedProcess[str]:
        job = self.folder / "job"
        job.write_text(text)
        return subprocess.run([self.program, "job", job], capture_output=True, text=True, timeout=60, check=False)

    def run(
        self,
        program: bytes,
        data: bytes = bytes(64),
        *,
        out_bytes: int = 4096,
        mode: str = "functional",
        calls: int = 1,
        limits: Mapping[str, int] | None = None,
        extra: Sequence[str] = (),
    ) -> Outcome:
        (self.folder / "program.elf").write_bytes(program)
        (self.folder / "in").write_bytes(data)
        out = self.folder / "out"
        out.unlink(missing_ok=True)
        lines = [f"elf {self.folder}/program.elf", "entry solution"]
        lines += [f"{name} {value}" for name, value in (limits or {"limit-instructions": 1_000_000}).items()]
        lines += [*extra, f"case only {mode}", f"buffer in {IN:#x} {len(data)} input {self.folder}/in"]
        lines += [f"buffer out {OUT:#x} {out_bytes} output {out}", f"calls {calls}"]
        finished = self.job("\n".join(lines) + "\n")
        assert finished.returncode == 0, finished.stderr
        written = out.read_bytes() if out.exists() else b""
        pieces = [written[i : i + out_bytes] for i in range(0, len(written), out_bytes)]
        return Outcome(json.loads(finished.stdout)["cases"][0], pieces)

    def results(self, program: bytes, data: bytes, count: int) -> list[int]:
        """The first `count` 64-bit words the program left in its output."""
        outcome = self.run(program, data, out_bytes=max(4096, 8 * count))
        assert outcome.case["status"] == "ok", outcome.case
        return list(struct.unpack(f"<{count}Q", outcome.outputs[0][: 8 * count]))


class RunKernel(Protocol):
    """Compiles `solution(in, out)` with this body and runs it once; `data` is what `in` holds."""

    def __call__(
        self, body: str, *data: np.ndarray, head: str = "", mode: str = "functional", config: str = ""
    ) -> Outcome: ...
