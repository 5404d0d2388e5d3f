"""Percentiles, and the table they are printed in."""

import statistics
from collections.abc import Sequence

import msgspec


class Figures(msgspec.Struct, frozen=True):
    """Milliseconds of one thing, measured `n` times."""

    n: int
    p50: float
    p99: float


def figures(seconds: Sequence[float]) -> Figures:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return Figures(len(seconds), cuts[49] * 1000, cuts[98] * 1000)


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
