"""Which form a source has, what Triton files may contain, what is said where a form is not taken. Needs no Triton."""

from pathlib import Path

import anyio
import pytest
from autocomp_mcp.hardware_adapters.base import (
    EnvironmentLackError,
    InvalidSourceError,
    UsageError,
    check_search_source,
)
from autocomp_mcp.hardware_adapters.nvidia import forms
from autocomp_mcp.hardware_adapters.nvidia.adapter import NvidiaAdapter
from autocomp_mcp.hardware_adapters.nvidia.triton_screen import screen
from autocomp_mcp.hardware_adapters.store import Home
from triton_kernels import HEAD, RIGHT, SOFTMAX

MODULE = "import torch\n\n\nclass ModelNew(torch.nn.Module):\n    def forward(self, x):\n        return x\n"
KERNEL = "@triton.jit\ndef k(x):\n    pass\n\n\ndef launch(x, out):\n    k[(1,)](x)\n"
FORBIDDEN = {
    "import of a module": ("import os\n", "import of 'os'"),
    "import of NumPy": ("import numpy as np\n", "import of 'numpy'"),
    "import of torch": ("import torch\n", "import of 'torch'"),
    "a part of Triton": ("from triton.runtime import driver\n", "import of 'triton.runtime'"),
    "a name of Triton": ("a = triton.knobs\n", "triton.knobs is not for kernels"),
    "a module of the language": ("a = tl.core\n", "triton.language.core is not for kernels"),
    "the language by another name": ("a = tl\n", "only be used to take a name out of it"),
    "the language as a value": ("a = [tl][0]\n", "only be used to take a name out of it"),
    "another math": ("a = tl.math\n", "only be used to take a name out of it"),
    "autotuning": ("@triton.autotune(configs=[], key=[])\ndef f():\n    pass\n", "no time is measured here"),
    "assembly": ("def f():\n    tl.inline_asm_elementwise('', '', [], tl.int32, True, 1)\n", "does not run assembly"),
    "libdevice": ("def f(x):\n    return tl.extra.libdevice.tanh(x)\n", "does not run libdevice"),
    "dunder attributes": ("a = k.__globals__\n", "attribute .__globals__"),
    "the function of a kernel": ("a = k.fn\n", "attribute .fn"),
    "the contents of a tensor": ("def f(x):\n    return x.data_ptr()\n", "attribute .data_ptr"),
    "the handle of a block": ("def f(x):\n    return x.handle\n", "attribute .handle"),
    "opening files": ("a = open('/etc/passwd')\n", "the name 'open' is not for kernels"),
    "getattr": ("a = getattr(k, 'f' + 'n')\n", "the name 'getattr' is not for kernels"),
    "names of the interpreter": ("a = interpreter_semantic\n", "not for kernels"),
    "dunder names": ("a = __builtins__\n", "the name '__builtins__'"),
    "formatting by attribute": ("a = '{0.fn}'.format(k)\n", "attribute .format"),
    "classes": ("class A:\n    pass\n", "classes are not for kernels"),
    "a module bound again": ("tl = 3\n", "cannot be bound again"),
    "setting attributes": ("k.value = 3\n", "cannot be set"),
    "catching faults": ("try:\n    a = 1\nfinally:\n    pass\n", "try are not for kernels"),
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_no_kernel_needs_is_refused_with_its_line(name):
    added, said = FORBIDDEN[name]
    found = screen(HEAD + KERNEL + added)
    assert found.refused is not None and said in found.refused
    assert found.diagnostics[0].line is not None


@pytest.mark.parametrize("name", RIGHT)
def test_right_kernels_are_not_refused(name):
    assert not screen(RIGHT[name].source).diagnostics


def test_a_file_without_launch_or_kernel_is_merely_wrong():
    found = screen("import triton\n\n\ndef other(x):\n    pass\n")
    assert found.refused is None and "no launcher" in found.diagnostics[0].message
    assert screen("def launch(:\n").refused is None


@pytest.fixture
def adapter(tmp_path: Path, make_home) -> NvidiaAdapter:
    return NvidiaAdapter(Home(make_home(tmp_path / "home")), path="/nonexistent")


@pytest.mark.parametrize("call", ["compile", "evaluate", "profile"])
def test_kernelbench_s_form_is_not_taken(adapter, call):
    problem = adapter.problem("nvidia/softmax-64x128")
    with pytest.raises(InvalidSourceError, match="ModelNew"):
        anyio.run(getattr(adapter, call), problem, MODULE)


@pytest.mark.parametrize("call", ["compile", "evaluate", "profile"])
def test_without_the_extra_it_is_named(adapter, call, monkeypatch):
    monkeypatch.setattr(forms, "triton_version", lambda: None)
    problem = adapter.problem("nvidia/softmax-64x128")
    with pytest.raises(EnvironmentLackError, match=r"pip install 'autocomp-mcp\[triton\]'"):
        anyio.run(getattr(adapter, call), problem, HEAD + SOFTMAX)


def test_another_triton_is_not_driven(monkeypatch):
    monkeypatch.setattr(forms, "triton_version", lambda: "4.0.0")
    with pytest.raises(EnvironmentLackError, match=r"Triton 4\.0\.0"):
        forms.require_triton()


@pytest.mark.parametrize("engine", ["cuda", "cuda-sanitizer"])
@pytest.mark.parametrize("call", ["evaluate", "profile"])
def test_engines_of_the_gpu_take_no_triton(adapter, call, engine):
    problem = adapter.problem("nvidia/softmax-64x128")
    with pytest.raises(UsageError, match=r"runs \.cu kernels only"):
        anyio.run(lambda: getattr(adapter, call)(problem, HEAD + SOFTMAX, engine=engine))


def test_no_search_begins_with_triton():
    with pytest.raises(InvalidSourceError, match="writes cuda"):
        check_search_source(HEAD + SOFTMAX, "cuda")
    check_search_source(HEAD + SOFTMAX, "python")
    check_search_source("__global__ void k() {}", "cuda")


def test_no_rewrite_of_the_tuner_takes_triton_for_its_own(adapter):
    problem = adapter.problem("nvidia/softmax-64x128")
    assert adapter.rewrites(problem, HEAD + SOFTMAX, "vector-loads") == []
