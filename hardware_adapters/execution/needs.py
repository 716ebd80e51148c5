"""What an evaluation needs, by engine: data (needs.yaml), and what the user says differently."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import UsageError, mistakes

FILE = Path(__file__).with_name("needs.yaml")
VARIABLE = "AUTOCOMP_NEEDS"
DEFAULT = "default"
ACCELERATOR = "accelerator_type:"  # how Ray names the resource that a node with such an accelerator has
SHARE = 0.001  # of it: any number of evaluations fit, and only on such nodes


class Needs(BaseModel):
    """Of one evaluation. Amounts are what it keeps from others while it runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpus: float = Field(default=1, ge=0)
    memory_mib: int = Field(default=512, ge=0)
    gpus: float = Field(default=0, ge=0)
    accelerator_type: str | None = None
    resources: dict[str, float] = Field(default_factory=dict)

    @property
    def memory_bytes(self) -> int:
        return self.memory_mib << 20

    @property
    def amounts(self) -> dict[str, float]:
        """By the names of a cluster's resources; memory in bytes."""
        found = {"CPU": self.cpus, "memory": float(self.memory_bytes), "GPU": self.gpus, **self.resources}
        if self.accelerator_type is not None:
            found[ACCELERATOR + self.accelerator_type] = SHARE
        return {name: amount for name, amount in found.items() if amount > 0}

    @property
    def text(self) -> str:
        """As words, without what every machine has."""
        special = {name: amount for name, amount in self.amounts.items() if name not in ("CPU", "memory")}
        shown = special or {"CPU": self.cpus, "memory": self.memory_bytes}
        return ", ".join(name if name.startswith(ACCELERATOR) else f"{name}: {shown[name]:g}" for name in shown)


def needs_of(target: str, engine: str) -> Needs:
    """Raises UsageError for a file of the user's own that is not right."""
    table = _table(os.environ.get(VARIABLE) or None)
    return table.get(f"{target}/{engine}", table[DEFAULT])


@functools.cache
def _table(own: str | None) -> dict[str, Needs]:
    entries: dict[str, Any] = _read(FILE)
    if own is not None:
        entries |= _read(Path(own))
    default = entries.get(DEFAULT) or {}
    return {name: Needs.model_validate({**default, **entry}) for name, entry in entries.items()}


def _read(file: Path) -> dict[str, Any]:
    """Raises UsageError, with the file and the entry at fault."""
    try:
        entries = yaml.safe_load(file.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise UsageError(f"{VARIABLE}: cannot read {file}: {error}") from error
    if not isinstance(entries, Mapping):
        raise UsageError(f"{file}: expected entries TARGET/ENGINE: {{cpus: …, resources: …}}")
    for name, entry in entries.items():
        try:
            Needs.model_validate(entry)
        except ValidationError as error:
            raise UsageError(f"{file}: {name}: {mistakes(error)}") from error
    return dict(entries)
