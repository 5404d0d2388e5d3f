"""Stopping a command on the server, so that its processes are really gone.

Closing a channel leaves the process running, so it is signalled: TERM, after a grace KILL, and only then the close.
SSH has a request for that, without an answer. OpenSSH from 7.9 on obeys it by signalling the process group, but not
when root logs in (at least up to 9.2), older versions never. Then a second command on the same connection looks for
the process among the children of the server process (`tree`) and kills its group. That needs Linux on the server
and one free session; failing it, the channel is closed and the result says that the command may still be running.
"""

import asyncio

from clawdbox.ssh.wire import tree
from clawdbox.ssh.wire.channels import ExecChannel
from clawdbox.ssh.wire.link import Link
from clawdbox.ssh.wire.model import ChannelRefused, LinkLost

_KILL_PATIENCE = 1.0
_ANSWER_PATIENCE = 5.0
_LONGEST_ANSWER = 256 * 1024
_LOOKS = 3


async def end(link: Link, channel: ExecChannel, grace_s: float) -> bool:
    """TERM, after `grace_s` KILL. True when the command was seen to end."""
    exited = channel.session.exited_within
    signalled = not link.ignores_signals
    if signalled:
        channel.signal("TERM")
    else:
        await _kill_by_tree(link, channel, "TERM")
    if await exited(grace_s):
        return _was_seen(link, channel)
    if signalled:
        channel.signal("KILL")
        if await exited(_KILL_PATIENCE):
            return _was_seen(link, channel)
    await _kill_by_tree(link, channel, "KILL")
    if not await exited(_KILL_PATIENCE):
        return False
    link.ignores_signals = True
    return _was_seen(link, channel)


def _was_seen(link: Link, channel: ExecChannel) -> bool:
    """The end of the connection ends every channel, and tells nothing about the command."""
    return link.is_alive or channel.exit_status is not None or channel.exit_signal is not None


async def _kill_by_tree(link: Link, channel: ExecChannel, signal: str) -> None:
    try:
        async with asyncio.timeout(_ANSWER_PATIENCE):
            child = await _look(link, channel)
            if child is not None:
                await _answer(link, tree.kill_command(child, signal))
    except (TimeoutError, ChannelRefused, LinkLost):
        return


async def _look(link: Link, channel: ExecChannel) -> tree.Child | None:
    """A command that begins or ends in between makes the picture unclear: then look again."""
    for _ in range(_LOOKS):
        found = tree.children(await _answer(link, tree.ASK))
        running = [
            session for session in link.live_sessions() if session.command and not session.exited.is_set()
        ]
        if channel.session not in running:
            return None
        child = tree.find(
            found, [session.command or "" for session in running], running.index(channel.session)
        )
        if child is not None:
            return child
    return None


async def _answer(link: Link, command: str) -> bytes:
    """The output of a short command of our own, ahead of all that wait for a session."""
    asked = await link.open_exec(command, ahead=True)
    answer = bytearray()
    try:
        while len(answer) < _LONGEST_ANSWER and (piece := await asked.next(0.5)) is not None:
            answer += piece[1] if piece[0] == "stdout" else b""
    finally:
        asked.close()
    return bytes(answer)
