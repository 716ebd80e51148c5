"""Plans and kernels out of a model's answers; what is wrong with an answer is said in words for the model."""

from __future__ import annotations

import json
import re

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...hardware_adapters.base import mistakes
from ..runs.candidate import Plan
from .edits import EditError, apply_edits, read_edits
from .transport import Stop

# A block is opened by a line of ``` (and a language) and closed by a line of ``` alone.
_FENCED = re.compile(r"^```[^\n`]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
_OPTION = re.compile(r"^[ \t*`]*option[ \t]*:[ \t*`]*([\w-]+)", re.MULTILINE | re.IGNORECASE)
_CODE = re.compile(r"^(?:```|<{7} )", re.MULTILINE)
_OPENED = re.compile(r"^```", re.MULTILINE)


class _PlanAnswer(BaseModel):
    model_config = ConfigDict(extra="ignore")

    option: str
    plan: str = Field(min_length=10, max_length=8000)


def read_plan(text: str, choices: tuple[str, ...] | None) -> tuple[Plan | None, str | None]:
    """(plan, None), or (None, what is wrong with the answer). `choices`: ids that may be chosen; None: any."""
    start, end = text.find("{"), text.rfind("}")
    try:
        answer = _PlanAnswer.model_validate(json.loads(text[start : end + 1], strict=False))
    except ValidationError as error:
        found = mistakes(error, most=3)
        return None, f"the JSON lacks what was asked for ({found})"
    except ValueError as error:
        return None, f"it is not the JSON object asked for ({error})"
    complaint = not_offered(answer.option, choices)
    return (None, complaint) if complaint else (Plan(option=answer.option, text=answer.plan), None)


def not_offered(option: str, choices: tuple[str, ...] | None) -> str | None:
    if choices is None or option in choices:
        return None
    return f"{option[:60]!r} is not an id of this menu; it has: {', '.join(choices)}"


def read_option(text: str, choices: tuple[str, ...] | None) -> tuple[str | None, str | None]:
    """The option that an answer without a planning phase names before its code, as (option, complaint)."""
    match = _OPTION.search(_CODE.split(text, maxsplit=1)[0])
    if match is None:
        return None, "there is no line `option: <menu id>` before the code"
    complaint = not_offered(match[1], choices)
    return (None, complaint) if complaint else (match[1], None)


def edited_source(text: str, source: str) -> tuple[str | None, str | None]:
    """As fenced_source, of an answer that edits `source`; a whole kernel is taken too."""
    try:
        edits = read_edits(text)
        if not edits:
            whole, _ = fenced_source(text)
            return (whole, None) if whole else (None, "there is neither a SEARCH/REPLACE block nor a kernel in it")
        return apply_edits(source, edits), None
    except EditError as error:
        return None, str(error)


def fenced_source(text: str) -> tuple[str | None, str | None]:
    """(kernel, None), or (None, what is wrong). Of several blocks the longest is the kernel."""
    blocks = [match[1] for match in _FENCED.finditer(text) if match[1].strip()]
    if blocks:
        return max(blocks, key=len), None
    if _OPENED.search(text):
        return None, "the code block is not closed: the kernel is cut off"
    return None, "there is no fenced code block (a line of ```, the kernel, a line of ```) in the answer"


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
