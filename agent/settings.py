"""How much to search, and how. Presets by name are in presets.yaml."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field

from .errors import AgentUsageError

# What only says where a search ends: a resumed run may get more of it.
LIMITS = ("iterations", "max_evaluations", "max_cost_usd", "max_tokens", "timeout_s")

# What a planner is told about the parent's run on the hardware.
Feedback = Literal["latency", "utilisation", "bottlenecks", "units", "stalls", "traffic", "lines"]
FEEDBACK: tuple[Feedback, ...] = get_args(Feedback)

MOST_PARALLEL = 10_000
PRESETS = Path(__file__).parent / "presets.yaml"


class SearchSettings(BaseModel):
    """Settings of one run. They are journalled with it: a resumed run goes on with the same ones, but for LIMITS."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # The loop
    iterations: int = Field(default=8, ge=1, le=1000, description="Passes of plan, generate, evaluate, select")
    plans: int = Field(default=6, ge=1, le=64, description="Plans per beam member and iteration")
    codes: int = Field(default=2, ge=1, le=16, description="Implementations per plan")
    beam: int = Field(default=4, ge=1, le=64, description="Candidates that go on to the next iteration")
    repairs: int = Field(default=1, ge=0, le=5, description="Further attempts for a kernel that does not pass")
    slack: float = Field(
        default=0.1, ge=0, le=1, description="A child may be so much slower than its parent while slack lasts"
    )
    slack_iterations: int = Field(
        2, ge=0, description="Iterations in which `slack` holds; later a child must be faster"
    )
    translate_iterations: int = Field(
        default=0, ge=0, description="First iterations that move the kernel to the accelerator, whatever the speed"
    )
    one_phase: bool = Field(default=False, description="No planning: code at once from the menu (an ablation)")
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="Of every random choice the search makes")

    # What a model is shown
    dropout: float = Field(
        0.6, ge=0, lt=1, description="Menu options are left out of a plan's menu with this probability"
    )
    menu_choice: Literal["adaptive", "random"] = Field(
        default="adaptive", description="Which options stay: those expected to pay, by Thompson sampling, or any"
    )
    ancestors: int = Field(default=4, ge=0, le=32, description="Steps of the parent's lineage in the prompt")
    feedback: tuple[Feedback, ...] = Field(
        default=FEEDBACK, description="What the prompt says of the parent's run on the hardware"
    )
    examples: int = Field(default=2, ge=0, le=8, description="Steps that paid in earlier runs of the family, in plans")
    edit_above: int | None = Field(
        default=12_000, ge=0, description="Kernels of more characters are answered with edits; None: always whole"
    )

    # Models
    model_choice: Literal["adaptive", "weights"] = Field(
        default="adaptive", description="Of several models: the one expected to gain most per dollar, or by weight"
    )
    base_url: str | None = Field(default=None, description="Of the model's service, where not the provider's own")
    batch: bool = Field(default=False, description="Model calls through the provider's batch service: cheaper, later")

    # What is not done twice
    duplicates: Literal["code", "source", "evaluate"] = Field(
        default="code",
        description="Not evaluated: kernels whose object code, or whose normalised source, was evaluated before",
    )
    reuse: str = Field(
        default="auto", description="Schedule to replay first: of the nearest earlier run, of the run named, or `none`"
    )

    # Where it ends
    max_cost_usd: float | None = Field(
        default=None, gt=0, description="Stop before spending more; at most one call over"
    )
    max_tokens: int | None = Field(default=None, ge=1, description="Input and output of all calls; at most one over")
    max_evaluations: int | None = Field(default=None, ge=1, description="Kernels evaluated, the baseline among them")
    timeout_s: float | None = Field(default=None, gt=0, description="Wall clock of the run, resumed parts added up")
    stop_utilisation: float = Field(
        0.97, gt=0, le=1, description="Stop when the best kernel reaches this share of the bound"
    )
    patience: int | None = Field(default=None, ge=1, description="Stop after so many iterations without a gain")

    # Engines
    max_parallel_model: int = Field(default=8, ge=1, le=64)
    max_parallel_engine: int | None = Field(
        default=None, ge=1, le=MOST_PARALLEL, description="Evaluations at once; None: as many as there is room for"
    )
    engine: str | None = Field(default=None, description="Engine to judge by; the target's default when not given")
    screen: bool = Field(
        default=True, description="A kernel goes to an `engine` other than the default once it passed on the default"
    )
    confirm: str | None = Field(
        default=None, description="Engine that judges the fastest kernels once more, after the search"
    )
    confirm_top: int = Field(default=3, ge=1, le=32, description="Kernels that `confirm` judges, from the fastest down")
    confirm_timeout_s: float = Field(
        3600.0, gt=0, le=7200, description="Wall clock of each of these; not part of `timeout_s`"
    )

    @classmethod
    def for_model(cls, spec: str, /, preset: str | None = None, **changes: object) -> Self:
        """The defaults that suit the model named by `spec` (`offline`, `anthropic:...`), or those of a preset.

        Raises AgentUsageError for an unknown preset.
        """
        if preset is None:
            preset = "offline" if spec.partition(":")[0] == "offline" else "llm"
        return cls.model_validate(preset_values(preset) | changes)


@lru_cache(maxsize=1)
def presets() -> dict[str, dict[str, Any]]:
    """Name -> settings; every one was validated."""
    entries: dict[str, dict[str, Any]] = yaml.safe_load(PRESETS.read_text())
    for name, values in entries.items():
        try:
            SearchSettings.model_validate(values)
        except ValueError as error:
            raise AgentUsageError(f"{PRESETS}: preset {name!r}: {error}") from error
    return entries


def preset_values(name: str) -> dict[str, Any]:
    """Raises AgentUsageError for an unknown name."""
    if name not in presets():
        raise AgentUsageError(f"unknown preset {name!r}; there are: {', '.join(presets())}")
    return dict(presets()[name])
