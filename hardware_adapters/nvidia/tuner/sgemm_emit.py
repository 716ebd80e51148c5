"""SGEMM kernels from schedules: from one thread per result to tiles in shared memory and in registers."""

from __future__ import annotations

from contextlib import AbstractContextManager

from ...schedules import first_line
from ..matrices import Gemm
from .sgemm_schedule import MARK, SgemmSchedule, check
from .writer import INCLUDES, LOAD4, STORE4, Writer

_KINDS = ("const float", "const float", "float")


def emit(gemm: Gemm, schedule: SgemmSchedule) -> str:
    """Of a fitted schedule. Raises ScheduleError."""
    check(gemm, schedule)
    return _Emitter(gemm, schedule).text()


class _Emitter(Writer):
    def __init__(self, gemm: Gemm, schedule: SgemmSchedule) -> None:
        super().__init__()
        self.s = schedule
        # Rows of the problem's own dimensions decide; with others the kernel is right, but moves them one by one.
        self.widths = {"a": schedule.width(gemm.dims["K"]), "b": schedule.width(gemm.dims["N"])}
        keyword = "__restrict__ " if schedule.restrict else ""
        operands = ", ".join(f"{kind} *{keyword}{name}" for kind, name in zip(_KINDS, "ABC", strict=True))
        self.signature = f"product({operands}, int64_t M, int64_t N, int64_t K)"

    def text(self) -> str:
        s = self.s
        how = f"{s.tm} x {s.tn} per thread" if s.staged else "one thread per element of C"
        self.put(first_line(s, MARK), f"// C[M][N] = A[M][K] x B[K][N]: {how}.", *INCLUDES, "")
        if s.staged and 4 in self.widths.values():
            self.whole(LOAD4)
        if s.reads == 4:
            self.whole(STORE4)
        if s.staged:
            self._constants()
            self._tiled()
        else:
            self._plain()
        block = str(s.threads) if s.staged else "dim3(16, 16)"
        with self.launch():
            self.put("int64_t M = dims[0], N = dims[1], K = dims[2];")
            self.put(
                f"unsigned blocks = (unsigned)((N + {s.bn - 1}) / {s.bn} * ((M + {s.bm - 1}) / {s.bm}));",
                "const float *A = (const float *)buffers[0], *B = (const float *)buffers[1];",
                f"product<<<blocks, {block}, 0, stream>>>(A, B, (float *)buffers[2], M, N, K);",
            )
        return super().text()

    def _plain(self) -> None:
        with self.block(f"__global__ void {self.signature}"):
            self.put("int64_t across = (N + 15) / 16;  // blocks beside each other; grids are long in x only")
            self.put("int64_t column = blockIdx.x % across * 16 + threadIdx.x;")
            self.put("int64_t row = blockIdx.x / across * 16 + threadIdx.y;")
            self.put("if (row >= M || column >= N) return;", "float sum = 0.0f;")
            self.put("for (int64_t k = 0; k < K; k++) sum += A[row * K + k] * B[k * N + column];")
            self.put("C[row * N + column] = sum;")

    def _constants(self) -> None:
        s = self.s
        self.put(
            f"constexpr int BM = {s.bm}, BN = {s.bn}, BK = {s.bk};  // results and steps of K of a block",
            f"constexpr int TM = {s.tm}, TN = {s.tn};  // results of a thread",
            "constexpr int ACROSS = BN / TN, DOWN = BM / TM, THREADS = ACROSS * DOWN;",
            f"constexpr int LOADS_A = (BM * BK / {self.widths['a']} + THREADS - 1) / THREADS;",
            f"constexpr int LOADS_B = (BK * BN / {self.widths['b']} + THREADS - 1) / THREADS;",
            "",
        )

    def _tiled(self) -> None:
        s = self.s
        pad = f" + {s.pad}" if s.pad else ""
        copies = "[2]" if s.stages == 2 else ""
        left = f"[BK][BM{pad}]" if s.turned else f"[BM][BK{pad}]"
        with self.block(f"__global__ void __launch_bounds__(THREADS) {self.signature}"):
            self.put(f"__shared__ __align__(16) float a{copies}{left}, b{copies}[BK][BN];")
            self._thread()
            self.put("int64_t across = (N + BN - 1) / BN;  // tiles beside each other")
            self.put("int64_t m0 = blockIdx.x / across * BM, n0 = blockIdx.x % across * BN;")
            for operand, width in self.widths.items():
                self.put(f"float{4 if width == 4 else ''} next_{operand}[LOADS_{operand.upper()}];")
            self.put("float sum[TM][TN] = {};")
            if s.stages == 2:
                self._fetch("")
                self._keep("[0]")
                self.put("__syncthreads();", "int now = 0;")
                with self.block("for (int64_t k0 = 0; k0 < K; k0 += BK)"):
                    self.put("bool more = k0 + BK < K;  // the same for all threads")
                    with self.block("if (more)"):
                        self._fetch("k0 + BK")
                    self._multiply("[now]")
                    with self.block("if (more)"):
                        self._keep("[now ^ 1]")
                    self.put("__syncthreads();", "now ^= 1;")
            else:
                with self.block("for (int64_t k0 = 0; k0 < K; k0 += BK)"):
                    self._fetch("k0")
                    self._keep("")
                    self.put("__syncthreads();")
                    self._multiply("")
                    self.put("__syncthreads();")
            self._store()

    def _thread(self) -> None:
        """The place of the thread's results."""
        s = self.s
        if s.paired:
            self.put("int warp = threadIdx.x / 32, lane = threadIdx.x % 32;  // 8 threads by 4, their bits mixed")
            self.put("int tx = warp % (ACROSS / 8) * 8 + (lane & 1 | lane >> 1 & 2 | lane >> 2 & 4);")
            self.put("int ty = warp / (ACROSS / 8) * 4 + (lane >> 1 & 1 | lane >> 2 & 2);")
        else:
            self.put("int tx = threadIdx.x % ACROSS, ty = threadIdx.x / ACROSS;")

    def _places(self, operand: str) -> str:
        """Row and column in the tile of what a thread loads in its n-th access."""
        width = "BK" if operand == "a" else "BN"
        row, column = ("m", "k") if operand == "a" else ("k", "n")
        if self.widths[operand] == 4:
            return f"int at = threadIdx.x + i * THREADS, {row} = at / ({width} / 4), {column} = at % ({width} / 4) * 4;"
        return f"int at = threadIdx.x + i * THREADS, {row} = at / {width}, {column} = at % {width};"

    def _loop(self, operand: str) -> AbstractContextManager[None]:
        self.unroll()
        return self.block(f"for (int i = 0; i < LOADS_{operand.upper()}; i++)")

    def _inside(self, operand: str) -> str:
        """A test whether the access is one of the tile's, where there are more threads than accesses."""
        s = self.s
        items = (s.bm if operand == "a" else s.bn) * s.bk // self.widths[operand]
        return "" if items % s.threads == 0 else f"if (at < {items})"

    def _fetch(self, k0: str) -> None:
        """Elements beyond the edges count as 0: the loop over K needs no test then."""
        k = f"{k0} + k" if k0 else "k"
        zero = "make_float4(0.0f, 0.0f, 0.0f, 0.0f)"
        with self._loop("a"):
            self.put(self._places("a"))
            if self.widths["a"] == 4:
                self.put(f"next_a[i] = m < BM && m0 + m < M ? load4(A + (m0 + m) * K, {k}, K, 0.0f) : {zero};")
            else:
                self.put(f"next_a[i] = m < BM && m0 + m < M && {k} < K ? A[(m0 + m) * K + {k}] : 0.0f;")
        with self._loop("b"):
            self.put(self._places("b"))
            if self.widths["b"] == 4:
                self.put(f"next_b[i] = k < BK && {k} < K ? load4(B + ({k}) * N, n0 + n, N, 0.0f) : {zero};")
            else:
                self.put(f"next_b[i] = k < BK && {k} < K && n0 + n < N ? B[({k}) * N + n0 + n] : 0.0f;")

    def _keep(self, which: str) -> None:
        """From registers to the tiles."""
        s = self.s
        with self._loop("a"):
            self.put(self._places("a"))
            parts = [""] if self.widths["a"] == 1 else [f".{part}" for part in "xyzw"]
            stores = []
            for n, part in enumerate(parts):
                k = "k" if n == 0 else f"k + {n}"
                place = f"[{k}][m]" if s.turned else f"[m][{k}]"
                stores.append(f"a{which}{place} = next_a[i]{part};")
            self._guarded(self._inside("a"), stores)
        with self._loop("b"):
            self.put(self._places("b"))
            if self.widths["b"] == 4:
                stores = [f"*reinterpret_cast<float4 *>(&b{which}[k][n]) = next_b[i];"]
            else:
                stores = [f"b{which}[k][n] = next_b[i];"]
            self._guarded(self._inside("b"), stores)

    def _guarded(self, test: str, statements: list[str]) -> None:
        if test:
            with self.block(test):
                self.put(*statements)
        else:
            self.put(*statements)

    def _multiply(self, which: str) -> None:
        s = self.s
        self.unroll(s.unroll)
        with self.block("for (int k = 0; k < BK; k++)"):
            self.put("float x[TM], y[TN];")
            if s.reads == 4:
                for name, tile, count, place in (("x", "a", "TM", "ty"), ("y", "b", "TN", "tx")):
                    step = "DOWN" if tile == "a" else "ACROSS"
                    self.unroll()
                    with self.block(f"for (int i = 0; i < {count}; i += 4)"):
                        four = f"&{tile}{which}[k][i * {step} + {place} * 4]"
                        self.put(f"float4 v = *reinterpret_cast<const float4 *>({four});")
                        self.put(*(f"{name}[i + {n}] = v.{part};" for n, part in enumerate("xyzw")))
            else:
                row = "a{0}[k][ty + i * DOWN]" if s.turned else "a{0}[ty + i * DOWN][k]"
                self.unroll()
                self.put(f"for (int i = 0; i < TM; i++) x[i] = {row.format(which)};")
                self.unroll()
                self.put(f"for (int j = 0; j < TN; j++) y[j] = b{which}[k][tx + j * ACROSS];")
            self.unroll()
            with self.block("for (int i = 0; i < TM; i++)"):
                self.unroll()
                self.put("for (int j = 0; j < TN; j++) sum[i][j] += x[i] * y[j];")

    def _store(self) -> None:
        self.unroll()
        with self.block("for (int i = 0; i < TM; i++)"):
            if self.s.reads == 4:
                self.put("int64_t row = m0 + i / 4 * 4 * DOWN + ty * 4 + i % 4;", "if (row >= M) continue;")
                self.unroll()
                with self.block("for (int j = 0; j < TN; j += 4)"):
                    self.put("float4 v = make_float4(sum[i][j], sum[i][j + 1], sum[i][j + 2], sum[i][j + 3]);")
                    self.put("store4(C + row * N, n0 + j * ACROSS + tx * 4, N, v);")
            else:
                self.put("int64_t row = m0 + ty + i * DOWN;")
                self.unroll()
                with self.block("for (int j = 0; j < TN; j++)"):
                    self.put("int64_t column = n0 + tx + j * ACROSS;")
                    self.put("if (row < M && column < N) C[row * N + column] = sum[i][j];")
