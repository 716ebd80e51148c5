"""Runs in a process of its own: works out a user's reference for some cases of inputs.

`python -I reference_runner.py FOLDER-OF-NUMPY` in a folder with job.json and the inputs as .npy files; leaves the
results likewise, and answer.json, which says whether it worked. The user's code meets nothing of the server: not its
memory, not its environment. Kept free of imports of the package, of which an isolated interpreter may know nothing.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path += sys.argv[1:]  # where NumPy is, when that is no place that an isolated interpreter looks at
import numpy as np

SOURCE = "reference.py"


class Refused(Exception):
    """The reference is not what it should be."""


def main() -> None:
    job = json.loads(Path("job.json").read_text())
    try:
        compute = _python(job) if job["language"] == "python" else _expression(job)
        for case in range(job["cases"]):
            inputs = {name: _wide(np.load(f"{case}.{name}.npy", allow_pickle=False)) for name in job["inputs"]}
            for name, result in compute(inputs).items():
                np.save(f"{case}.{name}.result.npy", _plain(name, result), allow_pickle=False)
    except Refused as error:
        answer: dict[str, Any] = {"error": str(error)}
    except MemoryError:
        answer = {"error": "it needs more memory than it may have"}
    else:
        answer = {"done": job["cases"]}
    Path("answer.json").write_text(json.dumps(answer))


def _wide(array: np.ndarray) -> np.ndarray:
    """So that nothing overflows, or is rounded, on the way."""
    return array.astype(np.int64 if np.issubdtype(array.dtype, np.integer) else np.float64)


def _plain(name: str, result: Any) -> np.ndarray:
    array = np.asarray(result)
    if array.dtype == bool:
        return array.astype(np.int64)
    if not (np.issubdtype(array.dtype, np.integer) or np.issubdtype(array.dtype, np.floating)):
        raise Refused(f"{name} is of type {array.dtype}, not of integers or real numbers")
    return array


def _expression(job: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    expression = _loaded("expression", Path(__file__).with_name("expression.py"))
    results = tuple(job["outputs"])
    program = expression.parse(job["text"], [*job["inputs"], *job["dims"]], results)

    def compute(inputs: dict[str, Any]) -> dict[str, Any]:
        try:
            with np.errstate(all="ignore"):
                return program.run({**job["dims"], **inputs})
        except expression.ExpressionError as error:
            raise Refused(str(error)) from error

    return compute


def _python(job: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    Path(SOURCE).write_text(job["text"])
    try:
        module = _loaded("reference", Path(SOURCE))
    except Exception as error:
        raise Refused(_told(error)) from error
    function = getattr(module, "reference", None)
    if not callable(function):
        raise Refused(f"it defines no function `reference({', '.join(job['inputs'])})`")

    def compute(inputs: dict[str, Any]) -> dict[str, Any]:
        try:
            returned = function(**inputs)
        except Exception as error:
            raise Refused(_told(error)) from error
        outputs = job["outputs"]
        if isinstance(returned, dict):
            if set(returned) != set(outputs):
                raise Refused(f"it returns {sorted(map(str, returned))}, not {outputs}")
            return returned
        if len(outputs) == 1:
            return {outputs[0]: returned}
        if isinstance(returned, tuple) and len(returned) == len(outputs):
            return dict(zip(outputs, returned, strict=True))
        raise Refused(f"it must return a dictionary of {', '.join(outputs)}, or a tuple in this order")

    return compute


def _told(error: Exception) -> str:
    """The line of the user's file that raised it."""
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(SOURCE)]
    return f"{f'line {lines[-1]}: ' if lines else ''}{type(error).__name__}: {str(error)[:300]}"


def _loaded(name: str, path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
