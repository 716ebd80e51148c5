"""Plans and kernels out of a model's answers; what is wrong with an answer is said in words for the model."""

from __future__ import annotations

import json
import re

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..candidate import Plan
from .base import Offer
from .transport import Stop

# A block is opened by a line of ``` (and a language) and closed by a line of ``` alone.
_FENCED = re.compile(r"^```[^\n`]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
_OPENED = re.compile(r"^```", re.MULTILINE)


class _PlanAnswer(BaseModel):
    model_config = ConfigDict(extra="ignore")

    option: str
    plan: str = Field(min_length=10, max_length=8000)


def read_plan(text: str, menu: tuple[Offer, ...]) -> tuple[Plan | None, str | None]:
    """(plan, None), or (None, what is wrong with the answer)."""
    start, end = text.find("{"), text.rfind("}")
    try:
        answer = _PlanAnswer.model_validate(json.loads(text[start : end + 1], strict=False))
    except ValidationError as error:
        found = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3])
        return None, f"the JSON lacks what was asked for ({found})"
    except ValueError as error:
        return None, f"it is not the JSON object asked for ({error})"
    complaint = not_offered(answer.option, menu)
    return (None, complaint) if complaint else (Plan(option=answer.option, text=answer.plan), None)


def not_offered(option: str, menu: tuple[Offer, ...]) -> str | None:
    known = [offer.id for offer in menu]
    return None if option in known else f"{option[:60]!r} is not an id of this menu; it has: {', '.join(known)}"


def fenced_source(text: str) -> tuple[str | None, str | None]:
    """(kernel, None), or (None, what is wrong). Of several blocks the longest is the kernel."""
    blocks = [match[1] for match in _FENCED.finditer(text) if match[1].strip()]
    if blocks:
        return max(blocks, key=len), None
    if _OPENED.search(text):
        return None, "the code block is not closed: the kernel is cut off"
    return None, "there is no fenced code block (```c ... ```) in the answer"


def judged(stop: Stop, complaint: str | None) -> tuple[str | None, bool]:
    """(complaint, final) in the light of why the model stopped."""
    if stop == "refused":
        return "the model refused", True
    if stop == "no_room":
        return "the prompt and answer do not fit the model's context window", True
    if stop == "cut_off":
        # Even a closed block may be half of the answer: what is cut off is never run.
        return "the answer was cut off at the limit of tokens; answer more shortly", False
    return complaint, False
