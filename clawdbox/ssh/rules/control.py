"""What a client of a control socket may do, and where such a socket lies."""

import hashlib
import re
from enum import StrEnum
from pathlib import PurePosixPath

import msgspec

MAX_PATH = 107  # sun_path holds 108 bytes with its final zero (unix(7))
_PLAIN = re.compile(
    r"/[A-Za-z0-9/._@+,=-]*"
)  # what ssh_config takes as it stands: no %, $, ~, quote or space


class Use(StrEnum):
    """What a client asks for; the words stand in the audit trail."""

    COMMAND = "command"
    SHELL = "shell"
    SUBSYSTEM = "subsystem"
    FORWARD = "forward"
    CANCEL_FORWARD = "cancel_forward"
    STDIO_FORWARD = "stdio_forward"
    PROXY = "proxy"
    STOP = "stop"
    EXIT = "exit"


RUNS = frozenset({Use.COMMAND, Use.SHELL, Use.SUBSYSTEM})


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`exec`: commands and subsystems such as sftp; `pty`: whatever wants a terminal; `forward`: ports, `-W` too;
    `proxy`: `-O proxy`, within which the others still count; `exit`: `-O stop` and ending the session by `-O exit`."""

    exec: bool = True
    pty: bool = True
    forward: bool = False
    proxy: bool = False
    exit: bool = False


class Request(msgspec.Struct, frozen=True):
    """One thing that a client asks for. `command` is the command line or the name of a subsystem; `target` where a
    forward begins and leads to; `pid` the client's process. `exact` is false when `command` is not every byte that
    would run, since those are no text."""

    use: Use
    command: str | None = None
    pty: bool = False
    target: str | None = None
    pid: int = 0
    exact: bool = True


class Verdict(msgspec.Struct, frozen=True):
    """What somebody who was asked says. `reason` is shown to the client when it may not."""

    allowed: bool
    reason: str = "This was not allowed."


def switch(request: Request) -> str:
    """The name of the Policy's field that decides about a request."""
    if request.use in RUNS:
        return "pty" if request.pty else "exec"
    if request.use is Use.PROXY:
        return "proxy"
    return "exit" if request.use in (Use.STOP, Use.EXIT) else "forward"


_REFUSALS = {
    "exec": "This control socket lets nobody run commands.",
    "pty": "This control socket opens no terminals.",
    "forward": "This control socket forwards nothing.",
    "proxy": "This control socket does not speak for `ssh -O proxy`.",
    "exit": "This control socket does not end the session.",
}


def refusal(policy: Policy, request: Request) -> str | None:
    """Why the policy forbids the request, for the person at the client; None when it does not."""
    name = switch(request)
    if getattr(policy, name):
        return None
    return f"{_REFUSALS[name]} It can be allowed on the page of the connection."


def short(kind: str, id_: str) -> str:
    """A short file name that no two ids share, such as `s-0f3a…`."""
    return f"{kind}-{hashlib.sha256(id_.encode()).hexdigest()[:16]}"


LONGEST_NAME = len("s-") + 16 + len(".") + 8  # with the suffix of a socket of its own name, or of a new link


def fits(folder: str) -> bool:
    """Whether sockets may lie in that folder: short enough for an address, and plain enough for ssh_config."""
    longest = len(folder.encode("utf-8", "surrogateescape")) + 1 + LONGEST_NAME
    return longest <= MAX_PATH and _PLAIN.fullmatch(folder) is not None


def folders(data_dir: str, runtime_dir: str, uid: int) -> list[str]:
    """Where the sockets may lie, the best first. Each box has its own place, the same after every start."""
    box = hashlib.sha256(data_dir.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    places = [str(PurePosixPath(data_dir) / "ctl")]
    if runtime_dir.startswith("/"):
        places.append(str(PurePosixPath(runtime_dir) / f"clawdbox-{box}"))
    places.append(f"/tmp/clawdbox-{uid}-{box}")  # noqa: S108 - a private folder, whose owner is checked
    return [place for place in places if fits(place)]
