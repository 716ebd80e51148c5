"""How much to search, and how."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field

# What only says where a search ends: a resumed run may get more of it.
LIMITS = ("iterations", "max_evaluations", "max_cost_usd", "timeout_s")


class SearchSettings(BaseModel):
    """Settings of one run. They are journalled with it: a resumed run goes on with the same ones, but for LIMITS."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    iterations: int = Field(default=8, ge=1, le=1000, description="Passes of plan, generate, evaluate, select")
    plans: int = Field(default=6, ge=1, le=64, description="Plans per beam member and iteration")
    codes: int = Field(default=2, ge=1, le=16, description="Implementations per plan")
    beam: int = Field(default=4, ge=1, le=64, description="Candidates that go on to the next iteration")
    repairs: int = Field(default=1, ge=0, le=5, description="Further attempts for a kernel that does not pass")
    dropout: float = Field(
        0.6, ge=0, lt=1, description="Menu options are left out of a plan's menu with this probability"
    )
    slack: float = Field(
        default=0.1, ge=0, le=1, description="A child may be so much slower than its parent while slack lasts"
    )
    slack_iterations: int = Field(
        2, ge=0, description="Iterations in which `slack` holds; later a child must be faster"
    )
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="Of every random choice the search makes")
    max_cost_usd: float | None = Field(
        default=None, gt=0, description="Stop before spending more; at most one call over"
    )
    max_evaluations: int | None = Field(default=None, ge=1, description="Kernels evaluated, the baseline among them")
    timeout_s: float | None = Field(default=None, gt=0, description="Wall clock of the run, resumed parts added up")
    stop_utilisation: float = Field(
        0.97, gt=0, le=1, description="Stop when the best kernel reaches this share of the bound"
    )
    max_parallel_model: int = Field(default=8, ge=1, le=64)
    max_parallel_engine: int = Field(default=2, ge=1, le=256)
    engine: str | None = Field(default=None, description="Engine to judge by; the target's default when not given")
    confirm: str | None = Field(
        default=None, description="Engine that judges the fastest kernels once more, after the search"
    )
    confirm_top: int = Field(default=3, ge=1, le=32, description="Kernels that `confirm` judges, from the fastest down")
    confirm_timeout_s: float = Field(
        3600.0, gt=0, le=7200, description="Wall clock of each of these; not part of `timeout_s`"
    )

    @classmethod
    def offline(cls, **changes: object) -> Self:
        """For the rule-based model: its codes are exact, so one per plan, and no repairs."""
        values = {"iterations": 10, "plans": 6, "codes": 1, "beam": 3, "repairs": 0, "dropout": 0.2, "timeout_s": 120.0}
        return cls.model_validate(values | changes)

    @classmethod
    def llm(cls, **changes: object) -> Self:
        """For a language model: narrower than published, since calls cost money."""
        return cls.model_validate({"iterations": 8, "plans": 4, "codes": 2, "beam": 4} | changes)

    @classmethod
    def for_model(cls, spec: str, **changes: object) -> Self:
        """The defaults that suit the model named by `spec` (`offline`, `anthropic:...`)."""
        return cls.offline(**changes) if spec.partition(":")[0] == "offline" else cls.llm(**changes)
