"""What a kernel's text may contain. Judged before anything of it runs; the simulator's process trusts this."""

from __future__ import annotations

import ast
import hashlib
import re
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from ..base import Compilation, Diagnostic
from ..kernel_source import syntax_tree

ENTRY = "solution"
PYTHON = "Python 3, NKI subset"
IMPORTABLE = frozenset(
    (
        "nki",
        "nki.isa",
        "nki.language",
        "numpy",
        "math",
        "functools",
        "itertools",
        "typing",
        "dataclasses",
        "enum",
        "__future__",
    )
)
NKI_1 = "neuronxcc"
# NKI 1, and what its kernels import beside it. Of `operator` the arithmetic only; the simulator's import gives that.
IMPORTABLE_1 = frozenset(
    (
        NKI_1, "neuronxcc.nki", "neuronxcc.nki.isa", "neuronxcc.nki.isa.constants", "neuronxcc.nki.language",
        "neuronxcc.nki.language.constants", "neuronxcc.nki.typing", "neuronxcc.nki.compiler", "operator",
    )
)  # fmt: skip
MAX_NODES = 60_000
_REFUSED: dict[type[ast.AST], str] = {
    ast.AsyncFunctionDef: "async functions",
    ast.AsyncFor: "async for",
    ast.AsyncWith: "async with",
    ast.Await: "await",
    ast.Match: "match statements",
    ast.With: "with statements",
    ast.Yield: "generators",
    ast.YieldFrom: "generators",
}
# Ways from an object to frames, code, classes, memory or files.
_ATTRIBUTES = re.compile(
    r"_.*|(?:gi|cr|ag|f|tb|co|func)_.*|mro|format|format_map|tofile|tobytes|dump|dumps|ctypes|with_traceback|add_note"
)
_METHODS = ("__init__", "__post_init__", "__repr__", "__str__")
_SIMULATOR = Path(__file__).with_name("nkisim")


class Screened(NamedTuple):
    """`refused`: what the kernel attempts that no kernel may; None for a kernel that is merely wrong, or fine."""

    compilation: Compilation
    refused: str | None
    api: str = "nki"  # or "neuronxcc": the package that the kernel was written for


def screen(source: str) -> Screened:
    """Syntax, forbidden constructs, and the entry point."""
    started = time.monotonic()
    try:
        tree = syntax_tree(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        text = getattr(error, "msg", None) or f"{type(error).__name__}: {error}"
        return Screened(_compiled([Diagnostic(severity="error", message=text, line=line)], None, started), None)
    nodes = list(ast.walk(tree))
    own = _own_attributes(nodes)
    roots = imported_roots(tree)
    api, allowed = (NKI_1, IMPORTABLE | IMPORTABLE_1) if NKI_1 in roots else ("nki", IMPORTABLE)
    forbidden = [
        Diagnostic(severity="error", message=message, line=getattr(node, "lineno", None))
        for node in nodes
        for message in _complaints(node, own, allowed)
    ]
    if NKI_1 in roots and "nki" in roots:
        message = "a kernel imports neuronxcc.nki (NKI 1) or nki (NKI 2), not both"
        forbidden.append(Diagnostic(severity="error", message=message, line=max(roots[NKI_1], roots["nki"])))
    if len(nodes) > MAX_NODES:
        forbidden.append(Diagnostic(severity="error", message=f"{len(nodes)} syntax nodes; at most {MAX_NODES}"))
    if forbidden:
        first = forbidden[0]
        refused = f"line {first.line}: {first.message}" if first.line else first.message
        return Screened(_compiled(forbidden[:20], None, started), refused, api)
    errors = [] if has_entry(tree) else [Diagnostic(severity="error", message=_no_entry())]
    try:
        return Screened(_compiled(errors, tree, started), None, api)
    except RecursionError:
        deep = Diagnostic(severity="error", message="an expression is nested too deeply: split it into several")
        return Screened(_compiled([deep], None, started), None, api)


def imported_roots(tree: ast.Module) -> dict[str, int]:
    """The packages that are imported anywhere, with the line where each is first."""
    found: dict[str, int] = {}
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        for name in names:
            assert isinstance(node, (ast.Import, ast.ImportFrom))
            root = name.split(".")[0]
            found[root] = min(node.lineno, found.get(root, node.lineno))
    return found


def _compiled(diagnostics: list[Diagnostic], tree: ast.Module | None, started: float) -> Compilation:
    ok = not diagnostics
    code = hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:16] if ok and tree is not None else None
    facts = {"syntax_nodes": sum(1 for _ in ast.walk(tree))} if ok and tree is not None else {}
    return Compilation(
        ok=ok, compiler=PYTHON, diagnostics=tuple(diagnostics), code=code, facts=facts,
        seconds=round(time.monotonic() - started, 4),
    )  # fmt: skip


def _no_entry() -> str:
    return f"no function {ENTRY!r} decorated with @nki.jit: it takes the inputs in order and returns the output"


def has_entry(tree: ast.Module) -> bool:
    """A function `solution`, or a single function with any decorator; which one runs is decided when it runs."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    named = any(node.name == ENTRY and node.decorator_list for node in functions)
    return named or _assigned(tree) or sum(bool(node.decorator_list) for node in functions) == 1


def _assigned(tree: ast.Module) -> bool:
    return any(
        isinstance(target, ast.Name) and target.id == ENTRY
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
    )


@lru_cache
def _taken() -> frozenset[str]:
    """Private attributes and methods of the simulator."""
    texts = (path.read_text(encoding="utf-8") for path in _SIMULATOR.rglob("*.py"))
    pattern = re.compile(r"[.\"](_\w+)|def (_\w+)\(self")
    return frozenset(name for text in texts for pair in pattern.findall(text) for name in pair)


def _own_attributes(nodes: list[ast.AST]) -> frozenset[str]:
    """Attributes with one underscore that the kernel's classes define themselves; none that the simulator has."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.ClassDef):
            found.update(each.name for each in node.body if isinstance(each, ast.FunctionDef))
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.update({node.attr} if isinstance(node.value, ast.Name) and node.value.id == "self" else ())
    single = {name for name in found if re.fullmatch(r"_[a-zA-Z0-9]\w*(?<!_)", name)}
    return frozenset(single - _taken()) if single else frozenset()


def _complaints(node: ast.AST, own: frozenset[str], importable: frozenset[str]) -> Iterator[str]:
    for kind, what in _REFUSED.items():
        if isinstance(node, kind):
            yield f"{what} are not part of NKI"
    if isinstance(node, ast.Import):
        yield from (_import(alias.name, importable) for alias in node.names if alias.name not in importable)
        yield from _names(*(alias.asname or "" for alias in node.names))
    elif isinstance(node, ast.ImportFrom):
        if node.level or node.module not in importable:
            yield _import(node.module or ".", importable)
        yield from (f"import of {alias.name!r}" for alias in node.names if alias.name.startswith(("_", "*")))
        yield from _names(*(alias.asname or "" for alias in node.names))
    elif isinstance(node, ast.Attribute) and node.attr not in own and _ATTRIBUTES.fullmatch(node.attr):
        yield f"the attribute .{node.attr} is not for kernels"
    elif isinstance(node, ast.Name):
        if node.id != "__name__":
            yield from _names(node.id)
    elif isinstance(node, ast.FunctionDef):
        if node.name not in _METHODS:
            yield from _names(node.name)
    elif isinstance(node, ast.ClassDef):
        yield from _names(node.name)
        if node.keywords:
            yield "metaclasses are not for kernels"
    elif isinstance(node, (ast.arg, ast.keyword)):
        yield from _names(node.arg or "")
    elif isinstance(node, ast.ExceptHandler):
        yield from _names(node.name or "")


def _names(*names: str) -> Iterator[str]:
    yield from (f"the name {name!r} is not for kernels" for name in names if name.startswith("__"))


def _import(name: str, importable: frozenset[str]) -> str:
    if name.split(".")[0] == NKI_1:
        return f"unsupported API: {name}"
    return f"import of {name!r}; a kernel can import {', '.join(sorted(importable - {'__future__'}))}"
