"""nki.compiler: direct allocation. Blocks of a tensor that share a place wait for and overwrite each other."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..checks import api, not_taken
from ..errors import fail
from ..modules import Namespace
from .blocks import Blocks
from .tensor import Memory1, Tile


class Placement(NamedTuple):
    """A buffer argument. `tiles`: how many places each block dimension has; empty: one each."""

    space: str
    base: int
    tiles: tuple[int, ...]


def _placer(space: str) -> Any:
    @api
    def mod_alloc(*, base_addr: Any, base_partition: Any = 0, num_par_tiles: Any = (), num_free_tiles: Any = ()) -> Any:
        name = f"nki.compiler.{space}.mod_alloc"
        not_taken(name, base_partition=base_partition)
        if any(n != 1 for n in num_par_tiles):
            fail("unsupported", f"unsupported API: {name}(num_par_tiles={num_par_tiles!r})")
        tiles = tuple(num_free_tiles)
        if not all(isinstance(n, int) and n > 0 for n in (*tiles, base_addr + 1)):
            fail(
                "wrong_argument",
                f"{name}: base_addr={base_addr!r}, num_free_tiles={num_free_tiles!r}: integers are due",
            )
        return Placement(space, base_addr, tiles)

    return mod_alloc


def share(made: Any, placement: Placement, limit: int, name: str) -> None:
    """Gives each block the place that its index has modulo `tiles`."""
    blocks = made._tiles if isinstance(made, Blocks) else {(): made}
    lead = made._lead if isinstance(made, Blocks) else ()
    tiles = placement.tiles or (1,) * len(lead)
    if not lead and all(n == 1 for n in tiles):
        tiles = ()
    if len(tiles) != len(lead):
        fail("wrong_argument", f"{name}: num_free_tiles={tiles} for {len(lead)} block dimensions")
    first: Tile = next(iter(blocks.values()))
    count = 1
    for n in tiles:
        count *= n
    end = placement.base + count * first._flat()[1] * first.dtype.itemsize
    if end > limit:
        fail("out_of_capacity", f"{name}: places up to byte {end} of a partition; {placement.space} has {limit}")
    places: dict[tuple[int, ...], tuple[int, list[Memory1]]] = {}
    for index, tile in blocks.items():
        memory = tile._memory
        assert isinstance(memory, Memory1)
        at = tuple(i % n for i, n in zip(index, tiles, strict=True))
        storage, owner = places.setdefault(at, (memory.index, []))
        memory.index, memory.place = storage, owner


def unchanged(function: Any) -> Any:
    """Decorators that only steer the compiler."""
    return function


COMPILER = Namespace(
    "neuronxcc.nki.compiler",
    {
        **{
            space: Namespace(
                f"neuronxcc.nki.compiler.{space}",
                {"mod_alloc": _placer(space), "auto_alloc": lambda space=space: space},
            )
            for space in ("sbuf", "psum")
        },
        "skip_middle_end_transformations": unchanged,
        "enable_stack_allocator": unchanged,
        "force_auto_alloc": unchanged,
        "no_reorder": lambda: None,
    },
)
