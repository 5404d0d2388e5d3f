"""Asking the box: the running one over its admin socket, else the same verbs on a box opened for just this.

Offline, the instance lock is taken first: there is never a second writer.
"""

import asyncio
import os
import socket
import time
from pathlib import Path
from typing import Any

import msgspec

from clawdbox.cli import exits, lock, passphrase, paths, running
from clawdbox.errors import Problem

Answer = dict[str, Any]
_PATIENCE_S = 10.0  # for a box that is just starting, or another command at work
_POLL_S = 0.05
_ANSWER_TIMEOUT_S = 600.0  # a long audit trail takes its time to verify


def ask(data_dir: Path, verb: str, **args: Any) -> Answer:
    """The verb's result. Raises Problem, with 69 when a running box is needed and 75 when the folder stays taken."""
    from clawdbox.admin import VERBS

    wanted = VERBS[verb]
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        answer = ask_running(data_dir, verb, args)
        if answer is not None:
            return answer
        _check_folder(data_dir, wanted.makes_box, wanted.needs_running)
        try:
            if not wanted.needs_running:
                return _ask_offline(data_dir, verb, args)
            if not lock.is_held(data_dir):
                raise not_running(data_dir)
        except exits.Stop as problem:
            if problem.code != "box_running" or time.monotonic() > deadline:
                raise
        if time.monotonic() > deadline:
            raise _not_answering(data_dir)
        time.sleep(_POLL_S)


def _check_folder(data_dir: Path, makes_box: bool, needs_running: bool) -> None:
    if makes_box:
        paths.prepare(data_dir)
    elif not os.path.lexists(data_dir / paths.KEYRING):
        raise not_running(data_dir) if needs_running else no_box(data_dir)


def no_box(data_dir: Path) -> exits.Stop:
    return exits.Stop(
        "no_box",
        f"There is no box in {data_dir} yet. `clawdbox serve` makes one; --data-dir or --demo chooses another.",
        exits.FAILED,
    )


def not_running(data_dir: Path) -> exits.Stop:
    return exits.Stop(
        "box_unreachable",
        f"No box is running in {data_dir}. Start it with `clawdbox serve`, or choose another with --data-dir or --demo.",
        exits.UNREACHABLE,
    )


def _not_answering(data_dir: Path) -> exits.Stop:
    return exits.Stop(
        "box_unreachable",
        f"The box in {data_dir} runs, but does not answer. See its log; if it stays like this, restart it.",
        exits.UNREACHABLE,
    )


def ask_running(data_dir: Path, verb: str, args: Answer) -> Answer | None:
    """None when nobody listens. A request that was sent is never sent again."""
    known = running.read(data_dir)
    path = known.socket if known else os.fspath(data_dir / paths.SOCKET)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(_ANSWER_TIMEOUT_S)
        try:
            peer.connect(path)
        except PermissionError:
            raise exits.Stop(
                "box_unreachable",
                f"The box in {data_dir} belongs to another user. Ask as that user, or as root.",
                exits.UNREACHABLE,
            ) from None
        except OSError:
            return None
        try:
            peer.sendall(msgspec.json.encode({"verb": verb, "args": args}) + b"\n")
            line = peer.makefile("rb").readline()
        except OSError:
            line = b""
    if not line.endswith(b"\n"):
        raise _not_answering(data_dir)
    return _result(msgspec.json.decode(line))


def _result(answer: Answer) -> Answer:
    if answer["ok"]:
        result: Answer = answer["result"]
        return result
    problem = Problem(answer["problem"]["code"], answer["problem"]["message"])
    problem.detail = answer["problem"]["detail"]
    raise problem


def _ask_offline(data_dir: Path, verb: str, args: Answer) -> Answer:
    from clawdbox import logs, settings
    from clawdbox.admin import perform
    from clawdbox.app import Box

    async def run() -> Answer:
        keyring = passphrase.unlocked(data_dir)
        async with Box.offline(data_dir, settings.load(data_dir, {}), keyring=keyring) as box:
            return await perform(box, verb, args)

    logs.configure("warning")
    with lock.held(data_dir):
        return asyncio.run(run())
