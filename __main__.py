"""`python -m autocomp_mcp` and the `autocomp-mcp` command."""

import atexit
import gc
import io
import sys


def main() -> None:
    from .server.cli import app

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr: no command ends because an encoding lacks a sign
    atexit.register(gc.freeze)  # or the interpreter walks through every imported object once more before it ends
    app()


if __name__ == "__main__":
    main()
