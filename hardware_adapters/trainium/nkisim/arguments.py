"""What a kernel is called with: tensors, and constants beside them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from .dtypes import DTYPES
from .tensor import Tensor


def call(kernel: Any, tensors: Sequence[Tensor], constants: Mapping[str, Any]) -> Any:
    """`constants` are the job's, and go by name to a kernel that has a parameter of that name. Tensors go by name
    too where all their names are parameters: some kernels have constants between them."""
    if not constants:
        return kernel(*tensors)
    parameters = inspect.signature(getattr(kernel, "_function", kernel)).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    named = {name: _decoded(value) for name, value in constants.items() if takes_all or name in parameters}
    inputs = {tensor._memory.name: tensor for tensor in tensors}
    if all(name in parameters for name in inputs):
        return kernel(**inputs, **named)
    return kernel(*tensors, **named)


def _decoded(value: Any) -> Any:
    """{"dtype": name} is an element type, {"tuple": [...]} a tuple."""
    if isinstance(value, dict):
        kind, content = next(iter(value.items()))
        return DTYPES[content] if kind == "dtype" else tuple(map(_decoded, content))
    return [_decoded(each) for each in value] if isinstance(value, list) else value
