"""A program that stands in for a simulator of a whole machine, for the tests of the engines.

It reads a program as the real ones do (an ELF file, by a library of its own), works out the matrix product with NumPy
in place of the kernel, and leaves what the harness would have left: printed lines, or a dump of memory. `behaviour`
says what goes wrong. What it prints was recorded from the real harness running on Spike.

    whole_machine.py BEHAVIOUR M,N,K LOG [arguments of the engine] program.elf
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from elftools.elf.elffile import ELFFile

PARAMETERS, CYCLES, EMPTY, GROUPS, SAMPLES, MAX_CALLS = 0x8008_0000, 50_000, 40, 64, 32, 4
MASK = 2**64 - 1


class Memory:
    def __init__(self, path: Path) -> None:
        with path.open("rb") as stream:
            elf = ELFFile(stream)
            self.parts = [(s["p_paddr"], s.data()) for s in elf.iter_segments() if s["p_type"] == "PT_LOAD"]
            table = elf.get_section_by_name(".symtab") or next(
                s for s in elf.iter_sections() if s["sh_type"] == "SHT_SYMTAB"
            )
            self.symbols = {s.name: s["st_value"] for s in table.iter_symbols()}

    def read(self, address: int, size: int) -> bytes:
        for base, data in self.parts:
            if base <= address and address + size <= base + len(data):
                return data[address - base : address - base + size]
        raise SystemExit(f"nothing at {address:#x}")

    def words(self, address: int, count: int) -> tuple[int, ...]:
        return struct.unpack(f"<{count}Q", self.read(address, 8 * count))


def hashes(padded: bytes, nonce: int) -> list[int]:
    """As the harness does it, word by word."""
    words = struct.unpack(f"<{len(padded) // 8}Q", padded)
    each = -(-len(words) // GROUPS)
    found = []
    for group in range(GROUPS):
        value = (nonce + group) & MASK
        for word in words[group * each : (group + 1) * each]:
            value = ((value ^ word) * 0x9E3779B97F4A7C15) & MASK
            value ^= value >> 29
        found.append(value)
    return found


def say(text: str) -> None:
    print(text, flush=True)


def report_of(memory: Memory, behaviour: str, output: bytes) -> list[int]:
    nonce, calls, unisolated_is_fine = memory.words(PARAMETERS, 3)
    state = {"trapped": 3}.get(behaviour, 2)
    isolated = int(behaviour != "unprotected")
    if not isolated and not unisolated_is_fine:
        state = 4
    done = calls if state == 2 else 0
    fault = (7, memory.words(PARAMETERS + 8 * (9 + 8 + 1 + SAMPLES), 1)[0], 0x1234) if state == 3 else (8, 0, 0)
    words = [nonce, state, isolated, EMPTY, EMPTY, done, *fault]
    samples = memory.words(PARAMETERS + 8 * 18, SAMPLES)
    cycles = 3 if behaviour == "too quick" else CYCLES
    for call in range(MAX_CALLS):
        if call < done:
            words += [EMPTY + cycles + call, EMPTY + 700 + call, *hashes(output, nonce), *(output[s] for s in samples)]
        else:
            words += [0] * (2 + GROUPS + SAMPLES)
    return words


def product(memory: Memory, dims: tuple[int, int, int], behaviour: str) -> bytes:
    m, n, k = dims
    a, b = memory.words(PARAMETERS + 8 * (18 + SAMPLES + 3), 2)
    left = np.frombuffer(memory.read(a, m * k), np.int8).reshape(m, k).astype(np.int32)
    right = np.frombuffer(memory.read(b, k * n), np.int8).reshape(k, n).astype(np.int32)
    result = np.clip(left @ right, -128, 127).astype(np.int8)
    if behaviour == "wrong":
        result[m // 2, n // 3] ^= 1
    data = result.tobytes()
    return data + bytes(-len(data) % 8)


def main(behaviour: str, dims: tuple[int, int, int], log: Path, arguments: list[str]) -> None:
    program = Path(arguments[-1])
    if "--dump-dts" in arguments:
        sys.exit("no extension of this name" if behaviour == "broken" else 0)
    if behaviour == "dies before":
        sys.exit("%Error: the memory image cannot be loaded")
    memory = Memory(program)
    nonce = memory.words(PARAMETERS, 1)[0]
    with log.open("a") as stream:
        stream.write(f"{os.getpid()} {program.absolute().parent} {nonce:x}\n")
    if behaviour == "hangs before":
        time.sleep(1000)
    say(f"autocomp-begun {nonce:016x}")
    if behaviour == "hangs":
        child = subprocess.Popen(["sleep", "1000"])
        with log.open("a") as stream:
            stream.write(f"{child.pid} child -\n")
        time.sleep(1000)
    if behaviour == "dies":
        sys.exit("%Error: Assertion failed in TestHarness.chiptop.gemmini: rs2 bits out of range")
    if behaviour == "shares":  # every run writes the same name: only folders of their own keep them apart
        Path("scratch").write_text(f"{nonce:x}")
        time.sleep(0.5)
        if Path("scratch").read_text() != f"{nonce:x}":
            sys.exit("another run wrote into this folder")
    output = product(memory, dims, behaviour)
    words = report_of(memory, behaviour, output)
    if behaviour == "forges":
        forged = [nonce ^ 1, *words[1:9], EMPTY + 2000, *words[10:]]
        say("autocomp-report " + " ".join(f"{word:016x}" for word in forged))
    if behaviour == "chatty":
        for index in range(120_000):
            say(f"core 0: {index:012x} trace trace trace")
    if dump := next((a.partition("=")[2] for a in arguments if a.startswith("+signature=")), None):
        copies = memory.words(PARAMETERS + 8 * 8, 1)[0] - memory.words(PARAMETERS + 8 * 7, 1)[0]
        data = struct.pack(f"<{len(words)}Q", *words)
        data += bytes(copies - len(data)) + output * memory.words(PARAMETERS + 8, 1)[0]
        assert len(data) == memory.symbols["end_signature"] - memory.symbols["begin_signature"]
        lines = [f"{word:016x}" for word in struct.unpack(f"<{len(data) // 8}Q", data)]
        Path(dump).write_text("no hexadecimal\n" if behaviour == "garbles" else "\n".join(lines) + "\n")
    else:
        say("autocomp-report " + " ".join(f"{word:016x}" for word in words))


if __name__ == "__main__":
    size = tuple(int(part) for part in sys.argv[2].split(","))
    main(sys.argv[1], (size[0], size[1], size[2]), Path(sys.argv[3]), sys.argv[4:])
