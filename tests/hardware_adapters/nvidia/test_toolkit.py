"""nvcc: found where it usually is, its messages read; and shared objects that want too much are not loaded."""

import shutil
from pathlib import Path

import anyio
import pytest
from autocomp_mcp.hardware_adapters.base import EnvironmentLackError
from autocomp_mcp.hardware_adapters.nvidia.cuda import library, toolkit
from cuda_without_gpu import build_kernel
from test_native_runner import ENTRY, HONEST

# What nvcc 13.0 printed for kernels like those of the tests.
PTXAS = """ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_Z5tiledPKfPfl' for 'sm_89'
ptxas info    : Function properties for _Z5tiledPKfPfl
    128 bytes stack frame, 120 bytes spill stores, 96 bytes spill loads
ptxas warning : Registers are spilled to local memory in function '_Z5tiledPKfPfl', 120 bytes spill stores, 96 bytes spill loads
ptxas info    : Used 40 registers, used 1 barriers, 128 bytes cumulative stack size, 8448 bytes smem, 376 bytes cmem[0]
ptxas info    : Compile time = 15.834 ms
ptxas info    : Compiling entry function '_Z6finishPf' for 'sm_89'
ptxas info    : Function properties for _Z6finishPf
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 10 registers, used 0 barriers, 376 bytes cmem[0]
"""  # noqa: E501
SAID = """kernel.cu(12): error: identifier "c" is undefined
    b[i] = 2 * c[i];
               ^

kernel.cu(3): warning #177-D: variable "unused" was declared but never referenced
/opt/include/thing.h(9): error: a template argument is missing
kernel.cu:5:10: fatal error: nothing.h: No such file or directory
ptxas error   : Entry function '_Z1kv' uses too much shared data (0x10000 bytes, 0xc000 max)
2 errors detected in the compilation of "kernel.cu".
"""


def test_what_ptxas_says_of_each_kernel() -> None:
    assert toolkit.entries(PTXAS) == (
        toolkit.Entry("_Z5tiledPKfPfl", 40, 8448, 128, 216),
        toolkit.Entry("_Z6finishPf", 10, 0, 0, 0),
    )


def test_messages_have_the_lines_of_the_kernel_only() -> None:
    found = [(d.severity, d.line, d.message) for d in toolkit.diagnostics(SAID)]
    assert ("error", 12, 'identifier "c" is undefined') in found and (
        "error",
        5,
        "nothing.h: No such file or directory",
    ) in found
    assert ("error", None, "a template argument is missing") in found
    assert ("warning", 3, 'variable "unused" was declared but never referenced') in found
    assert any(line is None and "too much shared data" in text for severity, line, text in found if severity == "error")
    assert [severity for severity, _, _ in found] == ["error"] * 4 + ["warning"]


def test_without_a_toolkit_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolkit, "_candidates", lambda environment: iter([tmp_path / "nvcc"]))
    with pytest.raises(EnvironmentLackError, match="CUDA_HOME"):
        toolkit.toolkit({})


def test_the_environment_names_it_first(tmp_path: Path) -> None:
    for name in ("named", "home/bin", "path"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "nvcc").write_text(f"#!/bin/sh\necho 'Cuda compilation tools, release 12.{len(name)}, V12'\n")
        (folder / "nvcc").chmod(0o755)
    everything = {
        "CUDACXX": str(tmp_path / "named" / "nvcc"),
        "CUDA_HOME": str(tmp_path / "home"),
        "PATH": str(tmp_path / "path"),
    }  # fmt: skip
    assert toolkit.toolkit(everything).nvcc == tmp_path / "named" / "nvcc"
    assert toolkit.toolkit({k: v for k, v in everything.items() if k != "CUDACXX"}).release == "12.8"
    assert toolkit.toolkit({"PATH": everything["PATH"]}).nvcc == tmp_path / "path" / "nvcc"


def test_shared_objects_that_lead_out_of_their_form(tmp_path: Path) -> None:
    def refused(source: str) -> str | None:
        return library.refusal(build_kernel(source, tmp_path))

    assert "its host code calls" in str(refused(HONEST))  # the device of threads has no launches that are allowed
    plain = ENTRY + " { return int(dims[0]) - int(dims[0]); }"
    assert refused(plain) is None
    assert "no extern" in str(refused(plain.replace("int launch(", "int start(")))
    cheats = {
        "system": '#include <cstdlib>\nint x = system("id");\n',
        "fork": "#include <unistd.h>\nint x = fork();\n",
        "dlsym": '#include <dlfcn.h>\nvoid* x = dlsym(0, "cudaEventRecord");\n',
        "open": '#include <fcntl.h>\nint x = open("/proc/self/mem", 2);\n',
        "mprotect": "#include <sys/mman.h>\nint x = mprotect(0, 4096, 7);\n",
        "pthread_create": "#include <pthread.h>\nint x = pthread_create(0, 0, 0, 0);\n",
        "clock_gettime": "#include <time.h>\nint x = clock_gettime(0, 0);\n",
        "cudaStreamCreate": "static cudaStream_t s; int x = cudaStreamCreate(&s);\n",
    }
    for name, cheat in cheats.items():
        assert name in str(refused(cheat + plain)), name
    assert "a name of the runtime" in str(refused('extern "C" int cudaEventRecord() { return 0; }\n' + plain))
    (tmp_path / "text.so").write_text("no ELF file")
    assert "cannot be read" in str(library.refusal(tmp_path / "text.so"))


@pytest.mark.skipif(
    not shutil.which("nvcc"), reason="LOUD: no nvcc on this machine; kernels are not compiled for a GPU"
)
def test_a_kernel_compiled_by_nvcc(tmp_path: Path) -> None:
    kit = toolkit.toolkit()
    source = "#include <cuda_runtime.h>\n#include <cstdint>\n" + HONEST
    made = anyio.run(lambda: toolkit.compile_kernel(kit, source, tmp_path, "sm_89", library=tmp_path / "k.so"))
    assert made.returncode == 0, made.stderr
    (entry,) = toolkit.entries(made.stdout + made.stderr)
    assert "twice" in entry.name and 0 < entry.registers < 64 and not entry.spill_bytes
    assert library.refusal(tmp_path / "k.so") is None
    wrong = anyio.run(lambda: toolkit.compile_kernel(kit, source.replace("2 * a", "2 * c"), tmp_path, "sm_89"))
    (error,) = [d for d in toolkit.diagnostics(wrong.stdout + wrong.stderr) if d.severity == "error"]
    assert error.line and "c" in error.message and source.splitlines()[error.line - 1].strip().startswith("if (i < n)")
