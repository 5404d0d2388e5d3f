"""The recovery words: kept nowhere, shown once, on the terminal or to the first paired browser."""

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
        if self._words is None:
            return

        def change(tx: Tx) -> None:
            tx.run("INSERT OR REPLACE INTO box_meta VALUES (?, ?)", (_SHOWN, iso(tx.now)))
            self._ledger.audit(tx, actor, "recovery_words.shown")

        await self._store.write(change)
        self._words = None
