"""The process in which a kernel meets AWS's software: started by path with the SDK's Python, imports nothing of ours.

    python -I runner.py FOLDER

FOLDER/job.json says what to do; outputs and report.json are left there. The expected results are never in this
process. Timing is not taken here either: the kernel's Python runs in this process, and could reach a clock of ours.
"""

import importlib
import inspect
import json
import os
import sys
import traceback
import types
from pathlib import Path

ENTRY = "solution"


class ResultError(TypeError):
    """What the kernel returned is not what the problem asks for."""


def main() -> int:
    folder = Path(sys.argv[1])
    job = json.loads((folder / "job.json").read_text())
    report = {"stage": "import", "faults": [], "neff": None}
    os.chdir(folder)
    # Read when nki is imported: the compiled kernel is kept there.
    os.environ["NKI_ARTIFACTS_DIR"] = str(folder / "artifacts")
    try:
        kernel = _kernel(folder / "kernel.py")
        call = _way(job, kernel, folder)
    except BaseException as error:
        report["faults"].append(_fault(error, folder))
        (folder / "report.json").write_text(json.dumps(report))
        return 0
    report["stage"] = "call"
    for number, inputs in enumerate(job["sets"]):
        try:
            results = _called(call, kernel, job, {entry["name"]: _read(folder, entry) for entry in inputs["inputs"]})
            _write(folder, job["outputs"], results, number)
        except BaseException as error:
            report["faults"].append(_fault(error, folder))
            break
        report["faults"].append(None)
    found = sorted(folder.rglob("*.neff"), key=lambda path: (path.name != "kernel.neff", len(str(path)), str(path)))
    report["neff"] = str(found[0].relative_to(folder)) if found else None
    (folder / "report.json").write_text(json.dumps(report))
    return 0


def _kernel(path):
    """The function `solution`."""
    module = types.ModuleType("kernel")
    module.__file__ = str(path)
    sys.modules["kernel"] = module
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), module.__dict__)
    found = getattr(module, ENTRY, None)
    if found is None:
        raise AttributeError(f"the kernel defines no function {ENTRY!r}")
    return found


def _way(job, kernel, folder):
    """A callable from arrays to results, by the API that the kernel was written for."""
    if job["api"] == "neuronxcc":
        nki = importlib.import_module("neuronxcc.nki")
        if job["mode"] == "simulate":
            return lambda *arrays: nki.simulate_kernel(kernel, *arrays)
        function = getattr(kernel, "func", kernel)
        return nki.baremetal(function, save_neff_name=str(folder / "kernel.neff"))
    nki = importlib.import_module("nki")
    return nki.simulate(kernel) if job["mode"] == "simulate" else kernel


def _called(call, kernel, job, arrays):
    """Constants go by name to a kernel that has a parameter of that name; arrays too where all their names are."""
    constants = job["constants"]
    if not constants:
        return call(*arrays.values())
    parameters = inspect.signature(getattr(kernel, "func", kernel)).parameters
    named = {name: _decoded(job, value) for name, value in constants.items() if name in parameters}
    return call(**arrays, **named) if set(arrays) <= set(parameters) else call(*arrays.values(), **named)


def _decoded(job, value):
    """{"dtype": name} is an element type of the API's, {"tuple": [...]} a tuple."""
    if isinstance(value, dict):
        kind, content = next(iter(value.items()))
        if kind == "tuple":
            return tuple(_decoded(job, each) for each in content)
        language = "neuronxcc.nki.language" if job["api"] == "neuronxcc" else "nki.language"
        return getattr(importlib.import_module(language), content)
    return [_decoded(job, each) for each in value] if isinstance(value, list) else value


def _type(name):
    import numpy as np

    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


def _read(folder, entry):
    import numpy as np

    return np.fromfile(folder / entry["file"], _type(entry["dtype"])).reshape(entry["shape"])


def _write(folder, outputs, results, number):
    """What is not an array of the shape asked for is the kernel's fault."""
    import numpy as np

    results = results if isinstance(results, (tuple, list)) else (results,)
    if len(results) != len(outputs):
        raise ResultError(f"the kernel returns {len(results)} tensors, the problem has {len(outputs)} outputs")
    for entry, result in zip(outputs, results, strict=True):
        wanted = _type(entry["dtype"])
        array = np.asarray(result)
        if array.dtype.kind == "V" and array.dtype.itemsize == wanted.itemsize:
            array = array.view(wanted)  # the runtime does not know every type's name
        if list(array.shape) != entry["shape"]:
            raise ResultError(f"{entry['name']} has shape {list(array.shape)}, not {entry['shape']}")
        if array.dtype != wanted:
            raise ResultError(f"{entry['name']} has type {array.dtype}, not {wanted}")
        array.tofile(folder / f"{entry['name']}.{number}.out")


def _fault(error, folder):
    """The last line of the kernel in the traceback, if it is in one."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if os.path.realpath(frame.filename) == os.path.realpath(folder / "kernel.py")
    ]
    return {"type": type(error).__name__, "message": str(error)[:4000], "line": lines[-1] if lines else None}


if __name__ == "__main__":
    sys.exit(main())
