"""From a target, a pin and a private key to one authenticated link, or to a DialFailure that says why not."""

import asyncio
from collections.abc import Callable

import asyncssh

from clawdbox.net import ssh_address_verdict
from clawdbox.ssh.wire import diagnose, hop, tcp
from clawdbox.ssh.wire.client import Visitor, options, our_offer
from clawdbox.ssh.wire.kexinit import nothing_in_common, offer
from clawdbox.ssh.wire.link import Link
from clawdbox.ssh.wire.model import DialFailure, OfferedKey, Pin, Target
from clawdbox.ssh.wire.tap import SocketTunnel

Tunnel = SocketTunnel | hop.HopTunnel

__all__ = ["DialFailure", "OfferedKey", "Pin", "Target", "dial"]


async def dial(
    target: Target,
    pin: Pin,
    private_key: bytes | bytearray,
    *,
    via: Link | None = None,
    connect_timeout: float = 10.0,
    login_timeout: float = 15.0,
    keepalive_interval: float = 30.0,
    keepalive_count: int = 3,
    on_banner: Callable[[str], None] | None = None,
    judge: tcp.Judge = ssh_address_verdict,
) -> Link:
    """Connect, compare the host key with the pin, log in. Takes at most `connect_timeout` + `login_timeout` seconds.

    `private_key` is OpenSSH PEM and stays in memory. Without a pinned fingerprint the dial always fails with
    `host_key_unknown` and the offered key. With `via`, the target is reached through that link to a jump host, which
    ends with the new one, and stays the caller's to close when the dial fails. `on_banner` gets the server's banner, cleaned and capped, on every outcome.
    """
    key = _usable(private_key)
    link = Link()
    visitor = Visitor(pin, link.connection_lost)
    opts = options(
        target,
        pin,
        key,
        visitor,
        login_timeout=login_timeout,
        keepalive_interval=keepalive_interval,
        keepalive_count=keepalive_count,
    )
    tunnel: Tunnel
    if via is None:
        sock, round_trip = await tcp.connect(target, connect_timeout, judge)
        tunnel = SocketTunnel(sock)
    else:
        tunnel, round_trip = await hop.connect(via, target, connect_timeout)
    link.latency_ms = round_trip * 1000
    try:
        await _log_in(target, tunnel, visitor, link, opts, login_timeout)
    finally:
        if on_banner is not None and visitor.banner:
            on_banner(visitor.banner)
    if via is not None:
        link.carried_by(via)
    return link


def _usable(private_key: bytes | bytearray) -> asyncssh.SSHKey:
    try:
        return asyncssh.import_private_key(bytes(private_key))
    except asyncssh.KeyImportError:
        step = "Make a new key on the keys page and install it on the server."
        raise DialFailure("authentication", "The box's own private key cannot be read.", step) from None


async def _log_in(
    target: Target,
    tunnel: Tunnel,
    visitor: Visitor,
    link: Link,
    opts: asyncssh.SSHClientConnectionOptions,
    login_timeout: float,
) -> None:
    try:
        # asyncssh has its own login timer; the second clock is for what that timer does not cover.
        async with asyncio.timeout(login_timeout + 1.0):
            conn = await asyncssh.connect(target.host, target.port, tunnel=tunnel, config=None, options=opts)
    except Exception as error:  # noqa: BLE001 - asyncssh hands on whatever a hostile server's bytes broke in it
        raise diagnose.no_login(target, _seen(tunnel, visitor, opts), error) from None
    finally:
        if tunnel.tap is None:
            tunnel.close()
    shown = visitor.offered or _certified(conn, visitor)
    if shown is None or tunnel.tap is None or conn.is_closed():
        conn.abort()
        closed = ConnectionResetError("closed during the login")
        raise diagnose.no_login(target, _seen(tunnel, visitor, opts), closed)
    tunnel.tap.logged_in = True
    link.established(conn, shown, tunnel.tap.version or "", visitor.banner)
    link.authority = visitor.authority.fingerprint if visitor.authority else None


def _certified(conn: asyncssh.SSHClientConnection, visitor: Visitor) -> OfferedKey | None:
    """The key inside the host certificate that was accepted."""
    key = conn.get_server_host_key() if visitor.authority else None
    return OfferedKey(key.get_fingerprint("sha256"), key.get_algorithm()) if key else None


def _seen(tunnel: Tunnel, visitor: Visitor, opts: asyncssh.SSHClientConnectionOptions) -> diagnose.Seen:
    tap = tunnel.tap
    return diagnose.Seen(
        head=tap.head if tap else b"",
        version=tap.version if tap else None,
        offered=visitor.offered,
        refusal=visitor.refusal,
        weak_cipher=visitor.weak_cipher,
        authority=visitor.authority,
        nothing_in_common=nothing_in_common(offer(tap.after_version()), our_offer(opts)) if tap else None,
    )
