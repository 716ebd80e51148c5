"""nvcc: found where it usually is, its messages read; and shared objects that want too much are not loaded."""

import shutil
from pathlib import Path

import anyio
import pytest
from autocomp_mcp.hardware_adapters.base import EnvironmentLackError
from autocomp_mcp.hardware_adapters.nvidia.cuda import library, toolkit
from autocomp_mcp.hardware_adapters.nvidia.cuda.device import gpu
from autocomp_mcp.hardware_adapters.nvidia.embedded import compile_kernel
from autocomp_mcp.hardware_adapters.nvidia.families import operator_of
from autocomp_mcp.hardware_adapters.nvidia.machines import machine
from autocomp_mcp.hardware_adapters.nvidia.nvcc import Nvcc, compile_for, find_nvcc
from autocomp_mcp.hardware_adapters.store import Home
from cuda_without_gpu import build_kernel
from native_job import ENTRY, HONEST


def test_without_a_toolkit_it_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentLackError, match="CUDA_HOME"):
        toolkit.toolkit({"PATH": str(tmp_path)})


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
    assert toolkit.toolkit(everything).nvcc.path == tmp_path / "named" / "nvcc"
    assert toolkit.toolkit({k: v for k, v in everything.items() if k != "CUDACXX"}).nvcc.version == "12.8"
    assert toolkit.toolkit({"PATH": everything["PATH"]}).nvcc.path == tmp_path / "path" / "nvcc"
    assert find_nvcc(everything) == toolkit.toolkit(everything).nvcc, "the estimate's nvcc is the engine's"


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
    made = anyio.run(toolkit.compile_library, kit, "sm_89", source, tmp_path / "k.so")
    assert made.ok and 0 < made.kernels["twice"].registers < 64 and not made.kernels["twice"].spill_loads
    assert library.refusal(tmp_path / "k.so") is None
    wrong = anyio.run(toolkit.compile_library, kit, "sm_89", source.replace("2 * a", "2 * c"), tmp_path / "k.so")
    (error,) = [d for d in wrong.diagnostics if d.severity == "error"]
    assert error.line and "c" in error.message and source.splitlines()[error.line - 1].strip().startswith("if (i < n)")


@pytest.mark.skipif(
    not shutil.which("nvcc"), reason="LOUD: no nvcc on this machine; the runner is not compiled for a GPU"
)
def test_the_runner_compiled_by_nvcc(tmp_path: Path, make_home) -> None:
    program = anyio.run(toolkit.runner, Home(make_home(tmp_path / "home")), toolkit.toolkit(), "sm_89")
    assert program.stat().st_mode & 0o100


def test_a_runtime_that_has_no_short_name_is_linked(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    for version in ("12", "13"):
        (tmp_path / "lib" / f"libcudart.so.{version}").touch()
    kit, folder = toolkit.Toolkit(Nvcc(tmp_path / "nvcc", "13.0"), tmp_path), tmp_path / "build"
    folder.mkdir()
    assert kit.links(folder) == [f"-L{tmp_path}/lib", f"-L{folder}"]
    assert (folder / "libcudart.so").resolve() == tmp_path / "lib" / "libcudart.so.13"
    (tmp_path / "lib" / "libcudart.so").touch()
    assert kit.links(folder) == [f"-L{tmp_path}/lib"]


def test_a_driver_in_a_place_of_its_own_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.write_text('#!/bin/sh\n[ "$LD_LIBRARY_PATH" = /elsewhere ] || exit 9\necho "Some GPU, 8.9, 570.00"\n')
    smi.chmod(0o755)
    monkeypatch.setenv("LD_LIBRARY_PATH", "/elsewhere")
    assert gpu({"PATH": str(tmp_path)}).architecture == "sm_89"
    (tmp_path / "lib64").mkdir()
    (tmp_path / "lib64" / "libcudart.so").touch()
    kit = toolkit.Toolkit(Nvcc(tmp_path / "nvcc", "13.0"), tmp_path)
    assert kit.search_path == f"{tmp_path}/lib64:/elsewhere"


def test_device_files_are_made_before_a_kernel_is_confined(
    tmp_path: Path, make_home, monkeypatch: pytest.MonkeyPatch
) -> None:
    control, memory = tmp_path / "nvidiactl", tmp_path / "nvidia-uvm"
    monkeypatch.setattr(toolkit, "CONTROL", control)
    monkeypatch.setattr(toolkit, "MEMORY", memory)

    async def build(kit: toolkit.Toolkit, architecture: str, program: Path) -> None:
        await anyio.Path(program.parent).mkdir()
        await anyio.Path(program).write_text(f'#!/bin/sh\n[ "$1" = --device ] && touch {memory}\n')
        await anyio.Path(program).chmod(0o755)

    monkeypatch.setattr(toolkit, "_build", build)
    home, kit = Home(make_home(tmp_path / "home")), toolkit.Toolkit(Nvcc(tmp_path / "nvcc", "13.0"), tmp_path)
    anyio.run(toolkit.runner, home, kit, "sm_89")
    assert not memory.exists(), "there is no driver"
    control.touch()
    anyio.run(toolkit.runner, home, kit, "sm_89")
    assert memory.exists()


BROKEN = "nvcc fatal   : Unsupported gpu architecture 'compute_89'"
TOO_LARGE = "ptxas error   : Entry function '_Z5sgemmPKf' uses too much shared data (0x20000 bytes, 0xc000 max)"


@pytest.fixture
def nvcc(tmp_path: Path):
    """An nvcc that fails with these words on sources that have `on`."""

    def make(words: str, on: str) -> Nvcc:
        path = tmp_path / "nvcc"
        path.write_text(f'#!/bin/sh\ngrep -q "{on}" kernel.cu || exit 0\necho "{words}" >&2\nexit 1\n')
        path.chmod(0o755)
        return Nvcc(path, "12.0")

    return make


def test_an_nvcc_that_compiles_nothing_is_no_fault_of_the_kernel(nvcc, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentLackError, match=r"Unsupported gpu architecture.*toolkit that knows the device"):
        anyio.run(compile_for, nvcc(BROKEN, "void"), "sm_89", HONEST)
    kit = toolkit.Toolkit(nvcc(BROKEN, "void"), tmp_path)
    with pytest.raises(EnvironmentLackError, match="Unsupported gpu architecture"):
        anyio.run(toolkit.compile_library, kit, "sm_89", HONEST, tmp_path / "kernel.so")
    limits = nvcc(TOO_LARGE, "too_much")  # of this kernel only
    found = anyio.run(compile_for, limits, "sm_89", f"{HONEST} // too_much")
    assert not found.ok and "too much shared data" in found.diagnostics[0].message


def test_the_cpu_engine_goes_on_without_it(nvcc, cuda_home: Home) -> None:
    source = operator_of("nvidia/transpose-64x64").baseline()
    found = anyio.run(compile_kernel, cuda_home, machine(), nvcc(BROKEN, "void"), source)
    assert found.built is not None and found.compilation.ok
    assert "without register counts: " in found.compilation.compiler and BROKEN[15:] in found.compilation.compiler
