"""Kernels compiled for this machine, with a gemmini_api.h that records commands instead of issuing them.

So an emitted kernel can be checked without any simulator of ours: its commands are played through the NumPy oracle.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from gemmini_oracle import Command

_HEADER = """
#pragma once
#include <stdint.h>
void record(uint64_t funct, uint64_t rs1, uint64_t rs2);
#define OS 0
#define WS 1
#define NOACT 0
#define RELU 1
#define ACC 0x80000000u
#define ACCADD 0xC0000000u
#define NONE 0xFFFFFFFFu
static inline uint64_t bits(float f) { union { float f; uint32_t u; } x = {f}; return x.u; }
static inline uint64_t local(uint32_t at, uint64_t cols, uint64_t rows) { return rows << 48 | cols << 32 | at; }
#define config_ex(flow, act, a_stride, a_t, b_t) \\
  record(0, bits(1.0f) << 32 | (uint64_t)(a_stride) << 16 | (b_t) << 9 | (a_t) << 8 | (act) << 3 | (flow) << 2, \\
         1ull << 48)
#define config_ld(stride, scale, block_stride, id) \\
  record(0, bits(scale) << 32 | (uint64_t)(block_stride) << 16 | 1 << 8 | (id) << 3 | 1, stride)
#define config_st_ext(stride, act, scale) record(0, (act) << 2 | 2, bits(scale) << 32 | (uint32_t)(stride))
#define config_st(stride) config_st_ext(stride, NOACT, 1.0f)
#define mvin(dram, at, cols, rows) record(2, (uint64_t)(dram), local(at, cols, rows))
#define mvin2(dram, at, cols, rows) record(1, (uint64_t)(dram), local(at, cols, rows))
#define mvin3(dram, at, cols, rows) record(14, (uint64_t)(dram), local(at, cols, rows))
#define mvout(dram, at, cols, rows) record(3, (uint64_t)(dram), local(at, cols, rows))
#define preload(b, c, bc, br, cc, cr) record(6, local(b, bc, br), local(c, cc, cr))
#define compute_preloaded(a, d, ac, ar, dc, dr) record(4, local(a, ac, ar), local(d, dc, dr))
#define compute_accumulated(a, d, ac, ar, dc, dr) record(5, local(a, ac, ar), local(d, dc, dr))
#define fence() ((void)0)
"""

_RECORDER = """
#include <stdint.h>
#include <stdlib.h>
static uint64_t *words; static uint64_t used, room;
void record(uint64_t funct, uint64_t rs1, uint64_t rs2) {
  if (used == room) { room = room ? 2 * room : 4096; words = realloc(words, room * 24); if (!words) abort(); }
  words[3 * used] = funct; words[3 * used + 1] = rs1; words[3 * used + 2] = rs2; used++;
}
uint64_t recorded(void) { return used; }
uint64_t *recording(void) { return words; }
void forget(void) { used = 0; }
"""


class RecordedKernels:
    """Many kernels in one shared library: compiling is what costs."""

    def __init__(self, sources: list[str], folder: Path) -> None:
        (folder / "gemmini_api.h").write_text(_HEADER)
        (folder / "recorder.c").write_text(_RECORDER)
        for number, source in enumerate(sources):
            (folder / f"kernel{number}.c").write_text(f"#define solution solution{number}\n{source}")
        library = folder / "kernels.so"
        compiler = [shutil.which("cc")] if shutil.which("cc") else [sys.executable, "-m", "ziglang", "cc"]
        files = ["recorder.c", *(f"kernel{n}.c" for n in range(len(sources)))]
        flags = ["-O1", "-shared", "-fPIC", "-I.", "-Wall", "-Werror", "-Wno-unknown-pragmas", "-o", str(library)]
        done = subprocess.run([*compiler, *flags, *files], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise AssertionError(done.stderr[:4000])
        self._library = ctypes.CDLL(str(library))
        self._library.recording.restype = ctypes.POINTER(ctypes.c_uint64)
        self._library.recorded.restype = ctypes.c_uint64

    def commands(self, number: int, *addresses: int) -> list[Command]:
        """The commands of one call with these pointers as arguments."""
        self._library.forget()
        getattr(self._library, f"solution{number}")(*(ctypes.c_void_p(a) for a in addresses))
        count = self._library.recorded()
        words = np.ctypeslib.as_array(self._library.recording(), (count, 3)).tolist()
        return [Command(*row) for row in words]
