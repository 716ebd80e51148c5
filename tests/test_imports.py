"""The house has floors: no import runs upwards, and the agent sees only types from below."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What each room may import of the other rooms (docs/architecture.md, "Floors").
ALLOWED = {
    "hardware_adapters": set(),
    "menus": set(),
    "agent": {"hardware_adapters.base", "menus.option"},
    "tools": {"hardware_adapters", "menus", "agent"},
    "server": {"hardware_adapters", "menus", "agent", "tools"},
}


def imported_modules(path: Path) -> set[str]:
    """Modules of this package that a file imports, as dotted names below `autocomp_mcp`."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - (node.level - 1)]
            stem = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            found |= {f"{stem}.{alias.name}".strip(".") for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("autocomp_mcp"):
            found |= {f"{node.module}.{alias.name}".removeprefix("autocomp_mcp.") for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name.removeprefix("autocomp_mcp.") for a in node.names if a.name.startswith("autocomp_mcp.")}
    return found


@pytest.mark.parametrize("room", ALLOWED)
def test_no_import_runs_upwards(room: str) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        for module in imported_modules(path):
            floor = module.split(".")[0]
            if floor not in ALLOWED or floor == room:
                continue
            assert any(module == allowed or module.startswith(allowed + ".") for allowed in ALLOWED[room]), (
                f"{path.relative_to(ROOT)} imports {module}; {room}/ may import only {sorted(ALLOWED[room])}"
            )


# What each room within `server` may import of the other rooms there.
WITHIN_SERVER = {
    "terminal": set(),
    "report": set(),
    "install": set(),
    "serving": {"report"},
    "commands": {"terminal", "report", "install", "serving"},
    "cli": {"commands", "install", "serving"},
}


@pytest.mark.parametrize("room", WITHIN_SERVER)
def test_no_import_runs_upwards_within_the_server(room: str) -> None:
    files = sorted((ROOT / "server" / room).rglob("*.py"))
    assert len(files) > 1
    for path in files:
        for module in imported_modules(path):
            within = module.split(".")[1] if module.startswith("server.") else ""
            assert within not in WITHIN_SERVER or within in WITHIN_SERVER[room] | {room}, (
                f"{path.relative_to(ROOT)} imports {module}; server/{room}/ may import only {WITHIN_SERVER[room]}"
            )


def test_help_is_light() -> None:
    """`--help` must not pay for the SDKs: mcp alone costs most of a second to import."""
    code = (
        "import sys\n"
        "from autocomp_mcp.__main__ import main\n"
        "sys.argv = ['autocomp-mcp', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print('heavy:', sorted({'mcp', 'anthropic', 'numpy'} & set(sys.modules)))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")
    assert "heavy: []" in run.stdout, run.stdout + run.stderr
