"""Forwards that clients of a control socket ask for (`-L`, `-R`, `-D`); they last until cancelled or the link ends."""

import ipaddress
import os
from collections.abc import Callable

import asyncssh

from clawdbox.ssh.wire.link import Link
from clawdbox.ssh.wire.model import ChannelRefused
from clawdbox.ssh.wire.mux.packets import STREAM_LOCAL, ForwardWish
from clawdbox.ssh.wire.text import one_line

LOCAL, REMOTE, DYNAMIC = 1, 2, 3
MOST = 64  # on one socket


class Forwards:
    def __init__(self) -> None:
        self._open: dict[ForwardWish, tuple[Link, asyncssh.SSHListener]] = {}

    async def open(self, link: Link, wish: ForwardWish, touch: Callable[[], None]) -> int:
        """The port on which it listens. One that is open already stays. Raises ChannelRefused and LinkLost."""
        self._open = {known: held for known, held in self._open.items() if held[0].is_alive}
        if wish in self._open:
            return self._open[wish][1].get_port()
        if len(self._open) >= MOST:
            raise ChannelRefused(f"{MOST} forwards are open on this control socket. Cancel one first.")
        try:
            listener = await _listen(link, wish, touch)
        except (asyncssh.Error, OSError) as error:
            raise ChannelRefused(f"The forward could not be opened: {one_line(str(error))}.") from None
        self._open[wish] = (link, listener)
        return listener.get_port()

    async def cancel(self, wish: ForwardWish) -> bool:
        """False when there is no such forward. The connections in it go on."""
        held = self._open.pop(wish, None)
        if held is None:
            return False
        held[1].close()
        await held[1].wait_closed()
        return True

    def close(self) -> None:
        held, self._open = self._open, {}
        for _link, listener in held.values():
            listener.close()


async def _listen(link: Link, wish: ForwardWish, touch: Callable[[], None]) -> asyncssh.SSHListener:
    if wish.kind == REMOTE:
        return await _listen_there(link, wish)
    if wish.kind in (LOCAL, DYNAMIC):
        return await _listen_here(link, wish, touch)
    raise ChannelRefused("The box does not know this kind of forward.")


async def _listen_here(link: Link, wish: ForwardWish, touch: Callable[[], None]) -> asyncssh.SSHListener:
    conn = link.connection
    if wish.listen_port == STREAM_LOCAL:
        check_path(wish.listen_host)
        if wish.connect_port == STREAM_LOCAL:
            return await conn.forward_local_path(wish.listen_host, wish.connect_host)
        return await conn.forward_local_path_to_port(wish.listen_host, wish.connect_host, wish.connect_port)
    host = loopback(wish.listen_host)
    if wish.kind == DYNAMIC:
        return await conn.forward_socks(host, wish.listen_port)

    def accept(_host: str, _port: int) -> bool:
        touch()
        return True

    if wish.connect_port == STREAM_LOCAL:
        return await conn.forward_local_port_to_path(
            host, wish.listen_port, wish.connect_host, accept_handler=accept
        )
    return await conn.forward_local_port(
        host, wish.listen_port, wish.connect_host, wish.connect_port, accept_handler=accept
    )


async def _listen_there(link: Link, wish: ForwardWish) -> asyncssh.SSHListener:
    conn = link.connection
    to_path = wish.connect_port == STREAM_LOCAL
    if wish.connect_port == 0:
        raise ChannelRefused("The box offers no SOCKS proxy to the server.")
    if wish.listen_port == STREAM_LOCAL:
        if to_path:
            return await conn.forward_remote_path(wish.listen_host, wish.connect_host)
        return await conn.forward_remote_path_to_port(wish.listen_host, wish.connect_host, wish.connect_port)
    host = "" if wish.listen_host == "*" else wish.listen_host or "localhost"
    if to_path:
        return await conn.forward_remote_port_to_path(host, wish.listen_port, wish.connect_host)
    return await conn.forward_remote_port(host, wish.listen_port, wish.connect_host, wish.connect_port)


def loopback(host: str) -> str:
    """Where to listen on this machine. Raises ChannelRefused for what others could reach."""
    if host in ("", "localhost"):
        return "localhost"
    try:
        if ipaddress.ip_address(host).is_loopback:
            return host
    except ValueError:
        pass
    raise ChannelRefused("A forward of the box listens on loopback alone: others could reach this one.")


def check_path(path: str) -> None:
    """A socket that lies there already would be replaced. Raises ChannelRefused."""
    if not path.startswith("/") or os.path.lexists(path):
        raise ChannelRefused(f"{one_line(path)} is there already, or no full path.")


def told(wish: ForwardWish) -> str:
    """As ssh's option has it, for the audit trail: `L localhost:8080 → nas.lan:80`."""
    letter = {LOCAL: "L", REMOTE: "R", DYNAMIC: "D"}.get(wish.kind, "?")
    here = _place(wish.listen_host or "localhost", wish.listen_port)
    if wish.kind == DYNAMIC:
        return f"{letter} {here}"
    return f"{letter} {here} → {_place(wish.connect_host, wish.connect_port)}"


def _place(host: str, port: int) -> str:
    return one_line(host) if port == STREAM_LOCAL else f"{one_line(host)}:{port}"
