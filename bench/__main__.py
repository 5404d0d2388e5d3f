"""`make bench`: the box against its peers on this machine, now. Trust the ratios, not the milliseconds."""

import argparse
import importlib
import os
import platform
import tempfile
from pathlib import Path

from bench.sections import SECTIONS, Options


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    options.add_argument("sections", nargs="*", help=f"of {', '.join(SECTIONS)} (default: all)")
    options.add_argument("-n", type=int, default=300, help="measurements of each thing (default 300)")
    options.add_argument("--starts", type=int, default=5, help="starts of each server (default 5)")
    options.add_argument("--quick", action="store_true", help="a smoke run: does everything work?")
    args = options.parse_args()
    if unknown := set(args.sections) - set(SECTIONS):
        options.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    load = os.getloadavg()[0]
    print(
        f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores,"
    )
    print(f"load {load:.2f}{' (busy: expect worse figures)' if load > 1 else ''}")
    for name in args.sections or SECTIONS:
        print(f"\n## {name}\n", flush=True)
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            few = Options(Path(folder), 5, 1, True)
            chosen = few if args.quick else Options(Path(folder), args.n, args.starts, False)
            importlib.import_module(SECTIONS[name]).run(chosen)


if __name__ == "__main__":
    main()
