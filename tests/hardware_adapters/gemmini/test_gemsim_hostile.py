"""What found its way through the simulator's checks once: each of these programs made it read outside of its memories,
compute what C leaves undefined, run for ever, or do work without bound. docs/fuzzing.md says how they were found."""

from __future__ import annotations

import struct

import pytest
from riscv_machine import CODE, RET, Machine, RunKernel, elf, jalr, words

LOADED = "config_ld(16, 1.0f, 16, 0); config_st(16);"

# krows x kcols taps of one channel each for orows x ocols pixels, a pixel at a time: many commands from one.
CONVOLUTION = (
    "config_ex(WS, NOACT, 1, 0, 0); config_st(16); gemmini_loop_conv_ws(1, 1, 1, 1, 1, 1, 1, 1, 1, {stride}, 0, 1, "
    "{dilation}, 0, 0, 0, 1, 0, 0, 1, {krows}, {kcols}, 1, 0, 0, 0, 0, 0, 0, 0, 0, {orows}, {ocols}, in, NULL, in, in, "
    "1, 1, 0, 0, 0, NOACT, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0);"
)


def test_a_fence_behind_a_preload_without_a_compute_ends(run_kernel: RunKernel) -> None:
    body = LOADED + "config_ex(WS, NOACT, 1, 0, 0); mvin(in, 0, 16, 16); preload(0, ACC, 16, 16, 16, 16); {}"
    for end in ("fence();", ""):  # without one, the harness has its own
        fault = run_kernel(body.format(end), mode="timed").fault
        assert fault["kind"] == "deadlock" and "a preload starts only when its compute is behind it" in fault["message"]


def test_a_preload_is_checked_again_when_the_dataflow_has_changed(run_kernel: RunKernel) -> None:
    """Transposed, the operand takes up one row, the memory's last; as it is, sixteen."""
    fault = run_kernel(
        LOADED + "mvin(in, 16383, 16, 1); mvin(in, 0, 16, 16); config_ex(WS, NOACT, 1, 0, 1);"
        "preload(16383, ACC, 1, 16, 16, 16); config_ex(OS, NOACT, 1, 0, 0); compute_preloaded(0, 0, 16, 16, 16, 16);"
    ).fault
    assert fault["kind"] == "bad_local_address" and "rows 16383 to 16398: there are 16384" in fault["message"]


@pytest.mark.parametrize("image", ["0, 0", "0, 7"])
def test_pooling_an_image_without_pixels(run_kernel: RunKernel, image: str) -> None:
    body = f"gemmini_extended2_config_st(16, NOACT, 1.0f, 1, 2, 2, 2, 2, {image}, 0, 0); mvout(out, ACC, 16, 0);"
    outcome = run_kernel(body, mode="timed")
    assert outcome.case["status"] == "ok" and outcome.outputs[0][:64] == bytes(64)


def test_the_largest_convolution_is_refused_by_its_size(run_kernel: RunKernel) -> None:
    most = {name: "0xffffull" for name in ("krows", "kcols", "orows", "ocols")}
    fault = run_kernel(CONVOLUTION.format(**most, stride=255, dilation=255)).fault
    assert fault["kind"] == "limit_exceeded" and "half of the scratchpad has 8192" in fault["message"]


def test_a_hardware_loop_of_a_million_commands_is_refused(run_kernel: RunKernel) -> None:
    body = CONVOLUTION.format(krows=3000, kcols=1, orows=512, ocols=1, stride=1, dilation=1)
    fault = run_kernel(body).fault
    assert fault["kind"] == "limit_exceeded" and "more than 262144 commands" in fault["message"]


@pytest.mark.parametrize("mode", ["functional", "timed"])
def test_the_commands_of_hardware_loops_count_as_instructions(run_kernel: RunKernel, mode: str) -> None:
    """Else a few thousand instructions, between two looks at the limit, keep the simulator busy for hours."""
    body = CONVOLUTION.format(krows=64, kcols=1, orows=64, ocols=1, stride=1, dilation=1)
    fault = run_kernel(f"for (;;) {{ {body} }}", mode=mode).fault
    assert fault["kind"] == "endless_loop" and "1000000 instructions" in fault["message"]


def test_code_in_the_last_line_of_the_address_space(machine: Machine) -> None:
    """The line behind it is the first one, address 0: a walk from line to line must not go there."""
    code = words(RET)
    last = 2**64 - 64
    program = elf(code).replace(struct.pack("<Q", CODE), struct.pack("<Q", last))
    assert machine.run(program, mode="timed").case["status"] == "ok"
    assert machine.run(program.replace(code, words(jalr(0, 0))), mode="timed").fault["kind"] == "wild_jump"
