"""A matrix product's kernel from its schedule."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..gemm import Gemm
from .gemm_schedule import COLUMNS, DEPTH, ROWS, GemmSchedule, check, format_line, panels, tiles
from .writer import IMPORTS, Writer


def emit(gemm: Gemm, schedule: GemmSchedule) -> str:
    """Of a fitted schedule. Raises ScheduleError."""
    check(gemm, schedule)
    return _Emitter(gemm, schedule).text()


class _Emitter(Writer):
    def __init__(self, gemm: Gemm, schedule: GemmSchedule) -> None:
        super().__init__()
        self.s = schedule
        self.whole = schedule.bk >= tiles(gemm)[2]  # one step adds up all of K
        split = {"given": "", "split3": "ab"}[schedule.products]
        self.at_use = panels(schedule) if schedule.panel == "use" else ""
        # Names of an operand's tiles; their lists are in the plural.
        self.parts = {
            name: (tile, f"{tile}_low") if name in split else (tile,) for name, tile in (("a", "left"), ("b", "right"))
        }

    def text(self) -> str:
        s = self.s
        self.put(format_line(s), *IMPORTS, "@nki.jit")
        with self.block("def solution(a_t, b)"):
            self.put("K, M = a_t.shape", "_, N = b.shape")
            self.put("out = nl.ndarray((M, N), dtype=a_t.dtype, buffer=nl.shared_hbm)")
            everything = {"a": s.keep_a and s.order == "nm", "b": s.keep_b and s.order == "mn"}
            for name, kept in everything.items():
                if kept:
                    self.put(*(f"kept_{part}s = []" for part in self.parts[name]))
            first, second = s.order
            with self.block(self._loop(first)):
                self._ends(first)
                for name, loop in (("a", "m"), ("b", "n")):
                    if getattr(s, f"keep_{name}") and first == loop:
                        self._load_panel(name)
                with self.block(self._loop(second)):
                    self._ends(second)
                    for name, kept in everything.items():
                        if kept:
                            self._load_once(name, first, second)
                    self._block()
            self.put("return out")
        return super().text()

    def _step(self, name: str) -> int:
        return self.s.bm * ROWS if name == "m" else self.s.bn * COLUMNS

    def _loop(self, name: str) -> str:
        return f"for {name} in range(0, {name.upper()}, {self._step(name)})"

    def _ends(self, name: str) -> None:
        """How many rows or columns the block has."""
        what = "rows" if name == "m" else "columns"
        extent = what if self._single(name) else f"block_{what}"
        self.put(f"{extent} = min({self._step(name)}, {name.upper()} - {name})")

    def _single(self, name: str) -> bool:
        return (self.s.bm if name == "m" else self.s.bn) == 1

    def _extent(self, name: str) -> str:
        what = "rows" if name == "m" else "columns"
        return what if self._single(name) else f"block_{what}"

    # ------------------------------------------------------------ loads

    def _load_panel(self, name: str) -> None:
        if self.at_use:
            self.put(*(f"{part}s = []" for part in self.parts[name]))
        else:
            self._load(name, "0", "K")

    def _load_once(self, name: str, first: str, second: str) -> None:
        """Of an operand kept whole: in the first round of the outer loop, each part at its first use."""
        with self.block(f"if {first} == 0"):
            self._load(name, "0", "K")
            self.put(*(f"kept_{part}s.append({part}s)" for part in self.parts[name]))
        self.put(*(f"{part}s = kept_{part}s[{second} // {self._step(second)}]" for part in self.parts[name]))

    def _load(self, name: str, start: str, end: str) -> None:
        """Tiles of 128 along K, from `start` to `end`, into lists."""
        self._load_lists((name,), start, end)

    def _load_lists(self, names: Sequence[str], start: str, end: str, steps: bool = False) -> None:
        parts = [part for name in names for part in self.parts[name]]
        self.put(*(f"{part}s = []" for part in parts))
        with self.block(f"for d in range({start}, {end}, {DEPTH})"):
            self.put(f"depth = min({DEPTH}, K - d)")
            if steps:
                self._load_first("d")
            for name in names:
                self._load_tile(name, "d")
            self.put(*(f"{part}s.append({part})" for part in parts))

    def _load_tile(self, name: str, at: str) -> None:
        loop, operand = ("m", "a_t") if name == "a" else ("n", "b")
        tile, extent = self.parts[name][0], self._extent(loop)
        source = f"{operand}[{at}:{at} + depth, {loop}:{loop} + {extent}]"
        if len(self.parts[name]) == 1:
            self.tile(tile, f"depth, {extent}", f"{operand}.dtype")
            self.put(f"nisa.dma_copy(dst={tile}, src={source})")
            return
        self.tile("exact", f"depth, {extent}", f"{operand}.dtype")
        self.put(f"nisa.dma_copy(dst=exact, src={source})")
        for part in self.parts[name]:
            self.tile(part, f"depth, {extent}", "nl.bfloat16")
        engine = ", engine=nisa.engine.gpsimd" if self.s.low_engine == "gpsimd" else ""
        self.put(
            f"nisa.tensor_copy(dst={tile}, src=exact, engine=nisa.engine.scalar)",
            f"nisa.tensor_tensor(dst={tile}_low, data1=exact, data2={tile}, op=nl.subtract{engine})",
        )

    # ------------------------------------------------------------ products

    def _block(self) -> None:
        s = self.s
        if self.whole:
            self._step_loads("0", "K")
            self._tiles(self._whole_sum)
            return
        if s.sums == "sbuf":
            self.put("totals = []")
        elif self._several:
            self._all_sums()
        else:
            self.tile("sums", "rows, columns", buffer="psum")
        step = s.bk * DEPTH
        with self.block(f"for k in range(0, K, {step})"):
            self._step_loads("k", f"min(K, k + {step})")
            self._tiles(self._add_to_psum if s.sums == "psum" else self._add_to_sbuf, store=s.sums == "sbuf")
        if s.sums == "psum":
            self._tiles(lambda: self._finish(self._sum()))

    @property
    def _several(self) -> bool:
        return self.s.bm * self.s.bn > 1

    def _all_sums(self) -> None:
        """A list per row of tiles."""
        self.put("sums = []")
        with self.block_if(self.s.bm > 1, f"for i in range(m, m + block_rows, {ROWS})"):
            if self.s.bm > 1:
                self.put(f"rows = min({ROWS}, M - i)")
            self.put("sums.append([])")
            with self.block_if(self.s.bn > 1, f"for j in range(n, n + block_columns, {COLUMNS})"):
                if self.s.bn > 1:
                    self.put(f"columns = min({COLUMNS}, N - j)")
                self.put("sums[-1].append(nl.ndarray((rows, columns), dtype=nl.float32, buffer=nl.psum))")

    def _step_loads(self, start: str, end: str) -> None:
        """What is not kept. A step of one tile needs no list."""
        loose = [name for name in "ab" if not getattr(self.s, f"keep_{name}")]
        if self.s.bk == 1 and not self.whole:
            self.put(f"depth = min({DEPTH}, K - {start})")
            self._load_first(start)
            for name in loose:
                self._load_tile(name, start)
        elif loose:
            self._load_lists(loose, start, end, steps=True)

    def _load_first(self, at: str) -> None:
        """Of a panel that is loaded at its first use: in the first round of the inner loop."""
        if self.at_use:
            with self.block(f"if {self.s.order[1]} == 0"):
                self._load_tile(self.at_use, at)
                self.put(*(f"{part}s.append({part})" for part in self.parts[self.at_use]))

    def _tiles(self, body: Callable[[], None], store: bool = True) -> None:
        """`body` for every tile of the block, with i, j, rows and columns set."""
        s = self.s
        wide = s.store == "block" and store
        with self.block_if(s.bm > 1, f"for i in range(m, m + block_rows, {ROWS})"):
            if s.bm > 1:
                self.put(f"rows = min({ROWS}, M - i)")
            if wide:
                self.tile("result", f"rows, {self._extent('n')}", "out.dtype")
            with self.block_if(s.bn > 1, f"for j in range(n, n + block_columns, {COLUMNS})"):
                if s.bn > 1:
                    self.put(f"columns = min({COLUMNS}, N - j)")
                body()
            if wide:
                self._store_row()

    def _store_row(self) -> None:
        last = f"if k + {self.s.bk * DEPTH} >= K"
        with self.block_if(self.s.sums == "sbuf" and not self.whole, last):
            self.put(f"nisa.dma_copy(dst=out[{self._i}:{self._i} + rows, n:n + block_columns], src=result)")

    @property
    def _i(self) -> str:
        return "i" if self.s.bm > 1 else "m"

    @property
    def _j(self) -> str:
        return "j" if self.s.bn > 1 else "n"

    def _number(self, name: str) -> str:
        """Which tile of the block, from 0."""
        if self._single(name):
            return "0"
        return f"(i - m) // {ROWS}" if name == "m" else f"(j - n) // {COLUMNS}"

    def _operand(self, name: str, part: str, at: str) -> str:
        """What of a loaded tile a product takes; `at` is where along K it begins."""
        kept = getattr(self.s, f"keep_{name}")
        loop, extent = ("m", "rows") if name == "a" else ("n", "columns")
        tile = f"{part}s"
        if self.s.bk == 1 and not self.whole and not kept:
            tile = tile[:-1]
        elif kept or self.whole:
            tile = f"{tile}[{at} // {DEPTH}]"
        else:
            tile = f"{tile}[({at} - k) // {DEPTH}]"
        if self._single(loop):
            return tile
        where = "i - m" if name == "a" else "j - n"
        return f"{tile}[:, {where}:{where} + {extent}]"

    def _products(self, target: str) -> None:
        if self.s.bk == 1 and not self.whole:
            self._product(target, "k")
            return
        end = "K" if self.whole else f"min(K, k + {self.s.bk * DEPTH})"
        with self.block(f"for d in range({'0' if self.whole else 'k'}, {end}, {DEPTH})"):
            self._product(target, "d")

    def _product(self, target: str, at: str) -> None:
        lefts = [self._operand("a", part, at) for part in self.parts["a"]]
        rights = [self._operand("b", part, at) for part in self.parts["b"]]
        pairs = [(lefts[0], rights[0])]  # low * low is below what float32 keeps of the sum
        pairs += [(low, rights[0]) for low in lefts[1:]] + [(lefts[0], low) for low in rights[1:]]
        for left, right in pairs:
            self.put(f"nisa.nc_matmul(dst={target}, stationary={left}, moving={right})")

    def _whole_sum(self) -> None:
        self.tile("sums", "rows, columns", buffer="psum")
        self._products("sums")
        self._finish("sums")

    def _sum(self) -> str:
        return f"sums[{self._number('m')}][{self._number('n')}]" if self._several else "sums"

    def _add_to_psum(self) -> None:
        self._products(self._sum())

    def _add_to_sbuf(self) -> None:
        self.tile("sums", "rows, columns", buffer="psum")
        self._products("sums")
        if self._single("m") or self._single("n"):
            number = self._number("n" if self._single("m") else "m")
        else:  # the last block of columns may have fewer tiles than the others
            number = f"{self._number('m')} * -(-block_columns // {COLUMNS}) + {self._number('n')}"
        with self.block("if k == 0"):
            self.tile("total", "rows, columns")
            self._copy("total", "sums")
            self.put("totals.append(total)")
        with self.block(f"elif k + {self.s.bk * DEPTH} < K"):
            self.put(f"total = totals[{number}]")
            self.put("nisa.tensor_tensor(dst=total, data1=total, data2=sums, op=nl.add)")
        with self.block("else"):
            self._finish("sums", f"totals[{number}]")

    # ------------------------------------------------------------ results

    def _copy(self, target: str, source: str) -> None:
        which = {
            "vector": "",
            "scalar": ", engine=nisa.engine.scalar",
            "both": ", engine=where",
        }[self.s.copy_engine]
        if self.s.copy_engine == "both":
            at = f"({self._i} // {ROWS} + {self._j} // {COLUMNS}) % 2"
            self.put(f"where = nisa.engine.scalar if {at} else nisa.engine.vector")
        self.put(f"nisa.tensor_copy(dst={target}, src={source}{which})")

    def _finish(self, sums: str, total: str | None = None) -> None:
        """Out of PSUM, and into HBM where the tile is stored by itself."""
        wide = self.s.store == "block"
        where = "j - n"
        target = f"result[:, {where}:{where} + columns]" if wide else "result"
        if not wide:
            self.tile("result", "rows, columns", "out.dtype")
        if total is None:
            self._copy(target, sums)
        else:
            self.put(f"nisa.tensor_tensor(dst={target}, data1={total}, data2={sums}, op=nl.add)")
        if not wide:
            at = f"{self._i}:{self._i} + rows, {self._j}:{self._j} + columns"
            self.put(f"nisa.dma_copy(dst=out[{at}], src=result)")
