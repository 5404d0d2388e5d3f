"""Passkeys: added, listed, renamed and removed by whoever is signed in; they sign in, and they step up."""

import asyncio
import secrets
from datetime import timedelta
from typing import NamedTuple

from clawdbox import names
from clawdbox.accounts import ceremony, sql
from clawdbox.accounts.ceremony import Json, Place
from clawdbox.accounts.model import Device, Granted, Login, Passkey, Principal
from clawdbox.accounts.service import Accounts
from clawdbox.accounts.short_lived import ShortLived
from clawdbox.errors import Conflict, Unauthorized
from clawdbox.events import Actor, Ledger
from clawdbox.ids import new_id
from clawdbox.settings import Settings
from clawdbox.store import Reader, Store, Tx

_CHALLENGE_TTL = timedelta(minutes=5)
_MOST = 50


class _Asked(NamedTuple):
    """What a challenge is for. One that anybody may ask for has no login."""

    purpose: str
    login_id: str | None


class Passkeys:
    def __init__(self, store: Store, ledger: Ledger, settings: Settings, accounts: Accounts) -> None:
        self._store = store
        self._ledger = ledger
        self._accounts = accounts
        self.place = ceremony.place(settings.public_url)
        self._asked: ShortLived[_Asked] = ShortLived(store.clock, _CHALLENGE_TTL)
        accounts.find_means.append(self._means)

    # what is there

    async def all(self, account_id: str) -> list[Passkey]:
        return await self._store.read(lambda r: sql.passkeys(r, account_id))

    async def rename(self, actor: Actor, account_id: str, passkey_id: str, label: str) -> Passkey:
        name = names.label(label)

        def change(tx: Tx) -> Passkey:
            sql.passkey(tx, account_id, passkey_id)
            tx.run("UPDATE passkeys SET label = ? WHERE id = ?", (name, passkey_id))
            self._tell(tx, actor, account_id, "passkey.rename", passkey_id)
            return sql.passkey(tx, account_id, passkey_id)

        return await self._store.write(change)

    async def remove(self, actor: Actor, account_id: str, passkey_id: str) -> Passkey:
        """What it signed in stays signed in, and can be ended in the list of logins."""

        def change(tx: Tx) -> Passkey:
            found = sql.passkey(tx, account_id, passkey_id)
            tx.run("DELETE FROM passkeys WHERE id = ?", (passkey_id,))
            self._tell(tx, actor, account_id, "passkey.remove", passkey_id)
            return found

        return await self._store.write(change)

    # adding one

    async def options_to_add(self, who: Principal) -> Json:
        at = self._where()
        known = await self.all(who.account_id)
        if len(known) >= _MOST:
            raise Conflict(
                "too_many_passkeys", f"An account has at most {_MOST} passkeys. Remove one that nobody uses."
            )
        ids = [one.credential_id for one in known]
        challenge = self._ask(_Asked("add", who.login.id))
        return await asyncio.to_thread(
            ceremony.options_to_add, at, who.account_id, who.account.display_name, challenge, ids
        )

    async def add(self, who: Principal, label: str, credential: Json) -> Passkey:
        at, name = self._where(), names.label(label)
        challenge = self._answered(credential, _Asked("add", who.login.id))
        new = await asyncio.to_thread(ceremony.check_new, at, credential, challenge)

        def change(tx: Tx) -> Passkey:
            passkey_id = new_id(tx.now)
            if sql.passkey_by_credential(tx, new.credential_id) is not None:
                raise Conflict("passkey_known", "This passkey is known here already.")
            row = {"id": passkey_id, "account_id": who.account_id, "label": name, "rp_id": at.rp_id}
            tx.insert("passkeys", {**row, **new._asdict(), "created_at": tx.now})
            self._tell(tx, who.actor, who.account_id, "passkey.add", passkey_id)
            return sql.passkey(tx, who.account_id, passkey_id)

        return await self._store.write(change)

    # using one

    async def options_to_sign_in(self) -> Json:
        at, challenge = self._where(), self._ask(_Asked("sign_in", None))
        return await asyncio.to_thread(ceremony.options_to_use, at, challenge)

    async def sign_in(self, credential: Json, device: Device) -> Granted:
        """Raises Problem `passkey_refused`, alike for whatever is wrong."""
        used = await self._check(credential, _Asked("sign_in", None), None)

        def change(tx: Tx) -> Granted:
            account = sql.account(tx, used.passkey.account_id)
            try:
                granted = self._accounts.sign_in(tx, account, "passkey", device, verified=True)
            except Unauthorized:  # a disabled account looks like a passkey that nobody has
                raise ceremony.refused() from None
            self._use(tx, used)
            return granted

        return await self._store.write(change)

    async def options_to_step_up(self, who: Principal) -> Json:
        at, known = self._where(), await self.all(who.account_id)
        challenge = self._ask(_Asked("step_up", who.login.id))
        ids = [one.credential_id for one in known]
        return await asyncio.to_thread(ceremony.options_to_use, at, challenge, ids)

    async def step_up(self, who: Principal, credential: Json) -> Login:
        used = await self._check(credential, _Asked("step_up", who.login.id), who.account_id)

        def change(tx: Tx) -> Login:
            self._use(tx, used)
            return self._accounts.verify_login(tx, who.login.id, "passkey")

        return await self._store.write(change)

    async def _check(self, credential: Json, asked: _Asked, account_id: str | None) -> "_Used":
        at, challenge = self._where(), self._answered(credential, asked)
        told = str(credential.get("id", ""))[:2048]
        passkey = await self._store.read(lambda r: sql.passkey_by_credential(r, told))
        if passkey is None or account_id not in (None, passkey.account_id):
            raise ceremony.refused()
        count = await asyncio.to_thread(
            ceremony.check_use, at, credential, challenge, passkey.public_key, passkey.sign_count
        )
        return _Used(passkey, count)

    def _use(self, tx: Tx, used: "_Used") -> None:
        """Raises Problem when it was removed, or used elsewhere, since it was looked at."""
        if not sql.use_passkey(tx, used.passkey, used.new_count):
            raise ceremony.refused()

    # challenges

    def _ask(self, asked: _Asked) -> bytes:
        challenge = secrets.token_bytes(32)
        self._asked.put(ceremony.challenge_hash(challenge), asked)
        return challenge

    def _answered(self, credential: Json, asked: _Asked) -> bytes:
        """The challenge, which is used up by this, whatever comes of it."""
        challenge = ceremony.challenge_in(credential)
        if self._asked.take(ceremony.challenge_hash(challenge)) != asked:
            raise ceremony.refused()
        return challenge

    # the rest

    def _where(self) -> Place:
        if self.place is None:
            raise Conflict(
                "passkeys_impossible",
                "Browsers have passkeys for https and a name only. Give the box an https address with a name"
                " (public_url), and open it there.",
            )
        return self.place

    def _means(self, r: Reader, account_id: str) -> list[str]:
        usable = self.place is not None and any(
            one.rp_id == self.place.rp_id for one in sql.passkeys(r, account_id)
        )
        return ["passkey"] if usable else []

    def _tell(self, tx: Tx, actor: Actor, account_id: str, action: str, passkey_id: str) -> None:
        self._ledger.event(tx, account_id, _EVENTS[action], "passkey", passkey_id)
        self._ledger.audit(tx, actor, action, "passkey", passkey_id, account_id=account_id)


class _Used(NamedTuple):
    passkey: Passkey
    new_count: int


_EVENTS = {
    "passkey.add": "passkey.added",
    "passkey.rename": "passkey.renamed",
    "passkey.remove": "passkey.removed",
}
