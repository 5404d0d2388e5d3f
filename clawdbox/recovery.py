"""The recovery words: kept nowhere, shown once, on the terminal or to the first paired browser."""

import asyncio
from collections.abc import Callable

from clawdbox.clock import iso
from clawdbox.errors import Conflict
from clawdbox.events import Actor, Ledger
from clawdbox.store import Store, Tx
from clawdbox.vault import Keyring, RecoveryWords

_SHOWN = "recovery_shown_at"


class Recovery:
    """Words that nobody has confirmed die with the process; the next start makes new ones in their place."""

    def __init__(self, store: Store, ledger: Ledger, keyring: Keyring, words: RecoveryWords | None) -> None:
        self._store = store
        self._ledger = ledger
        self._keyring = keyring
        self._words = words

    async def load(self) -> None:
        shown = await self._store.read(
            lambda r: r.value("SELECT value FROM box_meta WHERE key = ?", (_SHOWN,))
        )
        if shown:
            self._words = None
        elif self._words is None:
            self._words = self._keyring.renew_recovery()

    @property
    def pending(self) -> bool:
        return self._words is not None

    async def is_written_down(self) -> bool:
        """Whether somebody has confirmed the words in force."""
        shown = await self._store.read(
            lambda r: r.value("SELECT value FROM box_meta WHERE key = ?", (_SHOWN,))
        )
        return shown is not None

    @property
    def words_id(self) -> str:
        """Names the words in force, for whoever confirms them later."""
        return self._keyring.words_id

    async def reveal(self) -> list[str]:
        """The 24 words. Raises Conflict `recovery_words_shown` once they were confirmed."""
        if self._words is None:
            raise Conflict(
                "recovery_words_shown",
                "The recovery words were shown once and are kept nowhere: the paper they were written on is the only copy.",
            )
        return list(self._words.reveal())

    async def confirm(self, actor: Actor) -> None:
        """They were written down: forget them."""
        if self._words is not None:
            await self._store.write(lambda tx: self._note(tx, actor))
            self._words = None

    async def confirm_these(self, actor: Actor, words_id: str) -> None:
        """The same, for words that were shown by a box that is gone by now. Raises Conflict `words_replaced`."""
        if words_id != self.words_id:
            raise Conflict(
                "words_replaced",
                "Newer words have replaced these meanwhile. Throw these away: clawdbox keyring renew-words makes others.",
            )
        await self._store.write(lambda tx: self._note(tx, actor))
        self._words = None

    async def renew(self, make: Callable[[], RecoveryWords]) -> None:
        """Other words, which `make` wraps the keyring for. It runs in a thread, since it may take a while.

        That the old ones were written down is forgotten first: whatever is killed in between, words that nobody has are
        never taken for words that somebody has.
        """
        shown = await self._store.write(_forget)
        try:
            self._words = await asyncio.to_thread(make)
        except BaseException:
            if shown is not None:
                await self._store.write(lambda tx: _put(tx, shown))
            raise

    def _note(self, tx: Tx, actor: Actor) -> None:
        _put(tx, iso(tx.now))
        self._ledger.audit(tx, actor, "recovery_words.shown")


def _forget(tx: Tx) -> str | None:
    shown = tx.value("SELECT value FROM box_meta WHERE key = ?", (_SHOWN,))
    tx.run("DELETE FROM box_meta WHERE key = ?", (_SHOWN,))
    return None if shown is None else str(shown)


def _put(tx: Tx, shown: str) -> None:
    tx.run("INSERT OR REPLACE INTO box_meta VALUES (?, ?)", (_SHOWN, shown))
