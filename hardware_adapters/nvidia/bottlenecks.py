"""Rules that turn an estimate into the bottlenecks a menu option can answer to. Costs are shares of the latency."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from ..base import Bottleneck
from .counts import Site, total
from .estimate import Estimate, LaunchEstimate, lsu_passes
from .machines import WARP
from .operators import Operator, input_bytes

NOTABLE = 0.05
BINDING = 0.8  # a term of at least this share of the largest one limits the launch
WASTEFUL = 2.0  # sectors per request against ideal
CONFLICTING = 1.5  # wavefronts against ideal
RELOADED = 1.5
LOW_OCCUPANCY = 0.5
IDLE = 0.15
DIVERGENT = 0.7
VECTOR_BYTES = 16
NEAR = 0.9

Costed = tuple[float, Bottleneck]

TEXTS = {
    "fp32": ("compute_bound", "arithmetic takes most of the time: only fewer or cheaper operations are left to gain"),
    "lsu": (
        "lsu_bound",
        "loads and stores of global memory take the SM's time: wider accesses, or use each loaded value more",
    ),
    "shared": (
        "shared_bound",
        "accesses to shared memory take the SM's time: keep more in registers, so that each value is loaded less often",
    ),
    "l2": ("l2_bound", "traffic between L2 and the SMs takes most of the time: reuse more within a block"),
    "dram": ("dram_bound", "DRAM traffic takes most of the time: move each byte once, and fewer of them"),
    "latency": (
        "latency_bound",
        "warps wait for loads that are too few at once: more resident warps, or more independent loads in each",
    ),
}


def find_bottlenecks(operator: Operator, found: Estimate, utilisation: float) -> tuple[Bottleneck, ...]:
    """Most costly first; never empty, for something always limits a kernel."""
    costed: list[Costed] = []
    for launch in found.launches:
        share = launch.body_ns / found.latency_ns
        rules = (_units, _coalescing, _conflicts, _width, _reloads, _residents, _threads)
        costed += [(cost * share, entry) for rule in rules for cost, entry in rule(operator, launch)]
    costed += _launches(found)
    best: dict[str, Costed] = {}
    for cost, entry in costed:
        if cost >= NOTABLE and (entry.id not in best or cost > best[entry.id][0]):
            best[entry.id] = (cost, entry)
    ordered = sorted(best.values(), key=lambda pair: (-pair[0], pair[1].id))
    if utilisation >= NEAR:
        text = "the latency is near the bound: little is left to gain by this estimate"
        near = Bottleneck(id="near_bound", explanation=text, evidence={"utilisation": round(utilisation, 3)})
        ordered.insert(0, (1.0, near))
    if not ordered:
        ordered = list(_units(operator, found.main))[:1]
    return tuple(entry for _, entry in ordered)


def _units(operator: Operator, launch: LaunchEstimate) -> Iterator[Costed]:
    longest = max(launch.units.values()) or 1.0
    for unit, time in sorted(launch.units.items(), key=lambda pair: -pair[1]):
        if time >= BINDING * longest:
            name, text = TEXTS[unit]
            evidence = {f"{unit}_ns": round(time, 1), "kernel_ns": round(launch.body_ns, 1)}
            yield time / max(launch.body_ns, 1e-9), Bottleneck(id=name, explanation=text, evidence=evidence)


def _time(launch: LaunchEstimate, *units: str) -> float:
    """Share of the launch that the longest of these units takes."""
    return max(launch.units[unit] for unit in units) / max(launch.body_ns, 1e-9)


def _sites(launch: LaunchEstimate, space: str) -> list[Site]:
    return [site for site in launch.counts.sites if site.space == space]


def _worst(sites: Iterable[Site], cost: Callable[[Site], float]) -> Site:
    return max(sites, key=lambda site: (cost(site), -site.line))


def _coalescing(operator: Operator, launch: LaunchEstimate) -> Iterator[Costed]:
    wasteful = [s for s in _sites(launch, "global") if s.sectors >= WASTEFUL * max(1, s.ideal_sectors)]
    if not wasteful:
        return
    worst = _worst(wasteful, lambda site: site.sectors)
    passes = sum(map(lsu_passes, _sites(launch, "global"))) or 1.0
    share = sum(map(lsu_passes, wasteful)) / passes
    per_request, ideal = worst.sectors / worst.requests, worst.ideal_sectors / worst.requests
    text = (
        f"line {worst.line}: {worst.op}s of a warp touch {per_request:.1f} sectors of 32 bytes where {ideal:.1f} "
        "would do: let neighbouring threads touch neighbouring addresses"
    )
    evidence = {"line": worst.line, "sectors_per_request": round(per_request, 2), "ideal": round(ideal, 2)}
    cost = share * max(_time(launch, "lsu", "l2", "latency"), 0.5 * _time(launch, "dram"))
    yield cost, Bottleneck(id="uncoalesced", explanation=text, evidence=evidence)


def _conflicts(operator: Operator, launch: LaunchEstimate) -> Iterator[Costed]:
    sites = _sites(launch, "shared")
    worse = [site for site in sites if site.wavefronts >= CONFLICTING * max(1, site.ideal_wavefronts)]
    if not worse:
        return
    worst = _worst(worse, lambda site: site.wavefronts)
    excess = sum(site.wavefronts - site.ideal_wavefronts for site in worse)
    share = excess / (total(sites, lambda site: site.wavefronts, "shared") or 1)
    per_request = worst.wavefronts / worst.requests
    text = (
        f"line {worst.line}: {worst.op}s to shared memory take {per_request:.1f} passes through the banks where "
        f"{worst.ideal_wavefronts / worst.requests:.1f} would do: pad the rows, or exchange columns by XOR"
    )
    evidence = {"line": worst.line, "wavefronts_per_request": round(per_request, 2), "excess_share": round(share, 3)}
    yield share * _time(launch, "shared"), Bottleneck(id="bank_conflict", explanation=text, evidence=evidence)


def _width(operator: Operator, launch: LaunchEstimate) -> Iterator[Costed]:
    sites = _sites(launch, "global")
    narrow = [
        site
        for site in sites
        if site.width < VECTOR_BYTES and site.op != "atomic" and site.sectors < WASTEFUL * max(1, site.ideal_sectors)
    ]
    passes = sum(map(lsu_passes, sites)) or 1.0
    share = sum(map(lsu_passes, narrow)) / passes
    if share < 0.5:
        return
    worst = _worst(narrow, lambda site: site.requests)
    text = (
        f"line {worst.line}: threads move {worst.width} bytes per instruction; with 16 (float4) a quarter of the "
        "instructions does"
    )
    evidence = {"line": worst.line, "bytes_per_thread": worst.width, "share_of_accesses": round(share, 3)}
    yield (
        0.6 * share * _time(launch, "lsu", "latency"),
        Bottleneck(id="narrow_access", explanation=text, evidence=evidence),
    )


def _reloads(operator: Operator, launch: LaunchEstimate) -> Iterator[Costed]:
    loads = total(launch.counts.sites, lambda site: site.requests * site.width, "global", op="load")
    loaded = loads * launch.counts.scale * WARP
    needed = input_bytes(operator)
    fetched = launch.read_bytes
    if loaded > RELOADED * needed and loaded > 2 * fetched:
        text = (
            f"threads load {loaded / needed:.0f} times the inputs' size from global memory, mostly out of the L1: "
            "stage what threads share in shared memory or registers"
        )
        evidence = {"loaded_per_input_byte": round(loaded / needed, 1)}
        yield (
            0.9 * _time(launch, "lsu", "latency"),
            Bottleneck(id="repeated_loads", explanation=text, evidence=evidence),
        )
    if fetched > RELOADED * needed:
        text = (
            f"blocks fetch {fetched / needed:.1f} times the inputs' size from the L2: larger tiles per block use "
            "each fetched byte more"
        )
        evidence = {"fetched_per_input_byte": round(fetched / needed, 2)}
        cost = (1 - needed / fetched) * _time(launch, "l2", "dram")
        yield cost, Bottleneck(id="reload_traffic", explanation=text, evidence=evidence)


def _residents(operator: Operator, launch: LaunchEstimate) -> Iterator[Costed]:
    held, counts = launch.residency, launch.counts
    if launch.idle >= IDLE:
        text = (
            f"{counts.blocks} blocks do not fill the SMs evenly: {100 * launch.idle:.0f} % of the SMs' time passes "
            "without a block; smaller blocks of work, or several blocks per row"
        )
        evidence = {"blocks": float(counts.blocks), "idle_share": round(launch.idle, 3)}
        yield launch.idle, Bottleneck(id="few_blocks", explanation=text, evidence=evidence)
    given = min(held.blocks, launch.given)
    occupancy = held.occupancy * given / max(1, held.blocks)
    if occupancy < LOW_OCCUPANCY:
        limit = held.limiter.replace("_", " ") if given == held.blocks else f"the grid, {counts.blocks} blocks"
        text = (
            f"an SM holds {given} block{'s' if given != 1 else ''}, {100 * occupancy:.0f} % of its warps: the limit is "
            f"{limit}"
        )
        evidence = {
            "occupancy": round(occupancy, 3),
            "blocks_by_grid": float(launch.given),
            **{f"blocks_by_{k}": float(v) for k, v in held.limits.items()},
        }
        cost = (1 - occupancy) * _time(launch, "latency")
        yield cost, Bottleneck(id="low_occupancy", explanation=text, evidence=evidence)
    facts = launch.facts
    if facts is not None and facts.spill_loads + facts.spill_stores:
        text = (
            f"the compiler spills registers: {facts.spill_stores} bytes of stores and {facts.spill_loads} of loads per "
            "thread go to local memory; fewer live values per thread"
        )
        evidence = {"spill_stores": float(facts.spill_stores), "spill_loads": float(facts.spill_loads)}
        yield 0.3, Bottleneck(id="register_spills", explanation=text, evidence=evidence)


def _threads(operator: Operator, launch: LaunchEstimate) -> Iterator[Costed]:
    counts = launch.counts
    requests = sum(site.requests for site in counts.sites)
    active = sum(site.threads for site in counts.sites) / max(1, requests * WARP)
    if requests and active < DIVERGENT:
        text = f"on average {WARP * active:.0f} of a warp's 32 threads take part in a memory access: others are masked"
        evidence = {"active_share": round(active, 3)}
        yield (1 - active) * 0.5, Bottleneck(id="divergence", explanation=text, evidence=evidence)
    atomics = [site for site in counts.sites if site.op == "atomic"]
    if atomics:
        worst = _worst(atomics, lambda site: site.threads)
        share = sum(site.threads for site in atomics) / max(1, sum(site.threads for site in counts.sites))
        text = f"line {worst.line}: atomics are served one after another where they meet: reduce in registers first"
        evidence = {"line": worst.line, "share_of_accesses": round(share, 3)}
        yield share, Bottleneck(id="atomics", explanation=text, evidence=evidence)
    barriers = counts.barriers / max(1, counts.blocks_run)
    of_a_warp = requests / max(1, counts.blocks_run) / counts.warps
    if barriers and of_a_warp < 8 * barriers:
        text = (
            f"a block meets {barriers:.0f} barriers with {of_a_warp / barriers:.1f} memory accesses per warp between "
            "them: more work per step, or warp shuffles in place of shared memory"
        )
        evidence = {"barriers_per_block": barriers, "accesses_between": round(of_a_warp / barriers, 2)}
        yield 0.5 * _time(launch, "latency"), Bottleneck(id="barriers", explanation=text, evidence=evidence)


def _launches(found: Estimate) -> Sequence[Costed]:
    share = found.launch_ns / found.latency_ns
    if share < NOTABLE:
        return ()
    text = f"{len(found.launches)} launches cost {found.launch_ns:.0f} ns before they do anything: fewer of them"
    if len(found.launches) == 1:
        text = "so little is to be done that the launch itself weighs"
    evidence = {"launches": float(len(found.launches)), "launch_share": round(share, 3)}
    return ((share, Bottleneck(id="launch_overhead", explanation=text, evidence=evidence)),)
