"""The process in which a kernel meets AWS's software: started by path with the SDK's Python, imports nothing of ours.

    python -I runner.py FOLDER

FOLDER/job.json says what to do; outputs and report.json are left there. The expected results are never in this
process. Timing is not taken here either: the kernel's Python runs in this process, and could reach a clock of ours.
"""

import builtins
import hashlib
import importlib
import inspect
import json
import os
import sys
import traceback
import types
from pathlib import Path
from typing import Any

ENTRY = "solution"
MARKS = ("jit", "baremetal", "benchmark", "profile")  # decorators of the SDK that make kernels


class ResultError(TypeError):
    """What the kernel returned is not what the problem asks for."""


class EntryError(TypeError):
    """`solution` is no kernel of the SDK's: Python on the host would make the result."""


class ManyKernelsError(RuntimeError):
    """A call compiled several kernels; a time of one would not be the call's."""


def main() -> int:
    folder = Path(sys.argv[1])
    job = json.loads((folder / "job.json").read_text())
    report = {"stage": "import", "faults": [], "neffs": []}
    os.chdir(folder)
    # Read when nki is imported: the compiled kernel is kept there.
    os.environ["NKI_ARTIFACTS_DIR"] = str(folder / "artifacts")
    compiled = Compiled(folder)
    try:
        kernel, call = _kernel_and_way(job, folder)
        compiled.take(most=0)
    except BaseException as error:
        report["faults"].append(_fault(error, folder))
        (folder / "report.json").write_text(json.dumps(report))
        return 0
    report["stage"] = "call"
    for number, inputs in enumerate(job["sets"]):
        try:
            results = _called(call, kernel, job, {entry["name"]: _read(folder, entry) for entry in inputs["inputs"]})
            _write(folder, job["outputs"], results, number)
            compiled.take(most=1)
        except BaseException as error:
            report["faults"].append(_fault(error, folder))
            break
        report["faults"].append(None)
    report["neffs"] = compiled.kept
    (folder / "report.json").write_text(json.dumps(report))
    return 0


class Compiled:
    """The compiled kernels (.neff) that calls leave. Each different one is kept, in a folder of its own."""

    def __init__(self, folder):
        self._folder, self._known, self.kept = folder, set(), []

    def take(self, most):
        """Those that are new. Raises ManyKernelsError where they are more than `most`."""
        new = {}
        for path in sorted(self._folder.rglob("*.neff")):
            content = path.read_bytes()
            if (digest := hashlib.sha256(content).hexdigest()) not in self._known:
                new[digest] = content
        if len(new) > most:
            when = "a call" if most else "the kernel's file"
            raise ManyKernelsError(f"{when} compiles {len(new)} kernels: `{ENTRY}` alone is called, and timed")
        for digest, content in new.items():
            path = self._folder / f"compiled-{len(self.kept)}" / "kernel.neff"
            path.parent.mkdir()
            path.write_bytes(content)
            self._known.add(digest)
            self.kept.append(str(path.relative_to(self._folder)))


def _kernel_and_way(job, folder):
    """`solution`, and a callable from arrays to results, by the API that the kernel was written for.

    What is asked of the SDK is taken before the kernel's file runs, which could put something else in its place.
    """
    first_generation, simulates = job["api"] == "neuronxcc", job["mode"] == "simulate"
    nki = importlib.import_module("neuronxcc.nki" if first_generation else "nki")
    run: Any
    if first_generation:
        run = nki.simulate_kernel if simulates else nki.baremetal
    else:
        run = nki.simulate if simulates else lambda kernel: kernel
    made = []
    for name in MARKS:
        if hasattr(nki, name):
            setattr(nki, name, _noting(getattr(nki, name), made))
    kernel = _kernel(folder / "kernel.py", job)
    if not any(kernel is each for each in made):
        raise EntryError(f"{ENTRY!r} must be what @nki.jit makes of a function: what runs on the device is judged")
    if not first_generation:
        return kernel, run(kernel)
    if simulates:
        return kernel, lambda *arrays: run(kernel, *arrays)
    return kernel, run(getattr(kernel, "func", kernel), save_neff_name=str(folder / "kernel.neff"))


def _noting(mark, made):
    """The decorator, which also notes what it made. Called with options it returns the decorator."""

    def noted(*given, **options):
        found = mark(*given, **options)
        if not any(map(callable, given)):
            return _noting(found, made)
        made.append(found)
        return found

    return noted


def _kernel(path, job):
    """What the kernel's file calls `solution`. It has the names of Python that nkisim gives, and no more."""
    module = types.ModuleType("kernel")
    module.__file__ = str(path)
    given = {name: getattr(builtins, name) for name in job["builtins"]}
    given |= {"__import__": _importer(job["modules"]), "__build_class__": builtins.__build_class__}
    vars(module)["__builtins__"] = given | {"print": lambda *values, **options: None}
    sys.modules["kernel"] = module
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), module.__dict__)
    found = getattr(module, ENTRY, None)
    if found is None:
        raise AttributeError(f"the kernel defines no function {ENTRY!r}")
    return found


def _importer(names):
    """`import` of the SDK's modules, and of Python's with the names that are given of them."""
    modules = {}
    for name, wanted in names.items():
        whole = importlib.import_module(name)
        modules[name] = types.ModuleType(name)
        vars(modules[name]).update({each: getattr(whole, each) for each in wanted if hasattr(whole, each)})

    def load(name, globals=None, locals=None, fromlist=(), level=0):
        if name in modules:
            return modules[name]
        if name.partition(".")[0] not in ("nki", "neuronxcc"):
            raise ImportError(f"a kernel cannot import {name!r}")
        return builtins.__import__(name, globals, locals, fromlist, level)

    return load


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
