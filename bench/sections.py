"""The sections of the bench, each a module with `run(options)` that prints its own tables."""

from pathlib import Path

import msgspec

# A section is a line here and a file beside this one; it runs alone as `make bench ARGS="its-name"`.
SECTIONS = {
    "starts": "bench.starts",
    "http": "bench.api",
    "ssh": "bench.ssh",
    "bulk": "bench.bulk",
    "masters": "bench.masters",
    "mux": "bench.mux",
    "files": "bench.files",
    "terminals": "bench.terminals",
    "agents": "bench.agents",
}


class Options(msgspec.Struct, frozen=True):
    """`work` is an empty folder. `quick` asks for a smoke run: few of everything, figures without worth."""

    work: Path
    n: int
    starts: int
    quick: bool
