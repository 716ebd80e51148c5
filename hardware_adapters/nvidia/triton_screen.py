"""What a Triton kernel's file may contain. Judged before any of it runs; the process it runs in trusts this.

A name is taken only if the file binds it or it is one of a few built-ins; modules are named only to take one of the
listed names out of them; attributes are those of tensors, blocks and plain containers.
"""

from __future__ import annotations

import ast
import builtins
import re
import time
from collections.abc import Iterator
from typing import NamedTuple

from ..base import Compilation, Diagnostic
from ..kernel_source import syntax_tree

ENTRY = "launch"
MAX_NODES = 20_000
MAX_COMPLAINTS = 20
MAX_NAME = 200
_LINE_ENDS = frozenset("\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
_FUNCTION = re.compile(r"\s*(async\s+)?def\b")
# What Triton's interpreter puts among the names of the file.
_RESERVED = frozenset(("interpreter_semantic", "_InterpreterComparison"))
_LANGUAGE = frozenset(
    (
        "abs", "arange", "argmax", "argmin", "associative_scan", "assume", "atomic_add", "atomic_and", "atomic_cas",
        "atomic_max", "atomic_min", "atomic_or", "atomic_xchg", "atomic_xor", "bfloat16", "block_type", "broadcast",
        "broadcast_to", "cat", "cast", "cdiv", "ceil", "clamp", "const", "constexpr", "cos", "cumprod", "cumsum",
        "debug_barrier", "device_assert", "div_rn", "dot", "dtype", "erf", "exp", "exp2", "expand_dims", "fdiv", "flip",
        "float16", "float32", "float64", "floor", "fma", "full", "gather", "histogram", "interleave", "int1", "int16",
        "int32", "int64", "int8", "join", "load", "log", "log2", "make_tensor_descriptor", "max", "max_constancy",
        "max_contiguous", "maximum", "min", "minimum", "multiple_of", "num_programs", "permute", "pointer_type",
        "program_id", "range", "ravel", "reduce", "reshape", "rsqrt", "sigmoid", "sin", "softmax", "sort", "split",
        "sqrt", "sqrt_rn", "static_assert", "static_range", "store", "sum", "swizzle2d", "tensor", "trans", "uint16",
        "uint32", "uint64", "uint8", "umulhi", "view", "where", "xor_sum", "zeros", "zeros_like",
    )
)  # fmt: skip
_ARITHMETIC = frozenset(
    ("abs", "ceil", "cos", "div_rn", "erf", "exp", "exp2", "fdiv", "floor", "fma", "log", "log2", "rsqrt", "sin",
     "sqrt", "sqrt_rn", "umulhi")
)  # fmt: skip
MODULES = {
    "triton": frozenset(("jit", "cdiv", "next_power_of_2", "language")),
    "triton.language": _LANGUAGE | {"math"},
    "triton.language.math": _ARITHMETIC,
    "math": frozenset(("ceil", "floor", "sqrt", "log", "log2", "exp", "pi", "inf", "e", "prod", "gcd", "isqrt")),
    "typing": frozenset(("Any", "Callable", "Optional", "Tuple", "List", "Dict", "Sequence", "Union")),
}
_WHY = {
    "autotune": "write the configuration that you mean: no time is measured here",
    "heuristics": "compute the values in launch()",
    "inline_asm_elementwise": "Triton's interpreter does not run assembly",
    "extra": "Triton's interpreter does not run libdevice",
    "device_print": "kernels print nothing here",
    "static_print": "kernels print nothing here",
}
_ATTRIBUTES = frozenset(
    (
        # of blocks, pointers, types and descriptors
        "shape", "dtype", "type", "T", "to", "cast", "value", "element_ty", "primitive_bitwidth", "scalar", "is_ptr",
        "is_floating", "is_int", "reshape", "view", "trans", "permute", "ravel", "expand_dims", "broadcast_to", "split",
        "sum", "max", "min", "argmax", "argmin", "xor_sum", "cumsum", "cumprod", "sort", "flip", "gather", "reduce",
        "associative_scan", "abs", "exp", "exp2", "log", "log2", "sqrt", "rsqrt", "sin", "cos", "sigmoid", "floor",
        "ceil", "erf", "logical_and", "logical_or", "load", "store", "atomic_add", "atomic_max", "atomic_min",
        # of tensors in the launcher
        "ndim", "numel", "size", "stride",
        # of containers and numbers
        "append", "extend", "items", "keys", "values", "get", "index", "count", "bit_length", "copy", "update", "pop",
    )
)  # fmt: skip
_BUILTINS = frozenset(
    (
        "abs", "all", "any", "bool", "dict", "divmod", "enumerate", "float", "int", "len", "list", "map",
        "max", "min", "pow", "range", "reversed", "round", "set", "sorted", "str", "sum", "tuple", "zip",
        "ArithmeticError", "AssertionError", "IndexError", "KeyError", "NotImplementedError", "RuntimeError",
        "TypeError", "ValueError",
    )
)  # fmt: skip
_REFUSED: dict[type[ast.AST], str] = {
    ast.AsyncFunctionDef: "async functions", ast.AsyncFor: "async for", ast.AsyncWith: "async with",
    ast.Await: "await", ast.Match: "match statements", ast.With: "with statements", ast.Yield: "generators",
    ast.YieldFrom: "generators", ast.ClassDef: "classes", ast.Global: "global", ast.Nonlocal: "nonlocal",
    ast.Delete: "del", ast.Try: "try", ast.TryStar: "try",
}  # fmt: skip


class Screened(NamedTuple):
    """`refused`: what the file attempts that none may; None for one that is merely wrong, or fine."""

    diagnostics: tuple[Diagnostic, ...]
    refused: str | None
    seconds: float


def screen(source: str) -> Screened:
    started = time.monotonic()

    def result(found: list[Diagnostic], refused: bool) -> Screened:
        where = f"line {found[0].line}: {found[0].message}" if found and found[0].line else ""
        text = (where or found[0].message) if refused else None
        return Screened(tuple(found[:MAX_COMPLAINTS]), text, round(time.monotonic() - started, 4))

    try:
        tree = syntax_tree(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        text = getattr(error, "msg", None) or f"{type(error).__name__}: {error}"
        return result([_error(text, getattr(error, "lineno", None))], False)
    if strange := sorted(set(source.replace("\r\n", "\n")) & _LINE_ENDS):
        text = f"the character {strange[0]!r}, which ends lines for some readers of this file and not for others"
        return result([_error(text, None)], True)
    nodes = list(ast.walk(tree))
    if len(nodes) > MAX_NODES:
        return result([_error(f"{len(nodes)} syntax nodes; at most {MAX_NODES}", None)], True)
    complaints = [_error(text, getattr(node, "lineno", None)) for node, text in _complaints(nodes)]
    complaints += [_error("a line of a text begins with `def`: Triton could take it for code", line)
                   for line in _hidden(nodes, source)]  # fmt: skip
    if complaints:
        return result(sorted(complaints, key=lambda found: found.line or 0), True)
    return result([_error(text, None) for text in _missing(tree)], False)


def unavailable(compiler: str, screened: Screened) -> Compilation:
    return Compilation(
        ok=False, compiler=compiler, diagnostics=screened.diagnostics, seconds=screened.seconds
    )  # fmt: skip


def _error(text: str, line: int | None) -> Diagnostic:
    return Diagnostic(severity="error", message=text, line=line)


def _missing(tree: ast.Module) -> Iterator[str]:
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    if ENTRY not in functions:
        yield f"no launcher: define {ENTRY}(...), which takes the problem's tensors in order and launches kernels"
    if not any(isinstance(node, ast.FunctionDef) and node.decorator_list for node in tree.body):
        yield "no kernel: decorate a function with @triton.jit"


def _hidden(nodes: list[ast.AST], source: str) -> Iterator[int]:
    """Lines of texts that look like a function: Triton finds the code of kernels by lines of the file."""
    lines = source.replace("\r\n", "\n").split("\n")
    for node in nodes:
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes))):
            for number in range(node.lineno, node.end_lineno or node.lineno):
                if _FUNCTION.match(lines[number]):
                    yield number + 1


def _complaints(nodes: list[ast.AST]) -> Iterator[tuple[ast.AST, str]]:
    modules: dict[str, str] = {}
    for node in nodes:
        yield from ((node, text) for text in _imports(node, modules))
    bound = _bound(nodes)
    taken = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    known = bound | set(modules) | _BUILTINS
    for node in nodes:
        for kind, what in _REFUSED.items():
            if isinstance(node, kind):
                yield node, f"{what} are not for kernels"
        for name in _names(node):
            if len(name) > MAX_NAME:
                yield node, f"a name of {len(name)} letters; at most {MAX_NAME}"
            elif (name.startswith("__") and name != "__future__") or name in _RESERVED:
                yield node, f"the name {name!r} is not for kernels"
        if rebound := sorted(bound & set(modules) & set(_binds(node))):
            yield node, f"the name {rebound[0]!r} is a module's: it cannot be bound again"
        if isinstance(node, ast.Name):
            if node.id in modules and id(node) not in taken:
                yield node, f"the module {node.id!r} can only be used to take a name out of it"
            elif isinstance(node.ctx, ast.Load) and node.id not in known and not node.id.startswith("__"):
                known_one = hasattr(builtins, node.id) or node.id in _RESERVED
                hint = "not for kernels" if known_one else "not defined in this file"
                yield node, f"the name {node.id!r} is {hint}"
        elif isinstance(node, ast.Attribute):
            yield from ((node, text) for text in _attribute(node, modules, taken))
        elif isinstance(node, ast.Compare) and _by_identity(node):
            yield node, "`is` is for None alone: numbers are other objects in the interpreter than on the device"


def _by_identity(node: ast.Compare) -> bool:
    sides = [node.left, *node.comparators]
    nothing = [isinstance(side, ast.Constant) and side.value is None for side in sides]
    return any(
        isinstance(op, (ast.Is, ast.IsNot)) and not (nothing[at] or nothing[at + 1]) for at, op in enumerate(node.ops)
    )


def _imports(node: ast.AST, modules: dict[str, str]) -> Iterator[str]:
    """Notes which name means which module."""
    allowed = "a kernel can import triton, triton.language, math and typing"
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name not in MODULES or alias.name == "triton.language.math":
                yield f"import of {alias.name!r}; {allowed}"
            elif alias.asname is None:
                modules[alias.name.partition(".")[0]] = alias.name.partition(".")[0]
            else:
                modules[alias.asname] = alias.name
    elif isinstance(node, ast.ImportFrom):
        if node.level or node.module not in (*MODULES, "__future__") or node.module == "triton.language.math":
            yield f"import of {node.module or '.'!r}; {allowed}"
        elif node.module != "__future__":
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                if name in MODULES:
                    modules[alias.asname or alias.name] = name
                elif alias.name not in MODULES[node.module]:
                    yield _unknown(node.module, alias.name)


def _bound(nodes: list[ast.AST]) -> set[str]:
    return {name for node in nodes for name in _binds(node)}


def _binds(node: ast.AST) -> Iterator[str]:
    """Names that it gives a value, modules aside."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.FunctionDef):
        yield node.name
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
        names = (alias.asname or alias.name for alias in node.names if f"{node.module}.{alias.name}" not in MODULES)
        yield from names


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.FunctionDef):
        yield node.name
    elif isinstance(node, (ast.arg, ast.keyword)):
        yield node.arg or ""
    elif isinstance(node, ast.alias):
        yield node.asname or ""


def _attribute(node: ast.Attribute, modules: dict[str, str], taken: set[int]) -> Iterator[str]:
    module = _module(node.value, modules)
    if module is None:
        if node.attr not in _ATTRIBUTES and not _of_refused(node.value, modules):
            yield f"the attribute .{node.attr} is not for kernels"
    elif node.attr not in MODULES[module]:
        yield _unknown(module, node.attr)
    elif f"{module}.{node.attr}" in MODULES and id(node) not in taken:
        yield f"the module {module}.{node.attr} can only be used to take a name out of it"
    if not isinstance(node.ctx, ast.Load):
        yield f"the attribute .{node.attr} cannot be set"


def _of_refused(node: ast.expr, modules: dict[str, str]) -> bool:
    """Whether it comes out of a name that its module does not give: that is said of the name itself."""
    while isinstance(node, ast.Attribute):
        module = _module(node.value, modules)
        if module is not None:
            return node.attr not in MODULES[module]
        node = node.value
    return False


def _module(node: ast.expr, modules: dict[str, str]) -> str | None:
    if isinstance(node, ast.Name):
        return modules.get(node.id)
    if isinstance(node, ast.Attribute):
        outer = _module(node.value, modules)
        name = f"{outer}.{node.attr}"
        return name if outer is not None and name in MODULES else None
    return None


def _unknown(module: str, name: str) -> str:
    why = _WHY.get(name)
    return f"{module}.{name} is not for kernels" + (f": {why}" if why else "")
