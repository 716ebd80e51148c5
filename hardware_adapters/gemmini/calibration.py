"""The one place that says how far gemsim's cycle counts can be trusted."""

from __future__ import annotations

import functools
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .operators import DEFAULT_CONFIGURATION

FILE = Path(__file__).with_name("calibration.yaml")


class Calibration(BaseModel):
    """Comparison of simulated with measured cycles over a set of kernels; None: not measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    configuration: str = DEFAULT_CONFIGURATION
    median_error_percent: float | None = Field(ge=0)
    worst_error_percent: float | None = Field(ge=0)
    spearman: float | None = Field(ge=-1, le=1, description="Rank correlation of utilisation")
    kernels: int = Field(ge=0)
    against: str

    @property
    def trust(self) -> str:
        """For people: what was compared, and how well it agreed."""
        if self.configuration != DEFAULT_CONFIGURATION:
            return (
                f"{self.configuration}: uncalibrated; its cycles are those of the 16x16 system's timing with other "
                "sizes, never compared with a measurement."
            )
        if self.median_error_percent is None:
            return (
                "Functionally bit-exact in tests; cycle counts are estimates of a model that was built from RTL "
                "measurements but whose error has not been measured yet."
            )
        text = (
            f"Estimated cycles: median error {self.median_error_percent:.1f} % over {self.kernels} kernels measured on "
            f"{self.against}"
        )
        if self.worst_error_percent is not None:
            text += f", worst {self.worst_error_percent:.1f} %"
        if self.spearman is not None:
            text += f", rank correlation of utilisation {self.spearman:.3f}"
        return text + "."


@functools.cache
def calibration(configuration: str = DEFAULT_CONFIGURATION) -> Calibration:
    """Of one configuration of the simulator: only the default one was measured.

    Raises ValueError that names the file, when someone edited it wrongly.
    """
    if configuration != DEFAULT_CONFIGURATION:
        return Calibration(
            configuration=configuration,
            median_error_percent=None,
            worst_error_percent=None,
            spearman=None,
            kernels=0,
            against="nothing",
        )
    try:
        return Calibration.model_validate(yaml.safe_load(FILE.read_text()))
    except (yaml.YAMLError, ValidationError) as error:
        raise ValueError(f"{FILE}: {error}") from error
