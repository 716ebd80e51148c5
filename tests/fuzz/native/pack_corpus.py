"""Keeps of all inputs found so far the few that reach everything: `python pack_corpus.py DRIVER FOLDER`.

FOLDER has a folder of inputs for each target, as `--keep` fills them; what is packed already and the inputs below are
looked at too. Writes corpus.tar.xz, the same bytes for the same inputs. An input that breaks something ends it.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus.tar.xz"
TARGETS = ("elf", "code", "commands", "job")
MOST_BYTES = {"elf": 60_000, "code": 300_000, "commands": 400_000, "job": 20_000}  # before packing
TIMED, PROFILE, WRITTEN = 1, 2, 4
WS_TRANSPOSED, OS = 1 << 16 | 0x204, 1 << 16


def command(funct: int, rs1: int, rs2: int) -> bytes:
    """Any command at all, in the language of fuzz_commands.c."""
    return bytes([15, funct]) + rs1.to_bytes(8, "little") + rs2.to_bytes(8, "little")


def operand(local: int, columns: int, rows: int) -> int:
    return rows << 48 | columns << 32 | local


def commands(*sent: bytes) -> bytes:
    return bytes([TIMED | PROFILE | WRITTEN]) + b"".join(sent)


ALL, ACC = (1 << 64) - 1, 1 << 31
# What was found once (tests/hardware_adapters/gemmini/test_hostile_kernels.py).
FOUND = {
    "commands": (
        commands(command(0, WS_TRANSPOSED, 1 << 48), command(6, operand(16383, 1, 16), operand(ACC, 16, 16)),
                 command(0, OS, 1 << 48), command(4, operand(0, 16, 16), operand(0, 16, 16))),
        commands(command(0, 1 << 16 | 4, 1 << 48), command(6, operand(0, 16, 16), operand(ACC, 16, 16))),
        commands(command(0, 2 << 40 | 2 << 32 | 2 << 24 | 2 << 6 | 1 << 4 | 2, 0x3F800000 << 32 | 16),
                 command(3, 0x90000000, operand(ACC, 16, 0))),
        commands(command(0, 1 << 16 | 4, 1 << 48), 
                 *(command(16 + i, ALL ^ 3 << 14, ALL) for i in range(6)), command(15, 1, 1)),
    ),
    "code": (bytes([TIMED | 8]) + b"\x01\x00",),
    "elf": (),
    "job": (),
}  # fmt: skip


def unpack(target: str, folder: Path) -> list[Path]:
    """The packed inputs of a target, written into `folder`."""
    files = []
    with tarfile.open(CORPUS, "r:xz") as archive:
        for member in archive:
            owner, _, name = member.name.partition("/")
            content = archive.extractfile(member)
            if owner == target and content is not None:
                (folder / name).write_bytes(content.read())
                files.append(folder / name)
    return files


def pack(inputs: dict[str, bytes]) -> None:
    with tarfile.open(CORPUS, "w:xz", preset=9) as archive:
        for name in sorted(inputs):
            member = tarfile.TarInfo(name)
            member.size = len(inputs[name])
            archive.addfile(member, io.BytesIO(inputs[name]))


def kept(driver: Path, target: str, files: list[Path], folder: Path) -> list[Path]:
    """Those that reach what no smaller one does."""
    folder.mkdir()
    files.sort(key=lambda path: (path.stat().st_size, path.name))
    environment = {**os.environ, "GEMSIM_FUZZ_TARGET": target}
    subprocess.run([driver, "--keep", folder, *files], check=True, env=environment, cwd=folder.parent)
    return sorted(folder.iterdir(), key=lambda path: (path.stat().st_size, path.name))


def main(driver: Path, inputs: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        chosen: dict[str, bytes] = {}
        for target in TARGETS:
            found = work / "found" / target
            found.mkdir(parents=True)
            for number, data in enumerate(FOUND[target]):
                (found / f"found{number}").write_bytes(data)
            packed = work / "packed" / target
            packed.mkdir(parents=True)
            if CORPUS.exists():
                unpack(target, packed)
            files = [path for folder in (found, packed, inputs / target) for path in folder.glob("*")]
            of_target = {f"{target}/found{number}": data for number, data in enumerate(FOUND[target])}
            total = 0
            for path in kept(driver, target, files, work / f"kept-{target}"):
                total += path.stat().st_size
                if total <= MOST_BYTES[target]:
                    of_target[f"{target}/{path.name}"] = path.read_bytes()
            chosen |= of_target
    pack(chosen)
    print(f"{len(chosen)} inputs, {CORPUS.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
