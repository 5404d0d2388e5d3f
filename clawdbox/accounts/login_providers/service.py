"""The verbs of providers, and of the identities that people have there."""

from collections.abc import Callable

from clawdbox import names
from clawdbox.accounts.login_providers import rules, sql
from clawdbox.accounts.login_providers.model import Client, Identity, Kind, LoginProvider, Person
from clawdbox.errors import NotFound
from clawdbox.events import Actor, Ledger
from clawdbox.ids import new_id
from clawdbox.settings import Settings
from clawdbox.store import Reader, Store, Tx
from clawdbox.vault import BOX, Sealer, Secret

_TABLE, _COLUMN = "login_providers", "client_secret_enc"
OtherWays = Callable[[Reader, str], list[str]]  # by what else somebody gets in again


class LoginProviders:
    """Who calls the verbs that change providers has made sure that the actor is an owner."""

    def __init__(self, store: Store, ledger: Ledger, sealer: Sealer, settings: Settings) -> None:
        self._store = store
        self._ledger = ledger
        self._sealer = sealer
        self._loopback = settings.login_provider_loopback

    async def all(self) -> list[LoginProvider]:
        return await self._store.read(sql.providers)

    async def by_slug(self, slug: str) -> LoginProvider:
        """Raises Problem `login_provider_unknown`."""
        found = await self._store.read(lambda r: sql.by_slug(r, slug))
        if found is None:
            raise rules.provider_unknown()
        return found

    async def add(
        self,
        actor: Actor,
        kind: Kind,
        slug: str,
        label: str,
        client_id: str,
        secret: str | None,
        issuer: str | None,
        scopes: list[str] | None,
        *,
        device_flow: bool,
    ) -> LoginProvider:
        """Raises Invalid, Conflict `slug_taken`, `login_provider_limit_reached`."""
        row = {
            "slug": rules.check_slug(slug),
            "kind": kind,
            "label": names.label(label),
            "client_id": rules.check_text(client_id, "client_id", 500),
            "issuer": rules.check_issuer(kind, issuer, loopback=self._loopback),
            "scopes": rules.check_scopes(kind, scopes),
            "device_flow": device_flow,
        }
        checked = rules.check_text(secret, "client_secret", 2000) if secret else None

        def change(tx: Tx) -> LoginProvider:
            rules.check_room(len(sql.providers(tx)))
            if sql.by_slug(tx, slug):
                raise rules.slug_taken(slug)
            provider_id = new_id(tx.now)
            sealed = checked and self._sealer.seal(_TABLE, provider_id, _COLUMN, BOX, checked.encode())
            times = {"created_at": tx.now, "updated_at": tx.now}
            tx.insert(_TABLE, {"id": provider_id, **row, _COLUMN: sealed, **times})
            return self._tell(tx, actor, provider_id, "add")

        return await self._store.write(change)

    async def remove(self, actor: Actor, provider_id: str) -> LoginProvider:
        """Its secret is gone with this. Identities stay: they count again when the same issuer is added again."""

        def change(tx: Tx) -> LoginProvider:
            provider = self._tell(tx, actor, provider_id, "remove")
            sql.remove_provider(tx, provider_id)
            return provider

        return await self._store.write(change)

    async def client(self, provider: LoginProvider) -> Client:
        """Raises Unavailable `sealed_value_broken`."""
        sealed = await self._store.read(lambda r: sql.sealed_secret(r, provider.id))
        secret = Secret(self._sealer.open(_TABLE, provider.id, _COLUMN, BOX, sealed)) if sealed else None
        return Client(provider.client_id, secret, provider.issuer, tuple(provider.scopes))

    def _tell(self, tx: Tx, actor: Actor, provider_id: str, verb: str) -> LoginProvider:
        provider = sql.provider(tx, provider_id)
        detail = {"slug": provider.slug, "kind": provider.kind, "issuer": provider.issuer}
        self._ledger.audit(
            tx,
            actor,
            f"login_provider.{verb}",
            "login_provider",
            provider_id,
            detail=detail,
            account_id=actor.account_id,
        )
        return provider

    # identities

    async def identities(self, account_id: str) -> list[Identity]:
        return await self._store.read(lambda r: sql.identities(r, account_id))

    def means(self, r: Reader, account_id: str) -> list[str]:
        """Which kinds of providers this account's person can prove to be there at."""
        authorities = {identity.provider for identity in sql.identities(r, account_id)}
        return sorted({one.kind.value for one in sql.providers(r) if authority_of(one) in authorities})

    def link(self, tx: Tx, actor: Actor, account_id: str, person: Person) -> Identity:
        """Raises Conflict `identity_taken` when it is another account's; one's own is only brought up to date."""
        found = sql.identity(tx, person.authority, person.subject)
        if found and found.account_id != account_id:
            raise rules.identity_taken()
        if found is None:
            identity_id = new_id(tx.now)
            row = {
                "id": identity_id,
                "account_id": account_id,
                "provider": person.authority,
                "provider_user_id": person.subject,
                "scopes": person.scopes,
                "created_at": tx.now,
                "updated_at": tx.now,
            }
            sql.insert_identity(tx, row)
            self._tell_identity(
                tx, actor, account_id, identity_id, person.authority, "identity.linked", "identity.link"
            )
        return self.refresh(tx, person)

    def refresh(self, tx: Tx, person: Person) -> Identity:
        """The names that the provider uses today; nothing is decided by them."""
        found = sql.identity(tx, person.authority, person.subject)
        assert found is not None
        username = names.printable(person.username or "", 200) or None
        sql.refresh_identity(tx, found.id, username, names.printable(person.email or "", 254) or None)
        return found

    async def unlink(
        self, actor: Actor, account_id: str, identity_id: str, other_ways: OtherWays, *, last_way_too: bool
    ) -> Identity:
        """Raises NotFound, Conflict `last_way_in`."""

        def change(tx: Tx) -> Identity:
            own = sql.identities(tx, account_id)
            found = next((identity for identity in own if identity.id == identity_id), None)
            if found is None:
                raise NotFound
            ways = other_ways(tx, account_id)
            rules.check_unlink(len(own) - 1, ways, last_way_too=last_way_too)
            sql.delete_identity(tx, found.id)
            self._tell_identity(
                tx, actor, account_id, found.id, found.provider, "identity.unlinked", "identity.unlink"
            )
            return found

        return await self._store.write(change)

    def _tell_identity(
        self, tx: Tx, actor: Actor, account_id: str, identity_id: str, authority: str, event: str, action: str
    ) -> None:
        detail = {"provider": authority}
        self._ledger.event(tx, account_id, event, "identity", identity_id, detail)
        self._ledger.audit(tx, actor, action, "identity", identity_id, detail=detail, account_id=account_id)


def authority_of(provider: LoginProvider) -> str:
    """What an identity there is kept under: GitHub's name, else the issuer."""
    own = provider.kind is Kind.GITHUB and provider.issuer == rules.GITHUB
    return "github" if own else provider.issuer
