"""What an ELF program says about itself: sizes, and which source line an instruction came from."""

from __future__ import annotations

import hashlib
import struct
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_LOAD, _EXECUTABLE = 1, 1  # PT_LOAD, PF_X
_SYMBOLS, _SYMBOL_BYTES = 2, 24  # SHT_SYMTAB
GLOBAL_POINTER = b"__global_pointer$"  # gp, when a kernel is called
_ENTRY = slice(0x18, 0x20)  # of an ELF header
_HEADER_BYTES, _SEGMENT_BYTES = 64, 56


class Section(NamedTuple):
    offset: int  # in the file
    size: int  # bytes


def read_sections(program: bytes) -> dict[str, Section]:
    """The sections of a linked program by name. Raises ValueError for bytes that are none."""
    try:
        return _sections(program)
    except (struct.error, IndexError, OverflowError) as error:
        raise ValueError(f"no ELF program: {error}") from error


MAX_NAME_BYTES = 1024


def _sections(program: bytes) -> dict[str, Section]:
    # Read by hand: importing a general ELF library would take as long as the compilation itself.
    headers = _section_headers(program)
    (names,) = struct.unpack_from("<H", program, 0x3E)
    found: dict[str, Section] = {}
    for header in headers:
        start = headers[names].offset + header.name
        end = program.index(b"\0", start, start + MAX_NAME_BYTES)
        found[program[start:end].decode(errors="replace")] = Section(header.offset, header.size)
    return found


class _SectionHeader(NamedTuple):
    name: int  # where it begins in the table of names
    kind: int
    offset: int
    size: int
    link: int


def _section_headers(program: bytes) -> list[_SectionHeader]:
    (table,) = struct.unpack_from("<Q", program, 0x28)
    entry, count = struct.unpack_from("<HH", program, 0x3A)
    return [
        _SectionHeader(*struct.unpack_from("<II16xQQI", program, table + entry * number)) for number in range(count)
    ]


class _Loaded(NamedTuple):
    flags: int
    address: int
    data: bytes
    size: int  # in memory


def _loaded(program: bytes) -> Iterator[_Loaded]:
    """Raises ValueError for what is no whole program."""
    if len(program) < _HEADER_BYTES:
        raise ValueError("shorter than an ELF header")
    table, size, count = struct.unpack_from("<Q", program, 0x20)[0], *struct.unpack_from("<HH", program, 0x36)
    if size < _SEGMENT_BYTES or table + size * count > len(program):
        raise ValueError("the table of segments lies outside of the file")
    for number in range(count):
        kind, flags, offset, address, _, held, size_in_memory, _ = struct.unpack_from(
            "<IIQQQQQQ", program, table + size * number
        )
        if kind == _LOAD:
            yield _Loaded(flags, address, program[offset : offset + held], size_in_memory)


def code_digest(program: bytes) -> str:
    """Of all that is loaded, where, and of what the kernel is begun with (entry point, gp): what the debug information
    says is left out. Two programs with the same digest do the same. Raises ValueError for what is no whole program."""
    digest = hashlib.sha256(program[_ENTRY])
    for part in _loaded(program):
        digest.update(struct.pack("<IQQQ", part.flags, part.address, len(part.data), part.size) + part.data)
    try:
        for value in _values_of(program, GLOBAL_POINTER):
            digest.update(struct.pack("<Q", value))
    except (struct.error, IndexError, OverflowError) as error:
        raise ValueError(f"a table of symbols that cannot be read: {error}") from error
    return digest.hexdigest()


def _values_of(program: bytes, name: bytes) -> Iterator[int]:
    """Of each symbol of this name: a kernel may have one of its own beside the linker's."""
    headers = _section_headers(program)
    for table in headers:
        if table.kind != _SYMBOLS:
            continue
        names = headers[table.link].offset
        for at in range(table.offset, table.offset + table.size, _SYMBOL_BYTES):
            start, value = struct.unpack_from("<I4xQ", program, at)
            if program.startswith(name + b"\0", names + start):
                yield value


def begins_in_code(program: bytes) -> bool:
    """Whether the entry point, which is `solution`, lies in what can be executed."""
    (entry,) = struct.unpack("<Q", program[_ENTRY])
    return any(part.flags & _EXECUTABLE and 0 <= entry - part.address < part.size for part in _loaded(program))


def section_bytes(program: bytes) -> dict[str, int]:
    """Bytes of code, constants and variables of a linked program."""
    found = read_sections(program)
    size = {name: found.get(name, Section(0, 0)).size for name in (".text", ".rodata", ".data", ".bss")}
    return {
        "text_bytes": size[".text"],
        "constant_bytes": size[".rodata"],
        "variable_bytes": size[".data"] + size[".bss"],
    }


class LineTable:
    """Source lines by address, from the DWARF line program; only lines of the kernel's own file count.

    A program whose debug information cannot be read maps nothing: lines are a help, never a reason to fail.
    """

    def __init__(self, program: Path, source_name: str) -> None:
        try:
            rows = sorted(_rows(program, source_name))
        except Exception:  # whatever a hostile program makes of its debug sections
            rows = []
        self._addresses = [address for address, _ in rows]
        self._lines = [line for _, line in rows]

    def line(self, address: int) -> int | None:
        """The kernel's source line (from 1) that the instruction at `address` belongs to; None when unknown."""
        position = bisect_right(self._addresses, address) - 1
        return self._lines[position] if position >= 0 else None


def _rows(program: Path, source_name: str) -> list[tuple[int, int | None]]:
    from elftools.elf.elffile import ELFFile

    rows: list[tuple[int, int | None]] = []
    with program.open("rb") as stream:
        for unit in ELFFile(stream).get_dwarf_info().iter_CUs():
            table = unit.dwarfinfo.line_program_for_CU(unit)
            if table is None:
                continue
            # DWARF 5 counts files from 0, earlier versions from 1.
            first = 0 if table["version"] >= 5 else 1
            names = [entry.name.decode(errors="replace") for entry in table["file_entry"]]
            own = {index + first for index, name in enumerate(names) if Path(name).name == source_name}
            last: int | None = None
            for entry in table.get_entries():
                state = entry.state
                if state is None:
                    continue
                if state.end_sequence:
                    rows.append((state.address, None))
                    last = None
                    continue
                if state.file in own and state.line:
                    last = state.line
                # Inlined header code is charged to the line of the kernel that used it.
                rows.append((state.address, last))
    return _last_of_each_address(rows)


def _last_of_each_address(rows: list[tuple[int, int | None]]) -> list[tuple[int, int | None]]:
    return list({address: line for address, line in rows}.items())
