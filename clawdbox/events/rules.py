"""The audit chain: how a row's MAC is computed, and how a broken chain is found."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from clawdbox.clock import iso
from clawdbox.events.model import AuditArchive, AuditEntry

GENESIS = "0" * 64


def audit_mac(key: bytes, previous: str, entry: AuditEntry) -> str:
    """HMAC over the previous MAC and the row without its own, as canonical JSON (sorted keys)."""
    row = msgspec.structs.asdict(entry)
    del row["mac"]
    if entry.key_id is None:
        del row["key_id"]  # rows from before there was such a column were signed without it
    row["created_at"] = iso(entry.created_at)
    body = msgspec.json.encode(row, order="deterministic")
    return hmac.new(key, previous.encode() + b"\n" + body, hashlib.sha256).hexdigest()


def archive_mac(key: bytes, archive: AuditArchive) -> str:
    """HMAC over what a checkpoint says, as canonical JSON; its purpose keeps it apart from every row's."""
    said = msgspec.structs.asdict(archive)
    del said["mac"], said["removed_at"]
    said["created_at"] = iso(archive.created_at)
    body = msgspec.json.encode(said, order="deterministic")
    return hmac.new(key, b"clawdbox/audit-archive\n" + body, hashlib.sha256).hexdigest()


def check_archives(
    keys: Mapping[str | None, bytes], archives: Sequence[AuditArchive]
) -> tuple[int, str] | None:
    """(first row, reason) of the first checkpoint that is not signed, or does not follow from the one before it."""
    expected = 1
    for archive in archives:
        key = keys.get(archive.key_id)
        signed = key is not None and hmac.compare_digest(
            archive_mac(key, archive).encode(), archive.mac.encode()
        )
        if archive.first_id != expected or archive.last_id < expected or not signed:
            return expected, "what is said of its archive was changed"
        expected = archive.last_id + 1
    return None


def month_end(moment: datetime) -> datetime:
    """The first moment of the next month, in UTC."""
    first = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)


class ChainCheck(msgspec.Struct, frozen=True):
    """`first_bad` is the id of the first row that does not follow from the one before it."""

    rows: int
    first_bad: int | None
    reason: str | None


def check_chain(
    keys: Mapping[str | None, bytes],
    entries: Iterable[AuditEntry | int],
    last_issued: int,
    anchor: tuple[int, str] | None,
    begins_after: AuditArchive | None = None,
) -> ChainCheck:
    """Verify rows in order of their ids, each with the key it names; a row that cannot be read comes as its bare id.

    `last_issued` is the highest id ever given out and `anchor` the (id, mac) written last to the append-only
    file: they find a tail that was cut off, which a chain alone cannot. Rows before `begins_after` lie in archives.
    """
    previous, expected, seen_anchor = GENESIS, 1, anchor is None
    if begins_after is not None:
        previous, expected = begins_after.last_mac, begins_after.last_id + 1
        seen_anchor = seen_anchor or (anchor is not None and anchor[0] < expected)
    for entry in entries:
        found = entry if isinstance(entry, int) else entry.id
        if found != expected or isinstance(entry, int):
            return ChainCheck(expected - 1, min(found, expected), _gap(found, expected))
        flaw = _flaw(keys.get(entry.key_id), previous, entry, anchor)
        if flaw:
            return ChainCheck(expected - 1, expected, flaw)
        seen_anchor = seen_anchor or (anchor is not None and entry.id == anchor[0])
        previous, expected = entry.mac, expected + 1
    if expected <= last_issued or not seen_anchor:
        return ChainCheck(expected - 1, expected, "the newest rows were cut off")
    return ChainCheck(expected - 1, None, None)


def _gap(found: int, expected: int) -> str:
    if found == expected:
        return "this row can no longer be read"
    return "a row is missing here" if found > expected else "this row was slipped in"


def _flaw(key: bytes | None, previous: str, entry: AuditEntry, anchor: tuple[int, str] | None) -> str | None:
    if key is None:
        return "the key that this row names is not known here"
    if not hmac.compare_digest(audit_mac(key, previous, entry).encode(), entry.mac.encode()):
        return "this row, or the one before it, was changed"
    if anchor is not None and entry.id == anchor[0] and entry.mac != anchor[1]:
        return "this row differs from the append-only file"
    return None
