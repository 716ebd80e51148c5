"""Resources: programming references, menus, problems, runs and kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError, ToolError

from ..agent.answers import ENVIRONMENT
from ..agent.errors import AgentError, UnknownRunError
from ..hardware_adapters.base import PYTHON, AdapterError, UsageError, language_of
from ..menus.menu import UnknownNameError, load_menu
from ..menus.menu import targets as menu_targets
from ..menus.reference import reference, topics
from . import kernel_store, records
from .bench import MAX_ERROR, Bench, in_thread
from .judging import HOST_PATIENCE_S
from .results import clip
from .timeline import timeline_text

MARKDOWN = "text/markdown"
KERNEL = "text/plain"  # C, CUDA or Python


def register(server: MCPServer, bench: Bench) -> None:
    _references(server)
    _menus(server)

    @server.resource(
        "problem://{+id}{?offset}",
        name="problem",
        title="Problem",
        description="All that is needed to write a kernel: signature, semantics, rules, bound, a baseline kernel. "
        "The id as it is, e.g. problem://gemmini/gemm-512x512x512; longer than 8 KB: goes on at ?offset=.",
        mime_type=MARKDOWN,
    )
    async def read_problem(id: str, offset: str = "0") -> str:
        with _found():
            adapter, found = await bench.problem(id)
            return _marked(records.problem_text(adapter, found), offset, f"problem://{id}", "<!-- {} -->")

    @server.resource(
        "run://{id}",
        name="run",
        title="Search run",
        description="A search: state, best latency, cost, the steps that led to the best kernel, and the addresses of "
        "their kernels. As get_search tells it, without the source.",
        mime_type="application/json",
    )
    def read_run(id: str) -> str:
        with _found(), records.open_journal(bench.home) as journal:
            return records.run_record(journal.status(records.checked_run(journal, id), with_source=False))

    @server.resource(
        "kernel://{digest}{?offset}",
        name="kernel",
        title="Kernel by digest",
        description="Source of a kernel that was simulated on this machine or is in a run, by the digest that "
        "simulate_kernel returns as `kernel`. Longer than 8 KB: goes on at ?offset=.",
        mime_type=KERNEL,
    )
    def read_kernel(digest: str, offset: str = "0") -> str:
        with _found():
            return _kernel(kernel_store.kernel(bench.home, digest).source, offset, f"kernel://{digest}")

    @server.resource(
        "timeline://{digest}{?problem}",
        name="timeline",
        title="Timeline of a kernel",
        description="What each unit did over the kernel's call, in 64 windows: percent busy and waiting, rows in "
        "use. To see where in a kernel time is lost: its start, its end, between tiles. Takes as long as a profile. "
        "`problem` where the kernel was not simulated or searched for here.",
        mime_type="application/json",
    )
    async def read_timeline(digest: str, problem: str = "") -> str:
        with _found():
            kept = await in_thread(kernel_store.kernel, bench.home, digest)
            chosen = problem or kept.problem
            if chosen is None:
                raise UsageError(f"which problem is kernel {digest} for? Add ?problem=ID to the address")
            adapter, found = await bench.problem(chosen)
            async with bench.slots:
                return await timeline_text(adapter, found, kept.source, timeout_s=HOST_PATIENCE_S)

    @server.resource(
        "kernel://{run}/{candidate}{?offset}",
        name="candidate",
        title="Kernel of a run",
        description="Source of a run's candidate, e.g. kernel://RUN/2.0.1, or kernel://RUN/best. "
        "Longer than 8 KB: goes on at ?offset=.",
        mime_type=KERNEL,
    )
    def read_candidate(run: str, candidate: str, offset: str = "0") -> str:
        with _found():
            source = kernel_store.candidate_source(bench.home, run, candidate)
            return _kernel(source, offset, f"kernel://{run}/{candidate}")


def _references(server: MCPServer) -> None:
    @server.resource(
        "reference://{target}/{topic}",
        name="reference",
        title="Programming reference",
        description=f"How to program a target, by topic, as Markdown of at most 8 KB. Topics: {_topics()}",
        mime_type=MARKDOWN,
    )
    def read_reference(target: str, topic: str) -> str:
        with _found():
            return reference(target, topic)

    def read_topics(target: str) -> str:
        with _found():
            lines = [f"- reference://{target}/{topic}: {title}" for topic, title in topics(target).items()]
        return "\n".join([f"# How to program {target}", "", *lines, ""])

    server.resource(
        "reference://{target}",
        name="topics",
        title="Topics of a programming reference",
        description="The topics of a target's reference, one line each; `guide` alone suffices for a correct kernel.",
        mime_type=MARKDOWN,
    )(read_topics)
    # Hosts that offer resources to people list only those without a variable in their address.
    for target in menu_targets():
        server.resource(
            f"reference://{target}",
            name=f"{target}-topics",
            title=f"How to program {target}: topics",
            mime_type=MARKDOWN,
        )(_reader(read_topics, target))


def _reader(read: Callable[[str], str], target: str) -> Callable[[], str]:
    return lambda: read(target)


def _menus(server: MCPServer) -> None:
    @server.resource(
        "menu://{target}{?offset}",
        name="menu",
        title="Optimisation menu",
        description="Every optimisation known for a target, and the bottlenecks that they address. "
        "Longer than 8 KB: goes on at ?offset=.",
        mime_type=MARKDOWN,
    )
    def read_menu(target: str, offset: str = "0") -> str:
        with _found():
            load_menu(target)
            return _marked(records.menu_text(target), offset, f"menu://{target}", "<!-- {} -->")


@contextmanager
def _found() -> Iterator[None]:
    """What does not exist is told as that, with what was probably meant."""
    try:
        yield
    except (UnknownNameError, UnknownRunError, records.OffsetError, UsageError) as error:
        raise ResourceNotFoundError(clip(str(error), MAX_ERROR)) from error
    except ToolError as error:  # too many wait for a slot
        raise ResourceError(str(error)) from error
    except (AdapterError, AgentError) as error:
        raise ResourceError(f"{ENVIRONMENT} {clip(str(error), MAX_ERROR)}") from error


def _kernel(source: str, offset: str, address: str) -> str:
    return _marked(source, offset, address, "# {}" if language_of(source) is PYTHON else "// {}")


def _marked(text: str, offset: str, address: str, comment: str) -> str:
    """A part of the text; where it is not all, its last line says which part it is and where the next one is."""
    part = records.part(text, offset)
    if part.whole:
        return part.text
    rest = f"the next part: {address}?offset={part.end}" if part.end < part.total else "the end"
    gap = "" if part.text.endswith("\n") else "\n"
    mark = comment.format(f"characters {part.start} to {part.end} of {part.total}; {rest}")
    return f"{part.text}{gap}{mark}\n"


def _topics() -> str:
    known = []
    for target in menu_targets():
        try:
            known.append(f"{target}: {', '.join(topics(target))}")
        except UnknownNameError:
            continue
    return "; ".join(known)
