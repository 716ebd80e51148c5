"""Everything that can go wrong in a program, a job or a file: a diagnosis each, never a crash of the simulator."""

from __future__ import annotations

import json
import os
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from riscv_machine import (
    A0,
    A1,
    A2,
    A4,
    CODE,
    DATA,
    IN,
    OUT,
    RA,
    RET,
    SP,
    T0,
    T1,
    ZERO,
    Machine,
    addi,
    elf,
    i_type,
    jal,
    jalr,
    ld,
    lui,
    r_type,
    s_type,
    sd,
    words,
)

HOSTILE = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def load_address(rd: int, address: int) -> list[int]:
    """rd = a 32-bit address whose low 12 bits are below 2048."""
    return [
        lui(rd, address >> 12),
        addi(rd, rd, address & 0xFFF),
        i_type(0x13, 1, rd, rd, 32),
        i_type(0x13, 5, rd, rd, 32),
    ]


def fault(machine: Machine, *code: int, **options: object) -> dict[str, object]:
    return machine.run(elf(words(*code, RET)), **options).fault  # type: ignore[arg-type]


def test_access_past_a_buffer_names_it_and_the_distance(machine: Machine) -> None:
    found = fault(machine, *load_address(T0, OUT + 4096 + 8), sd(ZERO, T0, 0))
    assert found["kind"] == "illegal_address" and found["call"] == 1
    assert "8 bytes past the end of out" in str(found["message"])
    assert (found["pc"], found["instruction"]) == (CODE + 16, "sd zero, 0(t0)")
    straddling = fault(machine, sd(ZERO, A1, 0), out_bytes=4)
    assert "runs 4 bytes past the end of out" in str(straddling["message"])
    before = fault(machine, ld(A2, A0, -16))
    assert "16 bytes before the start of in" in str(before["message"])


def test_inputs_code_and_constants_cannot_be_written(machine: Machine) -> None:
    assert "in (read-only" in str(fault(machine, sd(ZERO, A0, 0))["message"])
    code = fault(machine, *load_address(T0, CODE), sd(ZERO, T0, 0))
    assert code["kind"] == "illegal_address" and "not writable" in str(code["message"])


def test_null_pointer(machine: Machine) -> None:
    assert "null pointer plus 8" in str(fault(machine, ld(A2, ZERO, 8))["message"])


def test_stack_overflow_by_recursion_and_by_one_large_frame(machine: Machine) -> None:
    recursion = fault(machine, addi(SP, SP, -1024), sd(RA, SP, 0), jal(RA, -8))
    assert recursion["kind"] == "stack_overflow" and "64 KiB" in str(recursion["message"])
    frame = fault(machine, lui(T0, 0xFFF00), r_type(0x33, 0, 0, SP, SP, T0), sd(RA, SP, 0))
    assert frame["kind"] == "stack_overflow"


def test_wild_jumps_name_their_origin(machine: Machine) -> None:
    away = fault(machine, *load_address(T0, 0xDEAD0000), jalr(ZERO, T0))
    assert away["kind"] == "wild_jump" and away["pc"] == CODE + 16
    assert "0xdead0000" in str(away["message"]) and "solution+0x10" in str(away["message"])
    into_data = fault(machine, jalr(ZERO, A1))
    assert into_data["kind"] == "wild_jump" and "into out" in str(into_data["message"])
    fell_off = machine.run(elf(words(addi(A2, ZERO, 1)))).fault
    assert fell_off["kind"] == "wild_jump" and "ran into" in fell_off["message"]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0x0000, "not an instruction"),
        (0xFFFFFFFF, "not an instruction"),
        (0x00100073, "ebreak"),
        (0x9002, "ebreak"),
        (0x00000073, "ecall"),
        (0x30200073, "not an instruction"),
        (0x10500073, "not an instruction"),
        (0x7C002573, "not an instruction"),
    ],
)
def test_illegal_instructions(machine: Machine, code: int, text: str) -> None:
    """All zeros, all ones, ebreak, ecall, mret and wfi in a kernel, an unknown CSR."""
    found = machine.run(elf(words(code) + words(RET))).fault
    assert found["kind"] == "illegal_instruction" and text in found["message"] and found["pc"] == CODE


@pytest.mark.parametrize("code", [ld(A2, A0, 4), s_type(0x23, 1, A2, A1, 1), r_type(0x2F, 2, 0, A4, A1, A2)])
def test_misaligned_accesses(machine: Machine, code: int) -> None:
    found = fault(machine, addi(A1, A1, 2), code)
    assert found["kind"] == "misaligned"


@pytest.mark.parametrize("mode", ["functional", "timed"])
def test_endless_loops_stop_at_the_limits(machine: Machine, mode: str) -> None:
    found = fault(machine, jal(ZERO, 0), mode=mode, limits={"limit-instructions": 100_000})
    assert found["kind"] == "endless_loop" and "100000 instructions" in str(found["message"])
    if mode == "timed":
        found = fault(machine, jal(ZERO, 0), mode=mode, limits={"limit-cycles": 50_000})
        assert "50000 cycles" in str(found["message"])


def test_a_fault_in_one_case_does_not_end_the_others(machine: Machine, tmp_path: Path) -> None:
    """The first case reads past its short input; the second, with the same program, does not."""
    short = tmp_path / "short"
    short.write_bytes(bytes(8))
    extra = (
        "case short functional",
        f"buffer in {IN:#x} 8 input {short}",
        f"buffer out {OUT:#x} 64 output {tmp_path}/o",
        "calls 2",
    )
    (tmp_path / "program.elf").write_bytes(elf(words(ld(A2, A0, 8), RET)))
    text = [f"elf {tmp_path}/program.elf", "entry solution", *extra]
    text += [
        "case long functional",
        f"buffer in {IN:#x} 64 input {tmp_path}/long",
        f"buffer out {OUT:#x} 64 output {tmp_path}/o",
        "calls 1",
    ]
    (tmp_path / "long").write_bytes(bytes(64))
    finished = machine.job("\n".join(text))
    assert finished.returncode == 0, finished.stderr
    answer = json.loads(finished.stdout)
    assert [case["status"] for case in answer["cases"]] == ["fault", "ok"]


# --- job files


def job_lines(machine: Machine) -> dict[str, str]:
    folder = machine.folder
    (folder / "program.elf").write_bytes(elf(words(RET)))
    (folder / "in").write_bytes(bytes(64))
    return {
        "elf": f"elf {folder}/program.elf",
        "entry": "entry solution",
        "case": "case first functional",
        "in": f"buffer in {IN:#x} 64 input {folder}/in",
        "out": f"buffer out {OUT:#x} 64 output {folder}/out",
        "calls": "calls 1",
    }


def test_the_unchanged_job_runs(machine: Machine) -> None:
    finished = machine.job("\n".join(job_lines(machine).values()))
    assert finished.returncode == 0 and finished.stderr == ""


@pytest.mark.parametrize(
    ("name", "line", "complaint"),
    [
        ("elf", "", "missing directive: elf"),
        ("elf", "elf /nowhere", "cannot open /nowhere"),
        ("entry", "entry main", "does not define main"),
        ("case", "case first sometimes", "neither timed nor functional: sometimes"),
        ("case", "case first", "wrong number of fields: case"),
        ("case", "", "buffer outside a case"),
        ("in", "buffer in 0x90000000 63 input {folder}/in", "does not hold exactly 63 bytes"),
        ("in", "buffer in 0x90000000 65 input {folder}/in", "does not hold exactly 65 bytes"),
        ("in", "buffer in 9z 64 input x", "not a number: 9z"),
        ("in", "buffer in 0x90000000 64 input /nowhere", "cannot open /nowhere"),
        ("in", "buffer in -1 64 input x", "not a number: -1"),
        ("in", "buffer in 0x90100020 64 input {folder}/in", "overlaps"),
        ("in", "buffer in 0x80000000 64 input {folder}/in", "overlaps"),
        ("in", "buffer in 0xffffffffffffffff 64 input {folder}/in", "wraps around"),
        ("in", "buffer in 0x90000000 99999999999 input {folder}/in", "the machine has at most"),
        ("in", "buffer in 0x90000000 64 inout x", "neither input nor output"),
        ("calls", "calls 0", "calls must be 1 to 1000"),
        ("calls", "", "no `calls` line"),
        ("calls", "calls 1\nfrobnicate 1", "line 7: unknown directive: frobnicate"),
        ("out", "buffer out 0x90100000 64 output /nowhere/out", "cannot write"),
        ("out", "buffer  out 0 64 output x", "too many fields"),
    ],
)
def test_wrong_jobs(machine: Machine, name: str, line: str, complaint: str) -> None:
    lines = job_lines(machine) | {name: line.format(folder=machine.folder)}
    finished = machine.job("\n".join(lines.values()))
    assert finished.returncode == 2 and finished.stdout == "" and complaint in finished.stderr


@HOSTILE
@given(st.binary(max_size=300))
def test_arbitrary_bytes_as_job(machine: Machine, data: bytes) -> None:
    (machine.folder / "job").write_bytes(data)
    finished = subprocess.run(
        [machine.program, "job", machine.folder / "job"], capture_output=True, timeout=60, check=False
    )
    assert finished.returncode == 2 and finished.stdout == b""


def test_usage(machine: Machine) -> None:
    for arguments in ([], ["job"], ["job", "a", "b"], ["run"], ["run", "--what", "x"], ["frobnicate"]):
        finished = subprocess.run(
            [machine.program, *arguments], capture_output=True, text=True, timeout=60, check=False
        )
        assert finished.returncode == 2 and "usage:" in finished.stderr
    version = subprocess.run([machine.program, "--version"], capture_output=True, text=True, timeout=60, check=True)
    assert version.stdout.startswith("gemsim ")


# --- hostile programs


def run_elf(machine: Machine, program: bytes) -> int:
    """Exit status: 0 (ran, perhaps faulting) or 2 (refused); anything else is the simulator's crash."""
    lines = job_lines(machine)
    (machine.folder / "program.elf").write_bytes(program)
    finished = machine.job("\n".join(["limit-instructions 10000", *lines.values()]))
    assert finished.returncode in (0, 2), (finished.returncode, finished.stderr)
    return finished.returncode


GOOD = elf(words(addi(A2, ZERO, 1), sd(A2, A1, 0), RET), data=bytes(32))
EXTREME = [0, 1, 2, 63, 64, 255, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]
EXTREME += [CODE, DATA, len(GOOD)]


@HOSTILE
@given(st.integers(0, len(GOOD) // 4 - 2), st.sampled_from(EXTREME), st.sampled_from([2, 4, 8]))
def test_damaged_fields(machine: Machine, at: int, value: int, width: int) -> None:
    program = bytearray(GOOD)
    program[4 * at : 4 * at + width] = (value & (1 << 8 * width) - 1).to_bytes(width, "little")
    run_elf(machine, bytes(program))


@HOSTILE
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=8), st.integers(0, len(GOOD)))
def test_damaged_and_truncated_programs(machine: Machine, changes: list[tuple[int, int]], length: int) -> None:
    program = bytearray(GOOD)
    for at, value in changes:
        program[at] = value
    run_elf(machine, bytes(program[:length]))


@HOSTILE
@given(st.binary(min_size=2, max_size=400))
def test_arbitrary_bytes_as_code(machine: Machine, code: bytes) -> None:
    assert run_elf(machine, elf(code)) == 0


def test_other_programs_are_refused_by_name(machine: Machine) -> None:
    second = 64 + 56  # program header of the data segment
    for at, contents, complaint in (
        (0, b"MZ", "not an ELF64"),
        (18, b"\x3e\0", "not a RISC-V program"),
        (16, b"\3\0", "statically linked"),
        (32, b"\xff" * 8, "program header table outside"),
        (second + 8, b"\xff" * 8, "contents outside the file"),
        (second + 32, b"\x40\0", "contents outside the file"),  # more bytes in the file than in memory
        (second + 16, b"\xf0" + b"\xff" * 7, "wraps around"),
        (second + 16, struct.pack("<Q", CODE), "overlaps"),
        (second + 40, struct.pack("<Q", 1 << 40), "the machine has at most"),
    ):
        program = bytearray(GOOD)
        program[at : at + len(contents)] = contents
        lines = job_lines(machine)
        (machine.folder / "program.elf").write_bytes(bytes(program))
        finished = machine.job("\n".join(lines.values()))
        assert finished.returncode == 2 and complaint in finished.stderr


# --- bare-metal programs: gemsim run


def with_mailbox(code: bytes) -> bytes:
    """The same program with its symbol called tohost moved to the data segment."""
    program = bytearray(elf(code, data=bytes(64), symbol="tohost"))
    at = program.rindex(struct.pack("<IBBHQ", 1, 0x12, 0, 1, CODE))
    struct.pack_into("<Q", program, at + 8, DATA)
    return bytes(program)


def run_bare(machine: Machine, code: bytes, *options: str) -> subprocess.CompletedProcess[str]:
    program = machine.folder / "bare.elf"
    program.write_bytes(with_mailbox(code))
    command = [os.fspath(machine.program), "run", "--limit-instructions", "100000", *options, os.fspath(program)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def say(text: str) -> list[int]:
    """HTIF console output: device 1, command 1 and the character in tohost; wait until the host has taken it."""
    code = []
    for c in text:
        code += [addi(A2, ZERO, 0x101), i_type(0x13, 1, A2, A2, 48), addi(A2, A2, ord(c)), sd(A2, T0, 0)]
        code += [ld(A2, T0, 0), 0xFE061EE3]  # bnez a2, -4
    return code


def test_printing_and_exit_status(machine: Machine) -> None:
    for options in ((), ("--timed",)):
        ended = words(*load_address(T0, DATA), *say("ok\n"), addi(A2, ZERO, 7 << 1 | 1), sd(A2, T0, 0), jal(ZERO, 0))
        finished = run_bare(machine, ended, *options)
        assert (finished.returncode, finished.stdout, finished.stderr) == (7, "ok\n", "")


def test_traps_reach_the_handler_and_mret_returns(machine: Machine) -> None:
    """ecall from user mode, with mcause, mepc and mtval seen by the handler; the exit status is mcause."""

    def csrw(csr: int, rs: int) -> int:
        return i_type(0x73, 1, ZERO, rs, csr)

    handler = [
        i_type(0x73, 2, A2, ZERO, 0x342),
        i_type(0x13, 1, A2, A2, 1),
        addi(A2, A2, 1),
        sd(A2, T0, 0),
        jal(ZERO, 0),
    ]
    body = [*load_address(T0, DATA), *load_address(T1, CODE + 4 * 18), csrw(0x305, T1)]
    body += [
        addi(T1, T1, -20),
        csrw(0x341, T1),
        0x30200073,
        addi(ZERO, ZERO, 0),
    ]  # mepc = the ecall, mret into user mode
    body += [0x00000073] * (18 - len(body))
    finished = run_bare(machine, words(*body, *handler))
    assert (finished.returncode, finished.stderr) == (8, "")


def test_a_program_without_end_or_handler_is_reported(machine: Machine) -> None:
    endless = run_bare(machine, words(jal(ZERO, 0)))
    assert endless.returncode == 1 and "endless_loop" in endless.stderr
    trap_loop = run_bare(machine, words(lui(T1, 0x1000), i_type(0x73, 1, ZERO, T1, 0x305), 0x0000))
    assert trap_loop.returncode == 1 and "endless_loop" in trap_loop.stderr
    no_handler = run_bare(machine, words(ld(A2, ZERO, 0)))
    assert no_handler.returncode == 1 and "illegal_address" in no_handler.stderr
