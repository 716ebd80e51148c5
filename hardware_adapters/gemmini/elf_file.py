"""Taking linked programs apart and putting one together: kernel, harness and data become a single ELF file."""

from __future__ import annotations

import io
import itertools
import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")
SYMBOL = struct.Struct("<IBBHQQ")
EXECUTABLE, RISCV, LOAD, SYMBOL_TABLE, STRING_TABLE = 2, 243, 1, 2, 3
READ_WRITE_EXECUTE = 7
ABSOLUTE, GLOBAL_OBJECT = 0xFFF1, 0x11
ALIGNMENT = 4096


class Segment(NamedTuple):
    """Bytes at an address; `size` beyond the data is zeros."""

    address: int
    data: bytes
    size: int
    executable: bool = False
    writable: bool = True

    @property
    def end(self) -> int:
        return self.address + self.size


class Image(NamedTuple):
    """What there is to load of a linked program, and its symbols."""

    entry: int
    segments: tuple[Segment, ...]
    symbols: dict[str, int]
    flags: int


def read_image(program: bytes) -> Image:
    from elftools.elf.elffile import ELFFile
    from elftools.elf.sections import SymbolTableSection

    elf = ELFFile(io.BytesIO(program))
    segments = tuple(
        Segment(s["p_vaddr"], s.data(), s["p_memsz"], bool(s["p_flags"] & 1), bool(s["p_flags"] & 2))
        for s in elf.iter_segments()
        if s["p_type"] == "PT_LOAD" and s["p_memsz"]
    )
    table = elf.get_section_by_name(".symtab")
    symbols = {}
    if isinstance(table, SymbolTableSection):
        symbols = {symbol.name: symbol["st_value"] for symbol in table.iter_symbols() if symbol.name}
    return Image(elf.header["e_entry"], segments, symbols, elf.header["e_flags"])


def write_program(entry: int, flags: int, segments: Sequence[Segment], symbols: Mapping[str, int]) -> bytes:
    """An ELF64 RISC-V executable of these segments (no two overlapping) with absolute symbols."""
    ordered = sorted(segments)
    for before, after in itertools.pairwise(ordered):
        if before.end > after.address:
            raise ValueError(f"segments overlap: {before.address:#x}..{before.end:#x} and {after.address:#x}")
    names = b"\0" + b"".join(name.encode() + b"\0" for name in symbols)
    section_names = b"\0.symtab\0.strtab\0.shstrtab\0"
    table = bytes(SYMBOL.size)
    for name, address in symbols.items():
        at = names.index(b"\0" + name.encode() + b"\0") + 1
        table += SYMBOL.pack(at, GLOBAL_OBJECT, 0, ABSOLUTE, address, 0)

    body = bytearray()
    start = HEADER.size + PROGRAM_HEADER.size * len(ordered)
    headers = []
    for segment in ordered:
        # Loaders that map files want offset and address alike within a page.
        body += bytes((segment.address - start - len(body)) % ALIGNMENT)
        offset = start + len(body)
        body += segment.data
        headers.append(
            PROGRAM_HEADER.pack(
                LOAD,
                READ_WRITE_EXECUTE,
                offset,
                segment.address,
                segment.address,
                len(segment.data),
                segment.size,
                ALIGNMENT,
            )
        )
    body += bytes(-(start + len(body)) % 8)
    sections = [bytes(SECTION_HEADER.size)]
    for name, kind, content, link, entry_bytes in (
        (".symtab", SYMBOL_TABLE, table, 2, SYMBOL.size),
        (".strtab", STRING_TABLE, names, 0, 0),
        (".shstrtab", STRING_TABLE, section_names, 0, 0),
    ):
        at = section_names.index(name.encode() + b"\0")
        # sh_info of a symbol table: how many local symbols come first (the empty one).
        info = 1 if kind == SYMBOL_TABLE else 0
        sections.append(
            SECTION_HEADER.pack(
                at, kind, 0, 0, start + len(body), len(content), link, info, 8 if info else 1, entry_bytes
            )
        )
        body += content + bytes(-len(content) % 8)
    identification = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = HEADER.pack(
        identification, EXECUTABLE, RISCV, 1, entry, HEADER.size, start + len(body), flags, HEADER.size,
        PROGRAM_HEADER.size, len(ordered), SECTION_HEADER.size, len(sections), len(sections) - 1,
    )  # fmt: skip
    return b"".join([header, *headers, bytes(body), *sections])
