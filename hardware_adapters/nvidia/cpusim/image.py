"""What a built candidate says about itself: the functions it calls, what runs when it is loaded, and its lines."""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path
from typing import NamedTuple

POINTER_BYTES = 8


class Image(NamedTuple):
    """`undefined`: symbols it wants from others; `initialisers`: functions that run when it is loaded."""

    undefined: frozenset[str]
    initialisers: int


def read_image(path: Path) -> Image:
    from elftools.elf.elffile import ELFFile
    from elftools.elf.sections import SymbolTableSection

    with path.open("rb") as stream:
        elf = ELFFile(stream)
        table = elf.get_section_by_name(".dynsym")
        undefined = set()
        if isinstance(table, SymbolTableSection):
            undefined = {s.name for s in table.iter_symbols() if s["st_shndx"] == "SHN_UNDEF" and s.name}
        found = [elf.get_section_by_name(name) for name in (".init_array", ".preinit_array", ".ctors")]
        bytes_of_pointers = sum(section["sh_size"] for section in found if section is not None)
        extra = elf.get_section_by_name(".init")
        return Image(frozenset(undefined), bytes_of_pointers // POINTER_BYTES + (extra is not None))


class Lines:
    """Lines of the .cu by offset in the image. A debug section that cannot be read maps nothing."""

    def __init__(self, path: Path, name: str) -> None:
        try:
            rows = sorted(_rows(path, name))
        except Exception:  # lines are a help, never a reason to fail
            rows = []
        self._offsets = [offset for offset, _ in rows]
        self._lines = [line for _, line in rows]

    def of(self, pc: int) -> int | None:
        """The line of the call that returns to `pc`; None when unknown."""
        if not pc:
            return None
        position = bisect_right(self._offsets, pc - 1) - 1
        return self._lines[position] if position >= 0 else None


def _rows(path: Path, name: str) -> list[tuple[int, int | None]]:
    """Addresses with the line that begins there, None where code of other files begins that is no part of a line's.

    What a line takes from a header (an operator of `half`, say) lies behind it, and counts as that line.
    """
    from elftools.elf.elffile import ELFFile

    rows: list[tuple[int, int | None]] = []
    with path.open("rb") as stream:
        for unit in (dwarf := ELFFile(stream).get_dwarf_info()).iter_CUs():
            program = dwarf.line_program_for_CU(unit)
            if program is None:
                continue
            files = program["file_entry"]
            first = 0 if program["version"] >= 5 else 1
            ours = {n + first for n, entry in enumerate(files) if entry.name.decode(errors="replace").endswith(name)}
            for entry in program.get_entries():
                state = entry.state
                if state is not None:
                    if state.end_sequence:
                        rows.append((state.address, None))
                    elif state.file in ours and state.line > 0:
                        rows.append((state.address, state.line))
    # Of several rows for one address the last one counts, and a line is worth more than none.
    best: dict[int, int | None] = {}
    for address, line in rows:
        best[address] = line if line is not None else best.get(address)
    return list(best.items())
