"""`python -m autocomp_mcp` and the `autocomp-mcp` command."""

import atexit
import gc


def main() -> None:
    from .server.cli import app

    atexit.register(gc.freeze)  # or the interpreter walks through every imported object once more before it ends
    app()


if __name__ == "__main__":
    main()
