"""The way to a server: who is entered one after the other, each with its own key and its own pinned host key."""

import msgspec

from clawdbox.errors import Conflict
from clawdbox.keys import sql as key_sql
from clawdbox.keys.model import Keypair
from clawdbox.ssh.model import Connection, HostAuthority, HostKey
from clawdbox.ssh.rules import host_authorities as authority_rules
from clawdbox.ssh.rules import jumps as rules
from clawdbox.ssh.rules.connections import HOST_KEY_CAUSES
from clawdbox.ssh.sql import connections as sql
from clawdbox.ssh.sql import host_authorities as authority_sql
from clawdbox.ssh.wire.dial import DialFailure, Pin
from clawdbox.store import Reader


class Step(msgspec.Struct, frozen=True):
    """One login on the way."""

    connection: Connection
    keypair: Keypair
    pin: Pin


Way = tuple[Step, ...]


class HopFailure(DialFailure):
    """A dial that failed at a jump host, in words that name it. `failure` is what happened there.

    Its own `offered` is None and its cause is none of the host key's: those belong to the server itself.
    """

    def __init__(self, hop: Connection, failure: DialFailure) -> None:
        super().__init__(
            "jump_host_key" if failure.cause in HOST_KEY_CAUSES else failure.cause,
            rules.at_hop(hop, failure.cause, failure.message),
            f"Test “{hop.label}”, which shows the old and the new key, and decide there."
            if failure.cause in HOST_KEY_CAUSES
            else failure.next_step,
            detail=failure.detail,
        )
        self.hop = hop
        self.failure = failure


class HopUntested(DialFailure):
    """A jump host that may not be dialled yet."""

    def __init__(self, hop: Connection, message: str, next_step: str) -> None:
        super().__init__("jump_untested", message, next_step)
        self.hop = hop

    def as_conflict(self) -> Conflict:
        return Conflict(
            "jump_untested",
            f"{self.message} {self.next_step}",
            jump_connection_id=self.hop.id,
            jump_label=self.hop.label,
        )


def way_to(r: Reader, connection: Connection, keypair: Keypair, trusted: HostKey | None) -> Way:
    """The jump hosts as they are now, then the server with `trusted`. Raises HopUntested, and Conflict for a chain that
    cannot be, or a key that is revoked."""
    jumps = sql.jumps(r, connection.account_id) if connection.jump_connection_id else {}
    chain = reversed(rules.hops(jumps, connection.jump_connection_id))
    marks = authority_sql.living(r, connection.account_id)
    hops = [_hop(r, connection.account_id, hop, marks) for hop in chain]
    return (*hops, Step(connection, keypair, pin_of(connection, trusted, marks)))


def _hop(r: Reader, account_id: str, connection_id: str, marks: list[HostAuthority]) -> Step:
    hop = sql.get(r, account_id, connection_id, deleted=True)
    trouble = rules.untested(hop)
    if trouble is not None:
        raise HopUntested(hop, *trouble)
    return Step(hop, living_keypair(r, account_id, hop.keypair_id), pin_of(hop, pinned_key(hop), marks))


def pinned_key(connection: Connection) -> HostKey | None:
    if connection.host_key_fingerprint is None:
        return None
    return HostKey(connection.host_key_fingerprint, connection.host_key_type or "")


def pin_of(connection: Connection, trusted: HostKey | None, marks: list[HostAuthority]) -> Pin:
    """What a server may show: the trusted key, or else a certificate of an authority for its name; never a revoked key."""
    host, port = connection.host, connection.port
    return Pin(
        fingerprint=trusted.fingerprint if trusted else None,
        key_type=(trusted.type or None) if trusted else None,
        authorities=tuple(one.fingerprint for one in authority_rules.trusted(marks, host, port)),
        revoked=tuple(one.public_key for one in authority_rules.revoked(marks, host, port)),
    )


def check_revoked(step: Step) -> None:
    """Raises DialFailure when the very key that is pinned was revoked: for a dial that cannot see this itself."""
    texts = [text.split() for text in step.pin.revoked]
    keys = [authority_rules.public_key(kind, encoded) for kind, encoded in texts]
    if any(key and key.fingerprint == step.pin.fingerprint for key in keys):
        raise DialFailure(
            "host_key_revoked",
            f"The host key that is pinned for {step.connection.host} is one that you revoked.",
            "Give the server a new host key, or take the key off the revoked ones in Settings.",
        )


def to_blame(way: Way, number: int, failure: DialFailure) -> Connection | None:
    """The jump host at which the dial of step `number` failed; None when it was the server itself."""
    if failure.cause == "forwarding":
        return way[number - 1].connection
    return way[number].connection if number < len(way) - 1 else None


def hop_of(failure: DialFailure) -> Connection | None:
    return failure.hop if isinstance(failure, HopFailure | HopUntested) else None


def offered_key(failure: DialFailure) -> HostKey | None:
    return HostKey(failure.offered.fingerprint, failure.offered.key_type) if failure.offered else None


def living_keypair(r: Reader, account_id: str, keypair_id: str | None) -> Keypair:
    """A keypair that may still log in; without an id the account's default one. Raises Conflict."""
    keypair = key_sql.get(r, account_id, keypair_id) if keypair_id else key_sql.default_living(r, account_id)
    if keypair is None:
        raise Conflict("no_keypair", "There is no living key. Make one on the Keys page first.")
    if not keypair.is_active:
        raise Conflict("keypair_revoked", "This key is revoked. Choose another one.", field="keypair_id")
    return keypair
