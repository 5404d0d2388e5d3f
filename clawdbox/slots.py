"""The slots of the master keyring, changed on a box that is open: what opens it at the next start."""

import asyncio
from collections.abc import Callable

from clawdbox.errors import Conflict
from clawdbox.events import Actor, Ledger
from clawdbox.store import Store
from clawdbox.vault import Keyring, SlotType, has_credential


class Slots:
    def __init__(self, store: Store, ledger: Ledger, keyring: Keyring) -> None:
        self._store = store
        self._ledger = ledger
        self._keyring = keyring

    async def set_passphrase(self, actor: Actor, text: str) -> None:
        """A new one, or another one. Raises Invalid."""
        await self._change(
            actor, "keyring.set_slot", "passphrase", lambda: self._keyring.set_passphrase(text)
        )

    async def set_host_key(self, actor: Actor, *, in_os: bool) -> str:
        """A new host key; where it lies. The credential of systemd comes first, where there is one."""
        if in_os:
            await self._change(
                actor, "keyring.set_slot", "host", lambda: self._keyring.renew_host_key(in_os=True)
            )
            return "the OS keyring"
        change = self._keyring.adopt_credential if has_credential() else self._keyring.renew_host_key
        await self._change(actor, "keyring.set_slot", "host", change)
        return "the systemd credential" if has_credential() else "host.key"

    async def remove(self, actor: Actor, kind: SlotType, *, even_the_last: bool) -> None:
        """Raises Conflict `slot_last` for the one without which only the words open the box, unless that is meant."""
        rest = set(self._keyring.slots) - {kind, SlotType.RECOVERY}
        if not rest and kind in self._keyring.slots and kind is not SlotType.RECOVERY and not even_the_last:
            raise Conflict(
                "slot_last",
                "Without this slot nothing but the 24 words opens the box, and it does not start by itself any more. Add "
                "another slot first, or say --even-the-last.",
                slot=kind,
            )
        await self._change(actor, "keyring.remove_slot", kind, lambda: self._keyring.remove_slot(kind))

    async def _change(self, actor: Actor, action: str, kind: str, change: Callable[[], None]) -> None:
        await asyncio.to_thread(change)
        await self._store.write(
            lambda tx: self._ledger.audit(tx, actor, action, "keyring_slot", None, detail={"slot": kind})
        )
