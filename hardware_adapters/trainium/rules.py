"""What decides about kernels here, as a digest: when it changes, remembered evaluations are worked out again."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from ..toolchain import source_digest

HERE = Path(__file__).parent
SHARED = ("simulating.py", "kernel_source.py", "custom")  # of this target's rules, what others have too


@lru_cache
def rules_digest() -> str:
    """Of the modules of this folder (operators, screen, judge), of machines.yaml and of what is shared."""
    shared = (path for name in SHARED for path in _modules(HERE.parent / name))
    return source_digest([*HERE.glob("*.py"), *HERE.glob("*.yaml"), *shared])


def folder_digest(name: str) -> str:
    """Of the rules, and of a folder beside them."""
    return source_digest([*_modules(HERE / name)], rules_digest())


def _modules(place: Path) -> Iterable[Path]:
    return place.rglob("*.py") if place.is_dir() else (place,)
