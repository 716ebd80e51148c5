"""The programming references: one folder of Markdown per target, one topic per file.

`guide` alone is enough to write a correct kernel; the other topics go deeper.
"""

from __future__ import annotations

from pathlib import Path

from .menu import UnknownNameError

MAX_TOPIC_BYTES = 8 * 1024
MAX_GUIDE_BYTES = 6 * 1024
_FOLDER = Path(__file__).parent / "references"


def topics(target: str) -> dict[str, str]:
    """Topic name -> title (the first heading), `guide` first, the rest by name. Raises UnknownNameError."""
    known = sorted(path.name for path in _FOLDER.iterdir() if path.is_dir() and not path.name.startswith("_"))
    if target not in known:
        raise UnknownNameError("target", target, known)
    names = sorted((path.stem for path in (_FOLDER / target).glob("*.md")), key=lambda name: (name != "guide", name))
    return {name: _title(_FOLDER / target / f"{name}.md") for name in names}


def reference(target: str, topic: str) -> str:
    """One topic as Markdown, at most 8 KB. Raises UnknownNameError, with the known topics in its text."""
    known = topics(target)
    if topic not in known:
        raise UnknownNameError("topic", topic, known)
    return (_FOLDER / target / f"{topic}.md").read_text(encoding="utf-8")


def _title(path: Path) -> str:
    with path.open(encoding="utf-8") as lines:
        return next(lines, "").lstrip("# ").strip()
