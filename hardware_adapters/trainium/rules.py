"""What decides about kernels here, as a digest: when it changes, remembered evaluations are worked out again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

HERE = Path(__file__).parent
SHARED = ("simulating.py", "kernel_source.py", "custom")  # of this target's rules, what others have too


@lru_cache
def rules_digest() -> str:
    """Of the modules of this folder (operators, screen, judge), of machines.yaml and of what is shared."""
    return digest_of(HERE.glob("*.py"), HERE.glob("*.yaml"), *(_modules(HERE.parent / name) for name in SHARED))


def folder_digest(name: str) -> str:
    """Of the rules, and of a folder beside them."""
    return hashlib.sha256(f"{rules_digest()} {digest_of(_modules(HERE / name))}".encode()).hexdigest()


def digest_of(*groups: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for group in groups for path in group):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _modules(place: Path) -> Iterable[Path]:
    return place.rglob("*.py") if place.is_dir() else (place,)
