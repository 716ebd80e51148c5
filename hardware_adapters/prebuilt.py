"""Our programs in C built beforehand, for a container's image: the first evaluation need not wait for a compiler.

    python -m autocomp_mcp.hardware_adapters.prebuilt FOLDER

builds the simulator, the emulator and the sandbox's launcher into a folder. Where $AUTOCOMP_PREBUILT names it they are
taken from there, else they are built at first use for the processor at hand. The machine that builds an image is not
the one that runs it, so they are made for families of processors.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import anyio

from .errors import AdapterError, EnvironmentLackError
from .store import Home
from .toolchain import HostProgram, build_host_program, host_compiler, processor_families


def host_programs() -> tuple[HostProgram, ...]:
    """All that are ever built for the machine itself, but for the runner that needs a GPU's toolkit."""
    from .gemmini import gemsim
    from .nvidia.cpusim import build as cpusim
    from .sandbox import starting

    return gemsim.host_program(), cpusim.host_program(), starting.host_program()


async def build_all(folder: Path) -> list[Path]:
    """The programs, each for every family of processors. Raises EnvironmentLackError, also where the compiler is not
    the zig wheel's: others have other names for the families."""
    if (compiler := host_compiler()).kind != "zig":
        raise EnvironmentLackError(f"programs are built beforehand with the ziglang wheel, not with {compiler.title}")
    made = []
    with tempfile.TemporaryDirectory(prefix="autocomp-prebuilt-") as scratch:
        home = Home(Path(scratch))
        for wanted in host_programs():
            for family in processor_families():
                program = await build_host_program(home, wanted, processors=family)
                target = folder / program.parent.name
                shutil.copytree(program.parent, target, dirs_exist_ok=True)
                made.append(target / program.name)
    return made


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python -m autocomp_mcp.hardware_adapters.prebuilt FOLDER", file=sys.stderr)
        return 2
    try:
        for program in anyio.run(build_all, Path(sys.argv[1])):
            print(program)
    except (AdapterError, OSError) as error:
        print(f"autocomp-mcp: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
