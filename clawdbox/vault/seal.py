"""Sealed columns: each value opens only in its own row, column, account and box."""

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from clawdbox.errors import Problem, Unavailable
from clawdbox.vault.model import NONCE_BYTES
from clawdbox.vault.rules import derive, sealed
from clawdbox.vault.rules.derive import Label
from clawdbox.vault.rules.sealed import Place
from clawdbox.vault.secret import Secret

BOX = "box"  # stands where the account id stands, for what belongs to no account
_CACHED_KEYS = 256


class _Ring(NamedTuple):
    active: str
    masters: Mapping[str, Secret]


class Sealer:
    """Made by `Keyring.sealer()`, and kept up by it: after a rotation it seals with the new key.

    It may be used from any thread. Seal within the write that stores the value, or right before it: a rotation takes
    the old key away once a later write finds nothing that was sealed with it.
    """

    def __init__(self, instance_id: str, active: str, masters: Mapping[str, Secret]) -> None:
        self._instance_id = instance_id
        self._ring = _Ring(active, masters)
        self._kek = lru_cache(maxsize=_CACHED_KEYS)(self._derive_kek)

    def __repr__(self) -> str:
        return f"<Sealer instance={self._instance_id} active={self.active_key_id}>"

    @property
    def active_key_id(self) -> str:
        return self._ring.active

    def adopt(self, active: str, masters: Mapping[str, Secret]) -> None:
        """Other keys from now on. For the keyring alone."""
        self._ring = _Ring(active, masters)
        self._kek.cache_clear()

    def seal(
        self, table: str, row_id: str, column: str, account_id: str, plaintext: bytes | bytearray
    ) -> str:
        place = Place(self._instance_id, table, row_id, column, account_id)
        active = self._ring.active
        kek = self._kek(active, account_id)
        return sealed.seal(kek.reveal(), active, os.urandom(NONCE_BYTES), place, plaintext)

    def open(self, table: str, row_id: str, column: str, account_id: str, value: str) -> bytearray:
        """Raises Unavailable("sealed_value_broken"). The caller may overwrite the bytearray once it is done with it."""
        parts = sealed.parse(value)
        if parts is not None and parts.key_id in self._ring.masters:
            place = Place(self._instance_id, table, row_id, column, account_id)
            plaintext = sealed.unseal(self._kek(parts.key_id, account_id).reveal(), parts, place)
            if plaintext is not None:
                return plaintext
        raise Unavailable(
            "sealed_value_broken",
            f"A sealed value ({table}.{column}) does not open: it was changed, moved from another place, "
            "or sealed with a key that this keyring no longer holds. Restore it from a backup, or replace it.",
            table=table,
            column=column,
            row_id=row_id,
        )

    def mac_key(self, label: Label, key_id: str | None = None) -> bytes:
        """The key for an HMAC of this purpose. Write `active_key_id` beside what must still verify after a rotation."""
        ring = self._ring
        key_id = key_id or ring.active
        if key_id not in ring.masters:
            raise Problem("key_unknown", f"This keyring holds no key {key_id}.", key_id=key_id)
        return derive.mac_key(ring.masters[key_id].reveal(), self._instance_id, key_id, label)

    def _derive_kek(self, key_id: str, account_id: str) -> Secret:
        return Secret(
            derive.account_key(self._ring.masters[key_id].reveal(), self._instance_id, key_id, account_id)
        )
