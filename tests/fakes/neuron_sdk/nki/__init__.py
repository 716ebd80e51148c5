"""Stand-in for AWS's NKI 2: what its documentation says a caller meets, without compiler and device.

A kernel's body is called once with shapes, as tracing does, so that its errors come out; what the device would compute
is the product a_t.T @ b. NKI_STAND_IN chooses how it goes wrong.
"""

import os
import pathlib
import time

import numpy as np

BEHAVIOUR = os.environ.get("NKI_STAND_IN", "right")
ARTIFACTS = os.environ.get("NKI_ARTIFACTS_DIR")  # resolved at import, as the real one does


class NrtError(RuntimeError):
    pass


class Kernel:
    def __init__(self, function):
        self.func = function

    def __call__(self, *arrays):
        self.func(*arrays)
        if BEHAVIOUR == "hang":
            time.sleep(600)
        if BEHAVIOUR == "dies":
            os.abort()
        folder = pathlib.Path(ARTIFACTS)
        folder.mkdir(exist_ok=True)
        compiled = folder / "kernel.neff"
        slower = BEHAVIOUR == "slower every time" and compiled.exists()
        compiled.write_bytes(b"NEFF slower" if slower else b"NEFF")
        if BEHAVIOUR == "two kernels":
            (folder / "another.neff").write_bytes(b"NEFF slower")
        if BEHAVIOUR == "oob":
            raise NrtError("NRT Error NRT_EXEC_OOB(1006): Failed to execute model")
        if BEHAVIOUR == "no device":
            raise NrtError("NRT Error NRT_UNINITIALIZED(13): Failed to initialize the runtime")
        return product(*arrays)


def product(a_t, b):
    out = (a_t.astype(np.float32).T @ b.astype(np.float32)).astype(a_t.dtype)
    if BEHAVIOUR == "wrong":
        out[0, 0] += 1
    if BEHAVIOUR == "shape":
        return out[1:]
    if BEHAVIOUR == "raw bytes":
        return out.view(f"V{out.dtype.itemsize}")
    return out


def jit(function=None, **options):
    return Kernel(function) if function else jit


def simulate(kernel):
    def run(*arrays):
        kernel.func(*arrays)
        return product(*arrays)

    return run
