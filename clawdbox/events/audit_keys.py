"""The keys of the audit chain: one for each master key there has been, so that its rows verify for good.

A row is signed with a key that is derived from the active master key, and names it. That derived key is kept, sealed,
in `audit_keys`: a rotation seals it anew like every other value, and the master key itself can go.
"""

from collections.abc import Mapping

from clawdbox.errors import Problem
from clawdbox.events import sql
from clawdbox.store import Reader, Store, Tx
from clawdbox.vault import BOX, Label, Sealer

KeyId = str | None  # None: a row from before rows named their key


class AuditKeys:
    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._active: tuple[str, bytes] | None = None

    def active(self) -> tuple[KeyId, bytes]:
        """What a row is signed with now."""
        key_id = self._sealer.active_key_id
        if self._active is None or self._active[0] != key_id:
            self._active = key_id, self._sealer.mac_key(Label.AUDIT, key_id)
        return self._active

    def known(self, r: Reader) -> Mapping[KeyId, bytes]:
        """By the id that rows name. Under None, the first key of all."""
        found: dict[KeyId, bytes] = dict([self.active()])
        for row in reversed(sql.audit_keys(r)):
            key = self._open(row["key_id"], row["key_enc"])
            found.pop(None, None)
            if key is not None:
                found[row["key_id"]] = found[None] = key
        return found

    async def start(self, store: Store) -> None:
        """Before the first row is signed. A database from before rows named their key gets its first one here."""
        key_id, _ = self.active()
        if key_id and not await store.read(lambda r: sql.has_audit_key(r, key_id)):
            await store.write(self.keep)

    def keep(self, tx: Tx) -> None:
        """Put the active key beside the earlier ones; nothing happens when it is there."""
        key_id, key = self.active()
        assert key_id is not None
        sealed = self._sealer.seal("audit_keys", key_id, "key_enc", BOX, key)
        sql.keep_audit_key(tx, key_id, sealed)

    def _open(self, key_id: str, sealed: str) -> bytes | None:
        """None for one that somebody changed: its rows then count as bad."""
        try:
            return bytes(self._sealer.open("audit_keys", key_id, "key_enc", BOX, sealed))
        except Problem:
            return None


class OneKey:
    """A single key that is in no table, and that no row names."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def active(self) -> tuple[KeyId, bytes]:
        return None, self._key

    def known(self, _r: Reader) -> Mapping[KeyId, bytes]:
        return {None: self._key}
