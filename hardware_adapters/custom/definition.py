"""What a user says of an operator of his own, and the checked definition that is made of it."""

from __future__ import annotations

import difflib
import hashlib
import json
import keyword
import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import InvalidProblemError, UsageError
from ..kernel_source import check_source, syntax_tree
from ..results import Record, Tensor
from .expression import ExpressionError, parse, parse_integer

FAMILY = "custom"
FLOATS = ("float32", "bfloat16")
DTYPES = ("int8", "int32", *FLOATS)
MAX_TENSORS = 8  # arguments of a kernel
MAX_DIMS = 12
MAX_EXTENT = 1 << 24
MAX_RANK = 6
MAX_NAME = 32
MAX_TITLE = 120
MAX_PYTHON = 64 << 10
MAX_MACS = 1 << 40
TOLERANCES = (1e-7, 1e-2)
USUAL_TOLERANCE, USUAL_BF16_TOLERANCE = 1e-4, 1e-2

NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*", re.ASCII)
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
_TENSOR = re.compile(r"\s*(?P<name>[^:\[\]]*?)\s*:\s*(?P<dtype>[^:\[\]]*?)\s*\[(?P<shape>[^\[\]]*)\]\s*")
_RESERVED = """
auto break case char const continue default do double else enum extern float for goto if inline int long register
restrict return short signed sizeof static struct switch typedef union unsigned void volatile while bool true false
solution main asm typeof
"""
_C_WORDS = frozenset(_RESERVED.split())
_SHOWN = 60
_COLLECTIONS = ("dims", "inputs", "outputs", "ranges")


class FirstKernel(NamedTuple):
    """What a target's first kernel is: its file's name, what it is called, whether a problem needs one."""

    file: str
    what: str
    needed: bool


_C_KERNEL = FirstKernel("kernel.c", "the C source of a correct kernel", True)
FIRST_KERNELS = {"gemmini": _C_KERNEL, "trainium": FirstKernel("kernel.py", "a correct kernel in NKI", False)}


class OwnProblem(BaseModel):
    """An operator of your own. Arguments of the kernel: inputs, then outputs, in this order, as pointers to row-major
    arrays."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(description="Lower case, e.g. scaled-add")
    target: str = Field(default="gemmini", description="From list_targets")
    title: str = Field(default="", description="One line: what it computes")
    dims: dict[str, int] = Field(default={}, description="Numbers that shapes and reference use, e.g. {M: 64, N: 64}")
    inputs: list[str] = Field(
        description="NAME: DTYPE[SHAPE], e.g. 'A: int8[M, K]'; int8, int32, or float32; trainium: bfloat16 too"
    )
    outputs: list[str] = Field(description="Likewise")
    reference: str | None = Field(
        default=None,
        description="NumPy over tensors and dims, a line `NAME = …` per output, e.g. 'C = np.clip(A @ B, -128, 127)'. "
        "Integers are int64 there, floats float64; round and saturate yourself",
    )
    reference_file: str | None = Field(
        default=None, description="Instead: Python file under the server's problem root, with reference(A, …)"
    )
    kernel: str | None = Field(
        default=None,
        description="A correct kernel to start from: C, `void solution(…)`; trainium: NKI, or none",
    )
    macs: str | int | None = Field(
        default=None, description="Multiply-accumulates no kernel can avoid, e.g. 'M * N * K'; unknown: no bound"
    )
    tolerance: float | None = Field(
        default=None,
        description=f"Of floats: share of the output's largest magnitude; default {USUAL_TOLERANCE:g}, bfloat16 1e-2",
    )
    ranges: dict[str, Annotated[list[float], Field(min_length=2, max_length=2)]] = Field(
        default={}, description="Inputs that must stay within limits: {A: [1, 100]}; default: int8 all, float32 -1..1"
    )


class Definition(Record):
    """A checked problem of the user's own; all of it is its identity."""

    name: str
    target: str
    title: str
    dims: dict[str, int]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    language: Literal["expression", "python"]
    reference: str
    kernel: str | None
    macs: int | None
    macs_text: str | None
    tolerance: float | None
    ranges: dict[str, tuple[float, float]]

    @property
    def digest(self) -> str:
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def family(self) -> str:
        return f"{FAMILY}-{self.name}"

    @property
    def id(self) -> str:
        return f"{self.target}/{self.family}-{self.digest}"

    def given(self) -> dict[str, Any]:
        """What makes the same definition again, on another machine too; without a reference in Python."""
        data: dict[str, Any] = self.model_dump(include={"name", "target", "title", "dims", "kernel", "tolerance"})
        for field, tensors in (("inputs", self.inputs), ("outputs", self.outputs)):
            data[field] = [f"{t.name}: {t.dtype}[{', '.join(map(str, t.shape))}]" for t in tensors]
        data |= {"macs": self.macs_text, "ranges": {name: list(limits) for name, limits in self.ranges.items()}}
        return data | {"reference": self.reference if self.language == "expression" else None}

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """In the order of the kernel's parameters."""
        return *self.inputs, *self.outputs


def first_kernel(target: str) -> FirstKernel:
    return FIRST_KERNELS.get(target, _C_KERNEL)


def is_own(problem_id: str) -> bool:
    """Whether an id is written like one of a user's own problem."""
    return problem_id.partition("/")[2].startswith(f"{FAMILY}-")


def parsed(data: Mapping[str, Any]) -> OwnProblem:
    """From plain data, e.g. a TOML file's. Raises InvalidProblemError that names the field."""
    try:
        return OwnProblem.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else "problem"
        if first["type"] == "extra_forbidden":
            near = difflib.get_close_matches(field, OwnProblem.model_fields, 1, 0.6)
            meant = f"did you mean {near[0]!r}? " if near else ""
            raise InvalidProblemError(
                _short(field), f"no such field; {meant}There are: {', '.join(OwnProblem.model_fields)}"
            ) from error
        where = f"[{first['loc'][1]!r}]" if field in _COLLECTIONS and len(first["loc"]) > 1 else ""
        what = "is missing" if first["type"] == "missing" else first["msg"]
        raise InvalidProblemError(f"{field}{where}", what) from error


def checked(given: OwnProblem, python: str | None = None) -> Definition:
    """`python`: the text of the reference file, where one is used. Raises InvalidProblemError."""
    if not NAME.fullmatch(given.name) or len(given.name) > MAX_NAME:
        raise InvalidProblemError(
            "name",
            f"{_short(given.name)!r}: lower-case letters, digits and single hyphens, at most {MAX_NAME} characters",
        )
    title = given.title.strip() or given.name
    if len(title) > MAX_TITLE or not title.isprintable():
        raise InvalidProblemError("title", f"one line of at most {MAX_TITLE} printable characters")
    dims = _dims(given.dims)
    inputs = tuple(_tensor("inputs", "input", text, dims) for text in given.inputs)
    outputs = tuple(_tensor("outputs", "output", text, dims) for text in given.outputs)
    _check_tensors(inputs, outputs, dims)
    language, reference = _reference(given, python, dims, inputs, outputs)
    first = first_kernel(given.target)
    if given.kernel is None and first.needed:
        raise InvalidProblemError("kernel", f"is missing: {first.what}, however slow, to start from")
    try:
        if given.kernel is not None:
            check_source(given.kernel)
    except UsageError as error:
        raise InvalidProblemError("kernel", str(error)) from error
    text = None if given.macs is None else str(given.macs)
    return Definition(
        name=given.name,
        target=given.target,
        title=title,
        dims=dims,
        inputs=inputs,
        outputs=outputs,
        language=language,
        reference=reference,
        kernel=given.kernel,
        macs=None if text is None else _whole("macs", text, dims, MAX_MACS),
        macs_text=text,
        tolerance=_tolerance(given.tolerance, outputs),
        ranges=_ranges(given.ranges, inputs),
    )


def _dims(given: Mapping[str, int]) -> dict[str, int]:
    if len(given) > MAX_DIMS:
        raise InvalidProblemError("dims", f"{len(given)} of them; at most {MAX_DIMS}")
    for name, value in given.items():
        _check_name("dims", name)
        if not 1 <= value <= MAX_EXTENT:
            raise InvalidProblemError("dims", f"{name} = {value} is not in 1..{MAX_EXTENT}")
    return dict(given)


def _tensor(field: str, role: Literal["input", "output"], text: str, dims: Mapping[str, int]) -> Tensor:
    match = _TENSOR.fullmatch(text) if len(text) <= 400 else None
    if match is None:
        raise InvalidProblemError(
            field, f"{_short(text)!r} is not written as 'NAME: DTYPE[SHAPE]', e.g. 'A: int8[M, K]'"
        )
    _check_name(field, match["name"])
    if match["dtype"] not in DTYPES:
        raise InvalidProblemError(
            field, f"{match['name']} has type {_short(match['dtype'])!r}; known: {', '.join(DTYPES)}"
        )
    extents = [part for part in match["shape"].split(",") if part.strip()]
    if not 1 <= len(extents) <= MAX_RANK:
        raise InvalidProblemError(field, f"{match['name']} has {len(extents)} dimensions; 1 to {MAX_RANK} are known")
    shape = tuple(_whole(f"{field}: {match['name']}", extent, dims, MAX_EXTENT) for extent in extents)
    return Tensor(name=match["name"], role=role, shape=shape, dtype=match["dtype"])


def _check_name(field: str, name: str) -> None:
    if not _IDENTIFIER.fullmatch(name) or len(name) > MAX_NAME:
        raise InvalidProblemError(field, f"{_short(name)!r} is no name: letters, digits and _, at most {MAX_NAME}")
    if name in _C_WORDS or keyword.iskeyword(name) or name in ("np", "numpy"):
        raise InvalidProblemError(field, f"{name!r} has a meaning in C or Python: take another name")


def _check_tensors(inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...], dims: Mapping[str, int]) -> None:
    for field, tensors in (("inputs", inputs), ("outputs", outputs)):
        if not tensors:
            raise InvalidProblemError(field, "there is none; at least one is needed")
    if len(inputs) + len(outputs) > MAX_TENSORS:
        raise InvalidProblemError(
            "inputs", f"{len(inputs) + len(outputs)} tensors; a kernel takes at most {MAX_TENSORS}"
        )
    seen = set(dims)
    for field, tensors in (("inputs", inputs), ("outputs", outputs)):
        for tensor in tensors:
            if tensor.name in seen:
                raise InvalidProblemError(field, f"{tensor.name!r} is given twice")
            seen.add(tensor.name)


def _reference(
    given: OwnProblem,
    python: str | None,
    dims: Mapping[str, int],
    inputs: tuple[Tensor, ...],
    outputs: tuple[Tensor, ...],
) -> tuple[Literal["expression", "python"], str]:
    if (given.reference is None) == (python is None):
        told = (
            "is missing: give NumPy expressions, or a Python file"
            if python is None
            else "is given twice: here and as a file"
        )
        raise InvalidProblemError("reference", told)
    if python is not None:
        if len(python.encode()) > MAX_PYTHON:
            raise InvalidProblemError("reference.py", f"more than {MAX_PYTHON} bytes")
        return "python", python
    assert given.reference is not None
    try:
        parse(given.reference, [*dims, *(t.name for t in inputs)], tuple(t.name for t in outputs), syntax_tree)
    except ExpressionError as error:
        raise InvalidProblemError("reference", str(error)) from error
    return "expression", given.reference.strip()


def _whole(field: str, text: str, dims: Mapping[str, int], largest: int) -> int:
    try:
        value = parse_integer(text, dims, syntax_tree)
    except ExpressionError as error:
        raise InvalidProblemError(field, f"{_short(text.strip())!r}: {error.what}") from error
    if not 1 <= value <= largest:
        raise InvalidProblemError(field, f"{_short(text.strip())!r} is {value}, not in 1..{largest}")
    return value


def _tolerance(given: float | None, outputs: tuple[Tensor, ...]) -> float | None:
    if all(t.dtype not in FLOATS for t in outputs):
        if given is not None:
            raise InvalidProblemError("tolerance", "integers are compared exactly: leave it out")
        return None
    rounded = any(t.dtype == "bfloat16" for t in outputs)
    tolerance = (USUAL_BF16_TOLERANCE if rounded else USUAL_TOLERANCE) if given is None else given
    if not TOLERANCES[0] <= tolerance <= TOLERANCES[1]:
        raise InvalidProblemError("tolerance", f"{tolerance:g} is not in {TOLERANCES[0]:g}..{TOLERANCES[1]:g}")
    return tolerance


def _ranges(given: Mapping[str, list[float]], inputs: tuple[Tensor, ...]) -> dict[str, tuple[float, float]]:
    limits = {"int8": (-128, 127), "int32": (-(2**31), 2**31 - 1), "float32": (-1e30, 1e30), "bfloat16": (-1e30, 1e30)}
    types = {tensor.name: tensor.dtype for tensor in inputs}
    for name, (low, high) in given.items():
        if name not in types:
            raise InvalidProblemError("ranges", f"{_short(name)!r} is no input; inputs: {', '.join(types)}")
        least, most = limits[types[name]]
        if not (math.isfinite(low) and math.isfinite(high) and least <= low < high <= most):
            raise InvalidProblemError(
                "ranges", f"{name}: [{low:g}, {high:g}] is no range within {types[name]}, the lower limit first"
            )
        if types[name] not in FLOATS and (low != int(low) or high != int(high)):
            raise InvalidProblemError("ranges", f"{name}: limits of integers are whole numbers")
    return {name: (low, high) for name, (low, high) in given.items()}


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
