"""`python -m autocomp_mcp` and the `autocomp-mcp` command."""


def main() -> None:
    from .server.cli import app

    app()


if __name__ == "__main__":
    main()
