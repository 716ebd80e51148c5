"""What a kernel must not ask of the accelerator: a fault that names the command and the value, never a guess."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from riscv_machine import A0, A1, A2, A3, RET, ZERO, Machine, RunKernel, addi, elf, i_type, ld, r_type, words

LOADED = "config_ld(16, 1.0f, 16, 0); config_st(16); mvin(in, 0, 16, 16); mvin(in, 16, 16, 16);"
WEIGHTS = LOADED + "config_ex(WS, NOACT, 1, 0, 0);"
SUMS = LOADED + "config_ex(OS, NOACT, 1, 0, 0);"
PRELOAD = "preload(16, {}, 16, 16, 16, 16);"
COMPUTE = "compute_{}(0, NONE, 16, 16, 16, 16);"
FRESH, AGAIN = (PRELOAD.format("ACC") + COMPUTE.format(how) for how in ("preloaded", "accumulated"))
REPEATED = "gemmini_extended5_config_ld(16, 1.0f, 0, 16, 4, 0);"
STORE = "config_st_ext(16, {}, 1.0f);"
SHRUNK = "gemmini_extended3_config_ld(16, 1.0f, 1, 0); mvin(in, ACC, 16, 16);"


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        # local addresses
        (LOADED + "mvout(out, 1 << 29, 16, 16);", "bad_local_address", "bits 29 to 26"),
        (LOADED + "mvin(in, ACC | 1 << 26, 16, 16);", "bad_local_address", "normalisation command"),
        (LOADED + "mvin(in, ACC + 1020, 16, 5);", "bad_local_address", "rows 1020 to 1024: there are 1024"),
        (LOADED + "mvout(out, 100, 16, 16);", "uninitialised_read", "row 100, which was never written"),
        (LOADED + "mvin(NULL, ACCADD, 16, 16);", "uninitialised_read", "accumulating mvin"),
        # loads
        ("config_ld(16, 1.0f, 8, 0); mvin(in, 0, 16, 9);", "limit_exceeded", "block stride of 8 rows"),
        (REPEATED + "mvin(in, 0, 5, 16);", "limit_exceeded", "4 pixel repeats"),
        (REPEATED + "mvin(in, ACC, 4, 16);", "bad_local_address", "repeat"),
        ("GA_(0, 3 << 3 | 1, 16);", "limit_exceeded", "config_ld with id 3"),
        # stores
        (LOADED + SHRUNK + "mvout(out, ACCFULL, 17, 16);", "limit_exceeded", "at most 16"),
        (SHRUNK + "GA_(0, 2, 0xffffffffull << 32); mvout(out, ACC, 16, 16);", "unset_configuration", "scale"),
        ("GA_(0, 1 << 6 | 2, 16);", "unsupported_command", "pool_size of 1"),
        (SHRUNK + STORE.format("LAYERNORM") + "mvout(out, ACC, 16, 16);", "uninitialised_read", "mean of stat"),
        (SHRUNK + STORE.format("IGELU") + "mvout(out, ACC, 16, 16);", "unset_configuration", "qb and qc"),
        (SHRUNK + STORE.format("IGELU") + "mvout(out, ACCFULL, 16, 16);", "unsupported_command", "full-width"),
        ("gemmini_config_norm(0, 0, 0, 0, 4, 0, 0);", "limit_exceeded", "stat id 4"),
        (STORE.format("RELU") + "gemmini_config_norm(0, 0, 0, 1, 0, 0, 0);", "unsupported_command", "activation 1"),
        # products
        ("config_ex(WS, NOACT, 1, 1, 1);", "unsupported_command", "one transposer"),
        ("config_ex(OS, NOACT, 1, 0, 1);", "unsupported_command", "only B transposed"),
        ("gemmini_config_ex(WS, NOACT, 32);", "limit_exceeded", "sys_shift of 32"),
        (WEIGHTS + PRELOAD.format("ACC | 1 << 27"), "bad_local_address", "bits 28 to 26"),
        (WEIGHTS + PRELOAD.format("0x40000020"), "bad_local_address", "the scratchpad cannot accumulate"),
        (WEIGHTS + AGAIN, "unset_configuration", "reuses weights"),
        (WEIGHTS + COMPUTE.format("preloaded"), "unset_configuration", "without a preload"),
        (
            WEIGHTS
            + FRESH
            # another dataflow and back: the array has lost its weights
            + "config_ex(OS, NOACT, 1, 0, 0); config_ex(WS, NOACT, 1, 0, 0);"
            + AGAIN,
            "unset_configuration",
            "since the dataflow was chosen",
        ),
        (
            SUMS + FRESH + AGAIN,
            "unset_configuration",
            "read out by the last compute",
        ),
        (
            SUMS + "gemmini_config_ex(OS, NOACT, 3);" + FRESH,
            "unsupported_command",
            "sys_shift of 3",
        ),
        (
            SUMS + "gemmini_extended3_config_ex(OS, NOACT, 0, 1.0f, 2, 1, 0, 0, 0);" + FRESH,
            "unsupported_command",
            "C_stride of 2",
        ),
        ("GA_(22, 0, 0);", "unsupported_command", "funct 22"),
    ],
)
def test_a_fault_names_the_value(run_kernel: RunKernel, body: str, kind: str, said: str) -> None:
    fault = run_kernel(body).fault
    assert fault["kind"] == kind
    assert said in fault["message"]


def test_float32_elements_are_not_normalised(run_kernel: RunKernel) -> None:
    body = "config_ld(16, 1.0f, 4, 0); mvin(in, ACC, 4, 4); config_st_ext(16, IGELU, 1.0f); mvout(out, ACC, 4, 4);"
    fault = run_kernel(body, head="#define GEMMINI_4_FP32", config="gemmini4-fp32").fault
    assert fault["kind"] == "unsupported_command" and "float32" in fault["message"]


def test_a_configuration_that_does_not_exist_is_refused(machine: Machine, tmp_path: Path) -> None:
    finished = machine.job("elf x\nentry solution\nconfig gemmini8\n")
    assert finished.returncode == 2 and "line 3: not a configuration: gemmini8" in finished.stderr
    program = tmp_path / "bare.elf"
    program.write_bytes(elf(words(RET)))
    command = [machine.program, "run", "--config", "gemmini8", program]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert finished.returncode == 2 and "gemmini16-int8, gemmini4-fp32, gemmini32-int8" in finished.stderr


def test_whole_programs_read_zeros_where_nothing_was_written_unless_strict(machine: Machine, tmp_path: Path) -> None:
    """An mvout of scratchpad row 0 into the program's own memory; then a load from address 0 ends it."""
    config_st, mvout = r_type(0x7B, 3, 0, ZERO, A0, A1), r_type(0x7B, 3, 3, ZERO, A2, A3)
    setup = [addi(A0, ZERO, 2), addi(A1, ZERO, 16), 0x00000617, addi(A2, A2, 0x100)]  # auipc a2, 0
    operand = [addi(A3, ZERO, 1), i_type(0x13, 1, A3, A3, 16), addi(A3, A3, 1), i_type(0x13, 1, A3, A3, 32)]  # 1 x 1
    program = tmp_path / "bare.elf"
    program.write_bytes(elf(words(*setup, *operand, config_st, mvout, ld(A2, ZERO, 0))))
    said = []
    for options in ((), ("--strict",)):
        command = [machine.program, "run", *options, program]
        finished = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        said.append(finished.stderr)
    assert "illegal_address: load" in said[0]
    assert "uninitialised_read: mvout reads scratchpad row 0" in said[1]
