"""Each command of the accelerator, as a kernel uses it through gemmini_api.h, against a few lines of NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from riscv_machine import Outcome, RunKernel

RNG = np.random.default_rng(20)


def written(outcome: Outcome, shape: tuple[int, ...], dtype: str = "int8") -> np.ndarray:
    assert outcome.case["status"] == "ok", outcome.case
    return np.frombuffer(outcome.outputs[0], dtype)[: int(np.prod(shape))].reshape(shape)


def small(*shape: int) -> np.ndarray:
    return RNG.integers(-5, 6, shape, np.int8)


def full(*shape: int) -> np.ndarray:
    return RNG.integers(-128, 128, shape, np.int8)


def sat8(values: np.ndarray) -> np.ndarray:
    return np.clip(values, -128, 127).astype(np.int8)


def product(*matrices: np.ndarray) -> np.ndarray:
    return matrices[0].astype(np.int64) @ matrices[1].astype(np.int64)


LOAD_THREE = "config_ld(16, 1.0f, 16, 0); mvin(in, 0, 16, 16); mvin(in + 256, 16, 16, 16); mvin(in + 512, 32, 16, 16);"


# ---------------------------------------------------------------- products


def test_output_stationary_products_add_up_in_the_array_and_leave_it_shifted(run_kernel: RunKernel) -> None:
    a, b, d = full(16, 16), full(16, 16), small(16, 16)
    got = run_kernel(
        LOAD_THREE + "gemmini_config_ex(OS, NOACT, 9); config_st(16);"
        "preload(32, NONE, 16, 16, 16, 16); compute_preloaded(0, 16, 16, 16, 16, 16);"
        "preload(NONE, 48, 16, 16, 16, 16); compute_accumulated(0, 16, 16, 16, 16, 16); mvout(out, 48, 16, 16);",
        a,
        b,
        d,
    )
    total = 2 * product(a, b) + d
    assert np.array_equal(written(got, (16, 16)), sat8(np.rint(np.clip(total, -(2**40), 2**40) / 512)))


@pytest.mark.parametrize(
    ("flow", "flags", "expected"),
    [
        ("WS", "1, 0", lambda a, b, d: product(a.T, b) + d),
        ("WS", "0, 1", lambda a, b, d: product(a, b.T) + d),
        ("OS", "1, 0", lambda a, b, d: product(a.T, b) + d),
        ("OS", "1, 1", lambda a, b, d: product(a.T, b.T) + d),
    ],
)
def test_transposes(run_kernel: RunKernel, flow: str, flags: str, expected: Callable[..., np.ndarray]) -> None:
    a, b, d = small(16, 16), small(16, 16), small(16, 16)
    first, second = ("16", "32") if flow == "WS" else ("32", "16")
    got = run_kernel(
        LOAD_THREE + f"config_ex({flow}, NOACT, 1, {flags}); config_st(16);"
        f"preload({first}, 48, 16, 16, 16, 16); compute_preloaded(0, {second}, 16, 16, 16, 16);"
        f" mvout(out, 48, 16, 16);",
        a,
        b,
        d,
    )
    assert np.array_equal(written(got, (16, 16)), sat8(expected(a, b, d)))


def test_limits_of_a_transposed_operand_are_those_of_the_logical_matrix(run_kernel: RunKernel) -> None:
    a, b = small(16, 16), small(16, 16)
    got = run_kernel(
        "config_ld(16, 1.0f, 16, 0); mvin(in, 0, 16, 3);"
        " mvin(in + 256, 16, 16, 16);"  # only the three rows that are read
        "config_ex(WS, NOACT, 1, 1, 0); config_st(16);"
        "preload(16, 48, 16, 3, 16, 7); compute_preloaded(0, NONE, 3, 7, 16, 16); mvout(out, 48, 16, 7);",
        a,
        b,
    )
    assert np.array_equal(written(got, (7, 16)), sat8(product(a[:3, :7].T, b[:3])))


def test_strides_step_rows_of_a_and_c_and_can_be_set_alone(run_kernel: RunKernel) -> None:
    a, b = small(16, 16), small(16, 16)
    got = run_kernel(
        LOAD_THREE + "config_ex(WS, RELU, 1, 0, 0); gemmini_extended3_config_ex(OS, NOACT, 0, 1.0f, 3, 2, 0,"
        " 0, 1); config_st(16);"
        "preload(16, 64, 16, 16, 16, 8); compute_preloaded(0, NONE, 16, 8, 16, 16);"
        "for (int r = 0; r < 8; r++) mvout(out + 16 * r, 64 + 3 * r, 16, 1);",
        a,
        b,
        b,
    )
    assert np.array_equal(written(got, (8, 16)), np.maximum(sat8(product(a[::2], b)), 0))


# ---------------------------------------------------------------- loads and stores


def test_pixel_repeats_put_neighbouring_pixels_into_one_row(run_kernel: RunKernel) -> None:
    pixels = full(8, 3)
    got = run_kernel(
        "config_ld(16, 1.0f, 16, 0); mvin(NULL, 0, 16, 16); gemmini_extended5_config_ld(3, 1.0f, 0, 16, 4, 0);"
        "mvin(in, 0, 3, 8); config_st(16); mvout(out, 0, 16, 16);",
        pixels,
    )
    expected = np.zeros((16, 16), np.int8)
    for row in range(8):
        for copy in range(min(4, row + 1)):
            expected[row - copy, 3 * copy : 3 * copy + 3] = pixels[row]
    assert np.array_equal(written(got, (16, 16)), expected)


def test_accumulating_shrunk_loads_are_scaled_and_full_width_stores_are_raw(run_kernel: RunKernel) -> None:
    a, b = full(16, 16), full(16, 16)
    got = run_kernel(
        "gemmini_extended3_config_ld(16, 1.0f, 1, 0); gemmini_extended3_config_ld(16, 2.5f, 1, 1);"
        "mvin(in, ACC, 16, 16); mvin2(in + 256, ACCADD, 16, 16); config_st_ext(64, RELU, 0.1f);"
        " mvout(out, ACCFULL, 16, 16);",
        a,
        b,
    )
    assert np.array_equal(written(got, (16, 16), "<i4"), a.astype(np.int32) + sat8(np.rint(b * np.float32(2.5))))


def test_relu_comes_before_the_scale(run_kernel: RunKernel) -> None:
    a = full(16, 16)
    got = run_kernel(
        "gemmini_extended3_config_ld(16, 1.0f, 1, 0); mvin(in, ACC, 16, 16); config_st_ext(16, RELU, -1.0f);"
        " mvout(out, ACC, 16, 16);",
        a,
    )
    assert np.array_equal(written(got, (16, 16)), -np.maximum(a, 0))


def test_pooling_takes_the_maximum_and_pads_with_zeros(run_kernel: RunKernel) -> None:
    image = RNG.integers(-128, 20, (5, 6, 16), np.int8)
    got = run_kernel(
        "gemmini_extended3_config_ld(16, 1.0f, 1, 0); mvin(in, ACC, 16, 16); mvin(in + 256, ACC + 16, 16, 14);"
        "gemmini_extended2_config_st(16, NOACT, 1.0f, 2, 3, 3, 3, 3, 5, 6, 1, 1); mvout(out, ACC, 16, 0);",
        image,
    )
    padded = np.zeros((8, 8, 16), np.int8)
    padded[1:6, 1:7] = image
    expected = [[padded[2 * r : 2 * r + 3, 2 * c : 2 * c + 3].max((0, 1)) for c in range(3)] for r in range(3)]
    assert np.array_equal(written(got, (3, 3, 16)), expected)


# ---------------------------------------------------------------- normalisation


def test_igelu(run_kernel: RunKernel) -> None:
    a = full(16, 16)
    qb, qc = -100, 4000
    got = run_kernel(
        "gemmini_extended3_config_ld(16, 1.0f, 1, 0); mvin(in, ACC, 16, 16); config_st_ext(16, IGELU, 0.0001f);"
        f"gemmini_config_norm(0, 0, 0, 0, 0, {qb}, {qc}); mvout(out, ACC, 16, 16);",
        a,
    )
    v = a.astype(np.int64)
    t = np.where(v < 0, -1, 1) * ((np.minimum(abs(v), -qb) + qb) ** 2 + qc)
    scaled = (v * (t + qc)).astype(np.float32) * np.float32(0.0001)
    assert np.array_equal(written(got, (16, 16)), sat8(np.rint(scaled)))


def norm_rows(commands: tuple[int, int, int]) -> str:
    """Every row of a 16 x 32 matrix through its passes, with its own stat id."""
    body = "for (int r = 0; r < 16; r++) { gemmini_config_norm(0, 0, 1, 0, r % 4, 0, 0);"
    return body + "".join(f"mvout(out + 32 * r, ACC + r + ({c} << 26), 32, 1);" for c in commands) + "}"


LOAD_NORM = "gemmini_extended3_config_ld(32, 1.0f, 1, 0); mvin(in, ACC, 32, 16);"


def test_layernorm_of_rows(run_kernel: RunKernel) -> None:
    a = full(16, 32)
    got = run_kernel(LOAD_NORM + "config_st_ext(32, LAYERNORM, 30.0f);" + norm_rows((2, 4, 0)), a)
    mean = np.trunc(a.sum(1, np.int64) / 32).astype(np.int64)[:, None]
    variance = ((a - mean) ** 2).sum(1) // 32
    inverse = (np.float32(1) / np.floor(np.sqrt(variance)).astype(np.float32))[:, None]
    x = np.trunc((a - mean).astype(np.float32) * inverse)
    assert np.array_equal(written(got, (16, 32)), sat8(np.rint(x * 30)))


def test_softmax_of_rows(run_kernel: RunKernel) -> None:
    a = full(16, 32)
    qb, qc, qln2 = 27, 2399, 14
    inverse = 65536 // qln2
    got = run_kernel(
        LOAD_NORM + f"config_st(32); gemmini_config_norm({qln2}, 0, 0, 1, 0, {qb}, {qc});"
        f"gemmini_config_norm({inverse}, 1, 0, 1, 0, {qb}, {qc}); config_st(32);" + norm_rows((5, 7, 0)),
        a,
    )
    q = a.astype(np.int64) - a.max(1)[:, None]
    z = -q * inverse >> 16
    e = ((q + z * qln2 + qb) ** 2 + qc) >> z
    y = e.astype(np.float32) * (np.float32(127) / e.sum(1).astype(np.float32))[:, None]
    assert np.array_equal(written(got, (16, 32)), sat8(np.rint(y)))
    assert written(got, (16, 32)).any()


# ---------------------------------------------------------------- counters, configurations


@pytest.mark.parametrize("mode", ["functional", "timed"])
def test_counters_count_until_a_snapshot_is_taken(run_kernel: RunKernel, mode: str) -> None:
    got = run_kernel(
        "uint32_t *said = (uint32_t *)out; config_ld(16, 1.0f, 16, 0); counter_configure(3, 9);"
        " said[0] = counter_read(3);"
        "for (int i = 0; i < 8; i++) mvin(in, 0, 16, 4);"
        "fence(); counter_snapshot_take(); said[1] = counter_read(3); for (int i = 0; i < 8;"
        " i++) mvin(in, 0, 16, 4); fence();"
        "said[2] = counter_read(3); counter_snapshot_reset(); said[3] = counter_read(3); counter_reset();"
        " said[4] = counter_read(3);",
        mode=mode,
    )
    first, snapshot, still, later, reset = written(got, (5,), "<u4").tolist()
    assert first == 0 and reset == 0
    assert 0 < snapshot == still < later


def test_float32_products_are_summed_in_order_without_fusing(run_kernel: RunKernel) -> None:
    a, b, d = (RNG.standard_normal((4, 4), np.float32) for _ in range(3))
    got = run_kernel(
        "config_ex(WS, NOACT, 1, 0, 0); config_ld(16, 1.0f, 4, 0); config_st_ext(16, NOACT, 0.5f);"
        "mvin(in, 0, 4, 4); mvin(in + 64, 4, 4, 4); mvin(in + 128, 8, 4, 4);"
        "preload(4, ACC, 4, 4, 4, 4); compute_preloaded(0, 8, 4, 4, 4, 4); mvout(out, ACC, 4, 4);",
        a,
        b,
        d,
        head="#define GEMMINI_4_FP32",
        config="gemmini4-fp32",
    )
    total = d.copy()
    for k in range(4):
        total += a[:, k : k + 1] * b[k]
    assert np.array_equal(written(got, (4, 4), "<f4"), total * np.float32(0.5))


def test_the_wide_configuration_multiplies_32x32(run_kernel: RunKernel) -> None:
    a, b = small(32, 32), small(32, 32)
    got = run_kernel(
        "config_ex(WS, NOACT, 1, 0, 0); gemmini_config_ld(32); config_st(32); gemmini_mvin(in, 0);"
        " gemmini_mvin(in + 1024, 32);"
        "gemmini_preload(32, ACC); gemmini_compute_preloaded(0, NONE); gemmini_mvout(out, ACC);",
        a,
        b,
        head="#define GEMMINI_32_INT8",
        config="gemmini32-int8",
    )
    assert np.array_equal(written(got, (32, 32)), sat8(product(a, b)))
