"""Triton's interpreter, made as strict as the device: every access is looked at before it happens.

Beyond what the interpreter does by itself: addresses are checked, lanes that a mask leaves out and that have no `other`
hold NaN (on the device nothing is said of them), tl.dot rounds as its input_precision says (the interpreter calculates
in full float32), programs and places of a block that touch the same element are told from each other.
Written for Triton 3.9, whose builder, launcher and rewriter have no public names.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import triton.language as tl  # pyright: ignore[reportMissingImports]
from triton.runtime import interpreter  # pyright: ignore[reportMissingImports]

from .calling import OPTIONS, Started, grid_size
from .counting import Counter
from .errors import KernelFault, line_now
from .hazards import Hazards
from .memory import Memory

MAX_PROGRAMS = 1 << 22
INTEGER_POISON = 77
DEFAULT_WARPS = 4


class Session:
    """What a call of `launch` may do, and what it did. `programs`: how many of a launch run (None: all), within
    `seconds` once one has."""

    def __init__(
        self, memory: Memory, hazards: Hazards | None, *, programs: int | None, seconds: float, seed: int
    ) -> None:
        self.memory, self.hazards = memory, hazards
        self._rng = np.random.default_rng(seed)
        self.programs, self.seconds = programs, seconds
        self.counter: Counter | None = None
        self.launches: list[dict[str, Any]] = []
        self.started = Started()

    @property
    def operands(self) -> list[tuple[int, int]]:
        return [(buffer.start, buffer.end) for buffer in self.memory.buffers if buffer.role != "scratch"]

    def chosen(self, count: int) -> list[int]:
        if self.programs is None or count <= self.programs:
            return list(range(count))
        # Drawn: a kernel that knew which programs are looked at would let these alone work.
        return [int(at) for at in self._rng.choice(count, self.programs, replace=False)]


session: Session | None = None


def current() -> Session:
    if session is None:
        raise KernelFault("forbidden", "kernels are launched by launch(), not while the file is loaded")
    return session


class Launcher:
    """Takes the place of the interpreter's own, which needs torch and always runs the whole grid."""

    def __init__(
        self, fn: Callable[..., Any], arg_names: list[str], grid: Any, pre_run_hooks: Iterable[Any] = ()
    ) -> None:
        self._fn, self._grid = fn, grid
        annotations = inspect.get_annotations(fn)
        self._constant = {name for name in arg_names if "constexpr" in _text(annotations.get(name, ""))}

    def __call__(self, *given: Any, **named: Any) -> None:
        now = current()
        options = {name: named.pop(name) for name in OPTIONS if name in named}
        try:
            scope = interpreter._patch_lang(self._fn)
        except AssertionError as error:
            raise KernelFault("bad_launch", "write: import triton.language as tl") from error
        try:
            bound = inspect.getcallargs(self._fn, *given, **named)
            arguments = {
                name: value if name in self._constant else interpreter._implicit_cvt(value)
                for name, value in bound.items()
            }
            grid = grid_size(self._grid, bound)
            now.started.launch(self._fn.__name__, self._fn.__code__.co_firstlineno, grid, bound, options)
            self._run(now, grid, arguments, options)
        finally:
            scope.restore()

    def _run(
        self, now: Session, grid: tuple[int, int, int], arguments: dict[str, Any], options: dict[str, Any]
    ) -> None:
        count = grid[0] * grid[1] * grid[2]
        if count > MAX_PROGRAMS and now.programs is None:
            raise KernelFault("bad_launch", f"{count} programs at a shape this small")
        threads = 32 * int(options.get("num_warps", DEFAULT_WARPS))
        now.counter = Counter(threads, now.operands) if now.programs is not None else None
        if now.hazards is not None:
            now.hazards.launch(grid)
        builder = interpreter.interpreter_builder
        builder.set_grid_dim(*grid)
        run, began = 0, time.monotonic()
        for number in now.chosen(count):
            place = (number // (grid[1] * grid[2]), number // grid[2] % grid[1], number % grid[2])
            builder.set_grid_idx(*place)
            if now.hazards is not None:
                now.hazards.program(number)
            try:
                self._fn(**arguments)
            except Exception as error:
                raise interpreter.InterpreterError(f"program {place}: {error}") from error
            run += 1
            if now.counter is not None:
                now.counter.program_done()
                if time.monotonic() - began > now.seconds:
                    break
        now.launches.append(
            {
                "kernel": self._fn.__name__, "line": self._fn.__code__.co_firstlineno, "grid": list(grid),
                "threads": threads, "run": run, "seconds": time.monotonic() - began,
                **(now.counter.report() if now.counter else {}),
            }
        )  # fmt: skip


def _text(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def _element(pointers: Any) -> tuple[Any, np.dtype]:
    kind = pointers.get_element_ty()
    return kind, interpreter._get_np_dtype(kind)


class Watched:
    """Replacements for methods of the interpreter's builder; `self` is the builder."""

    def create_masked_load(self, ptrs: Any, mask: Any, other: Any, cache_policy: Any, is_volatile: Any) -> Any:
        kind, dtype = _element(ptrs)
        addresses, places = _active(ptrs, mask)
        now = current()
        if addresses.size:
            if now.counter is not None:
                now.counter.access(line_now(), "load", addresses, dtype.itemsize)
            for buffer, part in now.memory.placed(addresses, dtype.itemsize, "loads"):
                if now.hazards is not None:
                    now.hazards.load(buffer, addresses[part], places[part], dtype.itemsize)
        rest = _poison(ptrs.data.shape, dtype) if other is None else other.data
        return interpreter.TensorHandle(interpreter._interpreter.load(ptrs.data, mask.data, rest, dtype), kind)

    def create_masked_store(self, ptrs: Any, value: Any, mask: Any, cache_policy: Any) -> Any:
        _, dtype = _element(ptrs)
        addresses, places = _active(ptrs, mask)
        now = current()
        if addresses.size:
            if now.counter is not None:
                now.counter.access(line_now(), "store", addresses, dtype.itemsize)
            values = np.broadcast_to(value.data, ptrs.data.shape).ravel()[places] if now.hazards else None
            for buffer, part in now.memory.placed(addresses, dtype.itemsize, "stores"):
                _writable(buffer)
                if now.hazards is not None and values is not None:
                    now.hazards.store(buffer, addresses[part], places[part], values[part], dtype.itemsize)
        return interpreter._interpreter.store(ptrs.data, value.data, mask.data)

    def create_dot(self: Any, a: Any, b: Any, d: Any, input_precision: Any, max_num_imprecise_acc: Any) -> Any:
        now = current()
        if now.counter is not None:
            now.counter.dot_flops += 2 * a.data.size * b.data.shape[-1]
        if a.dtype == tl.float32 and b.dtype == tl.float32:
            total = sum(
                (np.matmul(x, y, dtype=np.float32) for x, y in _rounded(a.data, b.data, str(input_precision))),
                start=np.zeros_like(d.data),
            )
            return interpreter.TensorHandle((total + d.data).astype(d.data.dtype), d.dtype.scalar)
        if a.dtype == tl.bfloat16 and b.dtype == tl.bfloat16:  # kept as bits, integers to matmul
            wide = ((handle.data.astype(np.uint32) << 16).view(np.float32) for handle in (a, b))
            return interpreter.TensorHandle(np.matmul(*wide, dtype=np.float32) + d.data, d.dtype.scalar)
        return _plain_dot(self, a, b, d, input_precision, max_num_imprecise_acc)

    def create_barrier(self) -> None:
        now = current()
        if now.hazards is not None:
            now.hazards.barrier()
        if now.counter is not None:
            now.counter.barriers += 1


_plain_binary = interpreter.InterpreterBuilder.binary_op
_plain_dot = interpreter.InterpreterBuilder.create_dot
_plain_rmw = interpreter.InterpreterBuilder.create_atomic_rmw
_plain_cas = interpreter.InterpreterBuilder.create_atomic_cas


def _binary(self: Any, lhs: Any, rhs: Any, op: Any) -> Any:
    """The interpreter calls what a comparison of integers gives an integer, and widens it when it is broadcast."""
    made = _plain_binary(self, lhs, rhs, op)
    return interpreter.TensorHandle(made.data, tl.int1) if made.data.dtype == np.bool_ else made


def _atomic_rmw(self: Any, op: Any, ptr: Any, val: Any, mask: Any, sem: Any, scope: Any) -> Any:
    _atomic(ptr, mask, sem)
    return _plain_rmw(self, op, ptr, val, mask, sem, scope)


def _atomic_cas(self: Any, ptr: Any, cmp: Any, val: Any, sem: Any, scope: Any) -> Any:
    _atomic(ptr, None, sem)
    return _plain_cas(self, ptr, cmp, val, sem, scope)


def _atomic(ptr: Any, mask: Any, sem: Any) -> None:
    _, dtype = _element(ptr)
    whole = ptr.data.size
    addresses = ptr.data.astype(np.int64).ravel()
    if mask is not None:
        addresses = addresses[np.broadcast_to(mask.data, ptr.data.shape).ravel()]
    now = current()
    if not addresses.size:
        return
    if now.counter is not None:
        now.counter.access(line_now(), "atomic", addresses, dtype.itemsize)
    for buffer, part in now.memory.placed(addresses, dtype.itemsize, "updates"):
        _writable(buffer)
        if now.hazards is not None:
            now.hazards.atomic(buffer, addresses[part], str(sem).rpartition(".")[2], whole, dtype.itemsize)


def _writable(buffer: Any) -> None:
    if buffer.role == "input":
        raise KernelFault("write_to_input", f"stores into {buffer.name}: inputs are read-only")


def _active(ptrs: Any, mask: Any) -> tuple[np.ndarray, np.ndarray]:
    """Addresses that the mask lets through, and their places in the block."""
    addresses = ptrs.data.astype(np.int64).ravel()
    places = np.flatnonzero(np.broadcast_to(mask.data, ptrs.data.shape).ravel())
    return addresses[places], places.astype(np.int32)


def _poison(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return np.full(shape, np.nan if dtype.kind == "f" else dtype.type(INTEGER_POISON), dtype)


def _rounded(a: np.ndarray, b: np.ndarray, precision: str) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """The products that tensor cores make of float32 operands."""
    kind = precision.rpartition(".")[2]
    if kind in ("TF32", "TF32x3"):
        cut = interpreter._round_f32_to_tf32
    elif kind == "BF16x3":
        cut = _to_bfloat16
    else:  # IEEE, and BF16x6, which keeps all 24 bits
        return ((a, b),)
    parts = []
    for values in (a, b):
        high = cut(values)
        with np.errstate(invalid="ignore"):
            parts.append((high, cut(values - high)))
    (ah, al), (bh, bl) = parts
    return ((ah, bh),) if kind == "TF32" else ((ah, bh), (ah, bl), (al, bh))


def _to_bfloat16(values: np.ndarray) -> np.ndarray:
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = (bits + ((bits >> 16) & 1) + np.uint32(0x7FFF)) & np.uint32(0xFFFF0000)
    return np.where(np.isfinite(values), rounded, bits).view(np.float32)


def install() -> None:
    """Before any kernel is loaded."""
    builder = interpreter.InterpreterBuilder
    for name, member in itertools.chain(
        ((name, member) for name, member in vars(Watched).items() if name.startswith("create_")),
        (("create_atomic_rmw", _atomic_rmw), ("create_atomic_cas", _atomic_cas), ("binary_op", _binary)),
    ):
        setattr(builder, name, member)
    interpreter.GridExecutor = Launcher  # type: ignore[misc,assignment]
    interpreter.FunctionRewriter._compile_and_exec = _rewritten  # type: ignore[method-assign]
    interpreter.FunctionRewriter._find_def = _line_of_def  # type: ignore[method-assign]
    interpreter.ASTTransformer.visit_For = _counted


def _line_of_def(self: Any, lines: list[str]) -> int:
    """Of the function itself, from 1. The interpreter takes the last line that begins with `def`, which may be one of
    a text: that was never screened."""
    (made,) = ast.parse(textwrap.dedent("".join(lines))).body
    return made.lineno


def _counted(self: Any, node: ast.For) -> ast.For:
    """A counter is an integer of 32 bits, as on the device, where the interpreter leaves it Python's."""
    made = self.generic_visit(node)
    called = made.iter.func if isinstance(made.iter, ast.Call) else None
    name = getattr(called, "id", getattr(called, "attr", ""))
    if isinstance(made.target, ast.Name) and name != "static_range":
        call = f"{made.target.id} = interpreter_semantic.to_tensor({made.target.id}, False)"
        (first,) = ast.parse(call).body
        made.body.insert(0, ast.copy_location(first, made))
    return made


def _rewritten(self: Any, tree: Any) -> Any:
    """As the interpreter does it, but without giving the kernel all names of the interpreter's module."""
    names = self.fn.__globals__
    for name in ("interpreter_semantic", "_InterpreterComparison"):
        names.setdefault(name, getattr(interpreter, name))
    made: dict[str, Any] = dict(self.kwargs)
    exec(compile(tree, filename=self.filename, mode="exec"), names, made)
    return made[self.fn.__name__]
