"""How long a start takes, against a bare Litestar app."""

import statistics

from bench.processes import started_in
from bench.sections import Options


def run(options: Options) -> None:
    """Start both in turn, a fresh process each time; the first of each warms the disk and is not counted."""
    ours, theirs = [], []
    for index in range(options.starts + 1):
        pair = started_in("box", options.work / "starts"), started_in("bare", options.work)
        if index:
            ours.append(pair[0])
            theirs.append(pair[1])
    mine, peer = statistics.median(ours), statistics.median(theirs)
    what = f"start to a healthy `/health`, median of {options.starts}"
    print("| what | box | bare Litestar app | ratio |\n|---|---|---|---|")
    print(f"| {what} | {mine:.2f} s | {peer:.2f} s | {mine / peer:.2f} |")
