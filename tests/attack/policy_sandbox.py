"""Where commands that are taken for reading really run, and what they then really do.

Real shells and real programs, in a folder of their own. `strace` says what was executed; a payload that no table knows
says whether it was reached; the folder says whether anything was written.
"""

import contextlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PAYLOAD = "pwned"
# What the mutated commands may find on their PATH: programs that only read, however they are called.
TOOLS = [
    "sh",
    "bash",
    "dash",
    "ls",
    "cat",
    "head",
    "tail",
    "wc",
    "stat",
    "du",
    "df",
    "find",
    "grep",
    "egrep",
    "rg",
    "sort",
    "uniq",
    "cut",
    "tr",
    "sed",
    "awk",
    "gawk",
    "mawk",
    "xargs",
    "env",
    "timeout",
    "nice",
    "date",
    "id",
    "uname",
    "basename",
    "dirname",
    "seq",
    "diff",
    "cmp",
    "od",
    "nl",
    "tac",
    "rev",
    "printf",
    "echo",
    "test",
    "true",
    "false",
    "sleep",
    "git",
    "jq",
    "tree",
    "file",
]
FILES = {
    "file": "one two\nthree 4\n",
    "a": "a\n",
    "b": "b\n",
    "x": "x\n",
    "notes.txt": "hello\n",
    "-odd-name": "odd\n",
    "file.json": '{"items": [{"name": "n"}]}\n',
    "package.json": "{}\n",
    "app.log": "line\n",
    "src/main.c": "TODO\n",
}
_EXECUTED = re.compile(r'execve\("([^"]+)".*\) = 0')


class Sandbox:
    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.reached = folder / "reached"
        self._bin = folder / "bin"
        self._fill()
        self._bin.mkdir()
        payload = self._bin / PAYLOAD
        payload.write_text(f"#!/bin/sh\necho x >>{self.reached}\n")
        payload.chmod(0o755)
        for tool in TOOLS:
            real = shutil.which(tool)
            if real:
                (self._bin / tool).symlink_to(real)
        # What a repository's own settings would run is another matter: this one has none.
        self.environment = {
            "HOME": str(self.home),
            "PATH": str(self._bin),
            "LC_ALL": "C.UTF-8",
            **{f"XDG_{kind}_HOME": str(folder / kind) for kind in ("CONFIG", "DATA", "CACHE", "STATE")},
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        self._before = self.listing()

    def _fill(self) -> None:
        for path, text in FILES.items():
            file = self.home / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        # `top` makes an empty folder for its settings where there is none.
        (self.home / ".config/procps").mkdir(parents=True)

    def listing(self) -> list[tuple[str, int]]:
        files = (path for path in self.home.rglob("*") if path.is_file() or path.is_symlink())
        return sorted((str(path), path.lstat().st_size) for path in files)

    def run(self, command: str, shell: str) -> None:
        """With nothing but the tools, in a shell that a server may start."""
        # One that follows a file ends by time; one with a NUL is no argument of a program.
        with contextlib.suppress(subprocess.TimeoutExpired, ValueError):
            subprocess.run(
                [shutil.which(shell) or shell, "-c", command],
                cwd=self.home,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=30,
                check=False,
            )

    def harm(self) -> list[str]:
        """What has happened since the last look; afterwards all is as it was."""
        now = self.listing()
        found = [f"{path} ({size})" for path, size in set(now) ^ set(self._before)]
        if self.reached.exists():
            self.reached.unlink()
            found.append("the payload ran")
        if found:
            shutil.rmtree(self.home)
            self._fill()
        return found

    def executed(self, commands: list[str]) -> list[set[str]]:
        """What each of them executes on this machine, as strace sees it: the names of the programs."""
        trace, driver = self.home.parent / "trace", self.home.parent / "driver"
        lines = [
            f"timeout 3 sh -c {_quoted(command)} </dev/null >/dev/null 2>&1; env :{n}"
            for n, command in enumerate(commands)
        ]
        driver.write_text("\n".join(lines) + "\n")
        environment = os.environ | {"HOME": str(self.home), "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
        watch = [
            "strace",
            "-f",
            "--seccomp-bpf",
            "-qq",
            "-s",
            "256",
            "-e",
            "trace=execve",
            "-o",
            str(trace),
            "sh",
            str(driver),
        ]
        subprocess.run(watch, cwd=self.home, env=environment, capture_output=True, check=False, timeout=100)
        return _split(trace.read_text(errors="replace"), len(commands))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _split(trace: str, count: int) -> list[set[str]]:
    """Between two marks (`env :3`, which finds no such program) stands one command."""
    found: list[set[str]] = [set()]
    for line in trace.splitlines():
        if re.search(r'execve\("[^"]*env", \["env", ":\d+"\]', line):
            found.append(set())
        executed = _EXECUTED.search(line)
        if executed and '["env", ":' not in line:
            found[-1].add(executed[1].rpartition("/")[2])
    assert len(found) == count + 1, f"{len(found) - 1} of {count} commands were seen"
    return found[:-1]


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path)
