"""What goes in and out of the wire: targets, pins, failures and results. Nothing here touches asyncssh."""

from typing import Literal

import msgspec

Cause = Literal[
    "name",
    "port",
    "firewall",
    "not_ssh",
    "dropped",
    "host_key_unknown",
    "host_key_changed",
    "key_type_changed",
    "authentication",
    "algorithms",
    "timeout",
    "address_refused",
    "forwarding",
    "jump_untested",
    "jump_host_key",
    "host_certificate",
    "host_key_revoked",
]


class Target(msgspec.Struct, frozen=True):
    """Where to dial. `own_port` is the box's own web port, which is never dialled on its own addresses.

    `via` is what the jump host is called that the target lies behind.
    """

    host: str
    port: int
    username: str
    allow_loopback: bool = False
    own_port: int | None = None
    via: str | None = None


class Pin(msgspec.Struct, frozen=True):
    """The host key that is trusted: `SHA256:…`, or None while nothing is. The type puts that algorithm first.

    Without a fingerprint, a host certificate of one of `authorities` (fingerprints of their keys) is trusted, too.
    `revoked` are public keys that are trusted neither as a host's nor as an authority's.
    """

    fingerprint: str | None = None
    key_type: str | None = None
    authorities: tuple[str, ...] = ()
    revoked: tuple[str, ...] = ()


class OfferedKey(msgspec.Struct, frozen=True):
    """The host key that the server showed on this very connection."""

    fingerprint: str
    key_type: str


class DialFailure(Exception):
    """No link came about. `message` says what happened, `next_step` what a person can do; `detail` is for logs."""

    def __init__(
        self,
        cause: Cause,
        message: str,
        next_step: str,
        *,
        offered: OfferedKey | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(f"{cause}: {message}")
        self.cause: Cause = cause
        self.message = message
        self.next_step = next_step
        self.offered = offered
        self.detail = detail


class LinkLost(Exception):
    """The connection is gone; what ran on it has an unknown outcome."""


class ChannelRefused(Exception):
    """The server is there but would not open this channel; nothing was run."""


class ExecResult(msgspec.Struct, frozen=True):
    """How a command ended.

    `exit_status` is None when the server never told it. A death by signal is 128 + its number, with `exit_signal`.
    `started` is False only when the command certainly never reached the server (it was still queued).
    `ended` is False when a stopped command could not be seen to end: it may still be running.
    `left_running` means the command itself ended, but something it started kept its output open.
    """

    exit_status: int | None
    stdout: bytes
    stderr: bytes
    truncated: bool
    timed_out: bool
    cancelled: bool
    lost: bool
    duration_ms: float
    exit_signal: str | None = None
    flooded: bool = False
    started: bool = True
    ended: bool = True
    left_running: bool = False
