"""Measuring in turn, percentiles, and the tables they are printed in."""

import statistics
import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec

Once = Callable[[], Awaitable[object]]
_WARM_UP = 10


class Figures(msgspec.Struct, frozen=True):
    """Milliseconds of one thing, measured `n` times."""

    n: int
    p50: float
    p99: float


def figures(seconds: Sequence[float]) -> Figures:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return Figures(len(seconds), cuts[49] * 1000, cuts[98] * 1000)


async def interleaved(n: int, ours: Once, theirs: Once) -> tuple[Figures, Figures]:
    """The two in turn, so that a change in the machine's speed meets both; some of each first, not counted."""
    mine, peer = await in_turn(n, [ours, theirs])
    return mine, peer


async def in_turn(n: int, things: Sequence[Once]) -> list[Figures]:
    """The same with any number of peers. A thing that returns seconds (a float) has measured itself."""
    found: list[list[float]] = [[] for _ in things]
    warm_up = min(_WARM_UP, n)
    for index in range(n + warm_up):
        for row, thing in zip(found, things, strict=True):
            seconds = await timed(thing)
            if index >= warm_up:
                row.append(seconds)
    return [figures(row) for row in found]


async def timed(once: Once) -> float:
    begun = time.perf_counter()
    own = await once()
    return own if isinstance(own, float) else time.perf_counter() - begun


def ratio_row(what: str, ours: Figures, peer: str, theirs: Figures) -> str:
    """`ours / theirs`: 1.5 means that the box takes half as long again as the peer."""
    return (
        f"| {what} | {peer} | {ours.n} | {ours.p50:.2f} / {theirs.p50:.2f} | {ours.p50 / theirs.p50:.2f}"
        f" | {ours.p99:.2f} / {theirs.p99:.2f} | {ours.p99 / theirs.p99:.2f} |"
    )


HEAD = (
    "| what | peer | n | p50 ms, box / peer | ratio | p99 ms, box / peer | ratio |\n"
    "|---|---|---|---|---|---|---|"
)

FASTER_HEAD = (
    "| what | peer | n | p50 ms, box / peer | p99 ms, box / peer | times as fast | at least | |\n"
    "|---|---|---|---|---|---|---|---|"
)


def faster_row(what: str, ours: Figures, peer: str, theirs: Figures, target: float) -> str:
    """How many times as fast as the peer by p50, beside what it should be."""
    ratio = theirs.p50 / ours.p50
    return (
        f"| {what} | {peer} | {ours.n} | {ours.p50:.2f} / {theirs.p50:.2f} | {ours.p99:.2f} / {theirs.p99:.2f}"
        f" | {ratio:.2f} | {target:g} | {verdict(ratio, target)} |"
    )


def verdict(ratio: float, target: float) -> str:
    """Whether a figure that should be at least `target` is, and by how much it is missed."""
    return "met" if ratio >= target else f"missed by {(1 - ratio / target) * 100:.0f} %"
