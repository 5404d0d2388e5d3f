"""The verbs of people and their logins."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import msgspec

from clawdbox import names
from clawdbox.accounts import rules, sql
from clawdbox.accounts.model import (
    Account,
    AccountSettings,
    Device,
    Granted,
    Login,
    PairingCode,
    Principal,
)
from clawdbox.clock import parse
from clawdbox.errors import Invalid, Unauthorized, Unavailable
from clawdbox.events import Actor, Ledger
from clawdbox.events.model import SYSTEM
from clawdbox.ids import new_id, new_token, token_hash
from clawdbox.settings import Settings
from clawdbox.store import Reader, Store, Tx

MakeKey = Callable[[Tx, Actor, str], object]
FindMeans = Callable[[Reader, str], Sequence[str]]
_MAX_TOKEN = 200


class Accounts:
    """`make_key` is called within the transaction that makes an account, so that nobody is ever without a key.

    `find_means` say by what an account's person can prove to be there; the terminal of the box is always one.
    """

    def __init__(self, store: Store, ledger: Ledger, settings: Settings, make_key: MakeKey) -> None:
        self._store = store
        self._ledger = ledger
        self._make_key = make_key
        self.find_means: list[FindMeans] = []
        self._step_up_ttl = timedelta(seconds=settings.step_up_ttl_s)
        self._login_ttl = timedelta(seconds=settings.login_ttl_s)
        self._code_ttl = timedelta(seconds=settings.pairing_code_ttl_s)
        self._defaults = AccountSettings(
            idle_timeout_s=math.ceil(settings.idle_timeout_s),
            max_leases=settings.max_leases,
            agent_mode=settings.agent_mode,
            turn_max_commands=settings.turn_max_commands,
            turn_max_tokens=settings.turn_max_tokens,
            turn_max_cost_usd=settings.turn_max_cost_usd,
            turn_max_s=math.ceil(settings.turn_max_s),
            unattended_commands=settings.unattended_commands,
        )

    # people

    async def ensure_owner(self, display_name: str = "Owner") -> Account:
        """The owner, made with a keypair on the first start."""

        def change(tx: Tx) -> Account:
            return sql.owner(tx) or self._create(tx, SYSTEM, display_name, "owner")

        return await self._store.write(change)

    async def create(self, actor: Actor, display_name: str, role: str = "operator") -> Account:
        name = names.label(display_name, "display_name")
        return await self._store.write(lambda tx: self._create(tx, actor, name, role))

    async def get(self, account_id: str) -> Account:
        """Raises NotFound."""
        return await self._store.read(lambda r: sql.account(r, account_id))

    async def everyone(self) -> list[Account]:
        return await self._store.read(sql.accounts)

    async def find(self, name: str | None) -> Account:
        """By id or display name; without one, the owner. Raises Invalid when there is none such, or several."""
        everyone = await self.everyone()
        if name is None:
            return next(account for account in everyone if account.role == "owner")
        found = [account for account in everyone if name in (account.id, account.display_name)]
        if len(found) != 1:
            known = ", ".join(account.display_name for account in everyone)
            raise Invalid("account", f"There is no single account {name!r}. Accounts here: {known}.")
        return found[0]

    async def set_active(self, actor: Actor, account_id: str, active: bool) -> Account:
        """Disabling ends the account's logins at once; its leases and sockets end by the event."""

        def change(tx: Tx) -> Account:
            account = sql.account(tx, account_id)
            if not active:
                rules.check_disable(account, sql.other_active_owners(tx, account_id))
                for login in sql.living_logins(tx, account_id):
                    self._revoke(tx, actor, login)
            sql.set_active(tx, account_id, active)
            tx.wake("leases:sweep")
            verb = "enable" if active else "disable"
            self._ledger.event(tx, account_id, f"account.{verb}d", "account", account_id)
            self._ledger.audit(tx, actor, f"account.{verb}", "account", account_id, account_id=account_id)
            return sql.account(tx, account_id)

        return await self._store.write(change)

    async def set_role(self, actor: Actor, account_id: str, role: str) -> Account:
        """Raises NotFound, Conflict `last_owner`."""

        def change(tx: Tx) -> Account:
            before = sql.account(tx, account_id)
            if role != "owner":
                rules.check_disable(before, sql.other_active_owners(tx, account_id))
            sql.set_role(tx, account_id, role)
            detail = {"before": before.role, "after": role}
            self._ledger.event(tx, account_id, "account.role_changed", "account", account_id, detail)
            self._ledger.audit(
                tx, actor, "account.set_role", "account", account_id, detail=detail, account_id=account_id
            )
            return sql.account(tx, account_id)

        return await self._store.write(change)

    def create_in(self, tx: Tx, actor: Actor, display_name: str, role: str, email: str | None) -> Account:
        """An account with its key, for somebody who signs up. `email` is one that was verified."""
        account = self._create(tx, actor, display_name, role)
        sql.set_email(tx, account.id, email)
        return sql.account(tx, account.id)

    def _create(self, tx: Tx, actor: Actor, display_name: str, role: str) -> Account:
        account_id = new_id(tx.now)
        tx.insert(
            "accounts", {"id": account_id, "display_name": display_name, "role": role, "created_at": tx.now}
        )
        self._ledger.audit(tx, actor, "account.create", "account", account_id, account_id=account_id)
        self._make_key(tx, actor, account_id)
        return sql.account(tx, account_id)

    # logins

    async def authenticate(self, token: str, ip_address: str | None) -> Principal:
        """The principal behind a bearer token or cookie. Raises Unauthorized."""
        if len(token) > _MAX_TOKEN:
            raise Unauthorized
        login, account = await self._store.read(lambda r: _login_and_account(r, token_hash(token)))
        now = self._store.clock.now()
        rules.check_login(account, login, now)
        expires_at = rules.slide(login, self._login_ttl, now)
        if expires_at:
            with suppress(Unavailable):  # a full disk must not shut out who comes to look after it
                await self._store.write(lambda tx: sql.use_login(tx, login.id, account.id, expires_at))
        return Principal(account, login, ip_address)

    async def still_valid(self, principal: Principal) -> bool:
        """Whether the login of an open socket is still good."""
        try:
            login, account = await self._store.read(
                lambda r: (
                    sql.login(r, principal.account_id, principal.login.id),
                    sql.account(r, principal.account_id),
                )
            )
            rules.check_login(account, login, self._store.clock.now())
        except Exception:  # noqa: BLE001 - whatever went wrong, the answer is no
            return False
        return True

    async def make_pairing_code(self, actor: Actor, account_id: str) -> PairingCode:
        code = new_token()

        def change(tx: Tx) -> PairingCode:
            sql.account(tx, account_id)
            expires_at = tx.now + self._code_ttl
            code_id = new_id(tx.now)
            row = {"id": code_id, "account_id": account_id, "code_hash": token_hash(code)}
            times = {"created_at": tx.now, "expires_at": expires_at}
            tx.insert("pairing_codes", {**row, **times, "at_the_box": actor == SYSTEM})
            self._ledger.audit(
                tx, actor, "pairing_code.create", "pairing_code", code_id, account_id=account_id
            )
            return PairingCode(code, expires_at)

        return await self._store.write(change)

    async def knows_pairing_code(self, code: str) -> bool:
        """Whether it would sign somebody in now; asked before a write is begun for a stranger."""
        found = await self._store.read(lambda r: sql.pairing_code(r, token_hash(code[:_MAX_TOKEN])))
        now = self._store.clock.now()
        return bool(found and not found["used_at"] and parse(found["expires_at"]) > now)

    async def pair(self, code: str, device: Device) -> Granted:
        """Trade a pairing code for a login. Raises Unauthorized `pairing_code_invalid`; the first of two wins.

        An account's first browser, let in by a link that the box itself printed, has been confirmed at the terminal.
        """

        def change(tx: Tx) -> Granted:
            found = sql.pairing_code(tx, token_hash(code[:_MAX_TOKEN]))
            if found is None:
                raise rules.pairing_refused()
            account = sql.account(tx, found["account_id"])
            used_at = parse(found["used_at"]) if found["used_at"] else None
            rules.check_code(parse(found["expires_at"]), used_at, account, tx.now)
            verified = bool(found["at_the_box"]) and not sql.had_a_browser(tx, account.id)
            granted = self.sign_in(tx, account, "pairing", device, verified=verified)
            sql.use_pairing_code(tx, found["id"], granted.login.id)
            return granted

        return await self._store.write(change)

    def sign_in(self, tx: Tx, account: Account, method: str, device: Device, *, verified: bool) -> Granted:
        """A browser's login, whose token is always a new one. Raises Unauthorized when the account is disabled.

        `verified`: its person has just proved to be there, by a passkey or at a provider.
        """
        if not account.is_active:
            raise Unauthorized
        token = new_token()
        row = {
            "kind": "browser",
            "scope": "full",
            "method": method,
            "expires_at": tx.now + self._login_ttl,
            "device_name": names.printable(device.name or "", names.MAX_LABEL) or "Browser",
            "ip_address": device.ip_address,
            "user_agent": names.printable(device.user_agent or "", 256) or None,
            "verified_at": tx.now if verified else None,
        }
        login = self._grant(tx, Actor(account.id, device.ip_address), account.id, token, row)
        return Granted(account, login, token)

    def verify_login(self, tx: Tx, login_id: str, means: str | None = None) -> Login:
        """Its person has just proved to be there. Raises Unauthorized when the login has ended."""
        login = sql.verify_login(tx, login_id)
        if login is None:
            raise Unauthorized
        actor, detail = Actor(login.account_id, login.ip_address, login.id), {"means": means}
        self._ledger.event(tx, login.account_id, "login.verified", "login", login.id, detail)
        self._ledger.audit(
            tx, actor, "login.verify", "app_session", login.id, detail=detail, account_id=login.account_id
        )
        return login

    async def check_fresh(self, principal: Principal) -> None:
        """Raises Forbidden `step_up_required`, with the means this account has."""
        if rules.is_fresh(principal.login, self._step_up_ttl, self._store.clock.now()):
            return
        raise rules.step_up_required(await self._store.read(lambda r: self.means_in(r, principal.account_id)))

    def own_means(self, r: Reader, account_id: str) -> list[str]:
        """The ways that are the account's own: neither a provider's word nor the terminal."""
        means = self.means_in(r, account_id)
        return [name for name in means if name not in ("github", "oidc", "terminal")]

    def means_in(self, r: Reader, account_id: str) -> list[str]:
        """By what the person of an account can prove to be there, the handiest first."""
        return [*(means for find in self.find_means for means in find(r, account_id)), "terminal"]

    async def create_token(
        self, actor: Actor, account_id: str, name: str, expires_at: datetime, scope: str = "full"
    ) -> Granted:
        """A bearer token for scripts, or for `/metrics` alone (`scope` = `metrics`)."""
        device_name = names.label(name, "name")
        token = new_token()

        def change(tx: Tx) -> Granted:
            account = sql.account(tx, account_id)
            row = {"kind": "token", "method": "token", "scope": scope, "expires_at": expires_at}
            row = {**row, "device_name": device_name}
            login = self._grant(tx, actor, account_id, token, row)
            return Granted(account, login, token)

        return await self._store.write(change)

    async def logins(self, account_id: str) -> list[Login]:
        return await self._store.read(lambda r: sql.living_logins(r, account_id))

    async def revoke_login(self, actor: Actor, account_id: str, login_id: str) -> Login:
        def change(tx: Tx) -> Login:
            self._revoke(tx, actor, sql.login(tx, account_id, login_id))
            return sql.login(tx, account_id, login_id)

        return await self._store.write(change)

    async def revoke_others(self, who: Principal) -> int:
        """Sign out everywhere but here, scripts included. How many that were."""

        def change(tx: Tx) -> int:
            others = [login for login in sql.living_logins(tx, who.account_id) if login.id != who.login.id]
            for login in others:
                self._revoke(tx, who.actor, login)
            return len(others)

        return await self._store.write(change)

    def _grant(self, tx: Tx, actor: Actor, account_id: str, token: str, row: dict[str, Any]) -> Login:
        login_id = new_id(tx.now)
        known = {
            "id": login_id,
            "account_id": account_id,
            "token_hash": token_hash(token),
            "created_at": tx.now,
        }
        tx.insert("app_sessions", {**row, **known})
        detail = {name: row[name] for name in ("kind", "method", "scope", "device_name")}
        self._ledger.event(tx, account_id, "login.created", "login", login_id, detail)
        self._ledger.audit(
            tx, actor, "login.create", "app_session", login_id, detail=detail, account_id=account_id
        )
        return sql.login(tx, account_id, login_id)

    def _revoke(self, tx: Tx, actor: Actor, login: Login) -> None:
        if login.revoked_at:
            return
        sql.revoke_login(tx, login.id)
        tx.wake(f"login:{login.id}")
        self._ledger.event(tx, login.account_id, "login.revoked", "login", login.id)
        self._ledger.audit(tx, actor, "login.revoke", "app_session", login.id, account_id=login.account_id)

    # settings

    async def settings(self, account_id: str) -> AccountSettings:
        return await self._store.read(lambda r: self.settings_in(r, account_id))

    def settings_in(self, r: Reader, account_id: str) -> AccountSettings:
        """For what decides within a transaction of its own."""
        return sql.settings(r, account_id, self._defaults)

    async def change_settings(
        self, actor: Actor, account_id: str, given: Mapping[str, Any]
    ) -> AccountSettings:
        """Only what is given changes; the names are those of AccountSettings. Raises Invalid."""
        rules.check_settings(given)

        def change(tx: Tx) -> AccountSettings:
            sql.account(tx, account_id)
            before = sql.settings(tx, account_id, self._defaults)
            sql.save_settings(tx, account_id, given)
            after = sql.settings(tx, account_id, self._defaults)
            detail = {"before": _plain(before), "after": _plain(after)}
            self._ledger.event(tx, account_id, "settings.updated", "account", account_id, _plain(after))
            self._ledger.audit(
                tx, actor, "settings.update", "account", account_id, detail=detail, account_id=account_id
            )
            return after

        return await self._store.write(change)


def _plain(settings: AccountSettings) -> dict[str, Any]:
    return msgspec.structs.asdict(settings)


def _login_and_account(r: Reader, hashed: str) -> tuple[Login, Account]:
    login = sql.login_by_hash(r, hashed)
    if login is None:
        raise Unauthorized
    return login, sql.account(r, login.account_id)
