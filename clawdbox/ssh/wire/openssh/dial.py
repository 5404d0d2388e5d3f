"""From a target, a pin and a private key to a link over a spawned master; the same failures as the box's own dial."""

import asyncio
import re

import asyncssh

from clawdbox.net import ssh_address_verdict
from clawdbox.ssh.wire import diagnose, tcp
from clawdbox.ssh.wire.client import judge_host_key
from clawdbox.ssh.wire.model import DialFailure, OfferedKey, Pin, Target
from clawdbox.ssh.wire.openssh.folder import Folder
from clawdbox.ssh.wire.openssh.link import OpenSshLink
from clawdbox.ssh.wire.openssh.master import Master

_VERSION = re.compile(r"remote software version (.*)")
_NOT_SSH = re.compile(r"banner line \d+: (.*)")
_NO_MATCH = re.compile(r"(no matching [^.\r\n]*)")


async def dial(
    target: Target,
    pin: Pin,
    private_key: bytes | bytearray,
    *,
    connect_timeout: float = 10.0,
    login_timeout: float = 15.0,
    keepalive_interval: float = 30.0,
    keepalive_count: int = 3,
    judge: tcp.Judge = ssh_address_verdict,
) -> OpenSshLink:
    """Find an address that may be dialled and answers, then let `ssh` log in there. Raises DialFailure."""
    sock, round_trip = await tcp.connect(target, connect_timeout, judge)
    address = str(sock.getpeername()[0])
    sock.close()
    master = Master(Folder())
    try:
        master.folder.fill(private_key)
        await master.start(target, address, pin, (keepalive_interval, keepalive_count))
        async with asyncio.timeout(login_timeout):
            up = await master.log_in()
    except TimeoutError as error:
        await master.drop()
        raise diagnose.no_login(target, _seen(master, pin), error) from None
    except BaseException:
        await master.drop()
        raise
    offered = _offered(master)
    if not up or offered is None:
        seen, refusal = _seen(master, pin), _error(master.log.text)
        await master.drop()
        raise diagnose.no_login(target, seen, refusal)
    link = OpenSshLink(master)
    link.latency_ms = round_trip * 1000
    link.offered = offered
    link.up(_version(master.log.text) or "")
    return link


def _offered(master: Master) -> OfferedKey | None:
    """The key that the server showed, as the script that compares it has written it down."""
    try:
        lines = master.folder.seen.read_text().splitlines()
    except OSError:
        return None
    fingerprint, _, key_type = lines[-1].partition(" ") if lines else ("", "", "")
    return OfferedKey(fingerprint, key_type) if key_type else None


def _seen(master: Master, pin: Pin) -> diagnose.Seen:
    log, offered = master.log.text, _offered(master)
    other = _NOT_SSH.search(log)
    no_match = _NO_MATCH.search(log)
    return diagnose.Seen(
        head=other[1].encode() if other else b"",
        version=_version(log),
        offered=offered,
        refusal=judge_host_key(pin, offered) if offered else None,
        nothing_in_common=no_match[1] if no_match else None,
    )


def _version(log: str) -> str | None:
    found = _VERSION.search(log)
    return f"SSH-2.0-{found[1].strip()}" if found else None


def _error(log: str) -> Exception:
    if "Permission denied (" in log or "Too many authentication failures" in log:
        return asyncssh.PermissionDenied("refused")
    return ConnectionResetError("ssh gave up")


__all__ = ["DialFailure", "dial"]
