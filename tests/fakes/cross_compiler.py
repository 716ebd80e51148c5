"""A program in the place of the RISC-V compiler, that does to the server what a bad one could."""

from __future__ import annotations

from pathlib import Path

NAME = "riscv64-unknown-elf-gcc"  # taken before all others where it is on PATH

READS_STDIN = "cat > {folder}/stdin; exit 1"
SLEEPS = "echo $$ >> {folder}/started; sleep 600"
TALKS = """yes 'kernel.c:1:1: error: as before, and so on, and so on, and so on, and so on' | head -c 6000000 >&2
yes | tr -d '\\n' | head -c 6000000 >&2; exit 1"""


def install(folder: Path, behaviour: str) -> Path:
    """Gives the folder to put on PATH. Every call of the program appends its environment to `folder/environment`."""
    tools = folder / "tools"
    tools.mkdir(parents=True)
    script = tools / NAME
    script.write_text(
        f"#!/bin/sh\nenv >> {folder}/environment\n"
        '[ "$1" = -dumpfullversion ] && { echo 13.2.0; exit 0; }\n' + behaviour.format(folder=folder) + "\n"
    )
    script.chmod(0o755)
    return tools
