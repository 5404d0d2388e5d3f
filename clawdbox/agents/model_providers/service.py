"""The verbs of places where models are asked."""

from collections.abc import Awaitable, Callable

import msgspec

from clawdbox.agents.model_providers import sql
from clawdbox.agents.model_providers.model import Endpoint, ModelProvider, Verdict
from clawdbox.agents.rules import model_providers as rules
from clawdbox.errors import Conflict
from clawdbox.events import Actor, Ledger
from clawdbox.ids import new_id
from clawdbox.store import Store, Tx
from clawdbox.vault import Sealer, Secret

_TABLE, _COLUMN = "model_providers", "api_key_enc"
Probe = Callable[[Endpoint], Awaitable[Verdict]]


class ModelProviders:
    """Every verb takes the account whose providers it may touch; another account's are NotFound.

    `probe` asks a model for a word; `own_port` says which port is the box's own, where nothing is asked.
    """

    def __init__(
        self, store: Store, ledger: Ledger, sealer: Sealer, probe: Probe, own_port: Callable[[], int | None]
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._sealer = sealer
        self._probe = probe
        self._own_port = own_port

    async def all_of(self, account_id: str) -> list[ModelProvider]:
        return await self._store.read(lambda r: sql.all_of(r, account_id))

    async def get(self, account_id: str, provider_id: str) -> ModelProvider:
        return await self._store.read(lambda r: sql.get(r, account_id, provider_id))

    async def create(
        self, actor: Actor, account_id: str, label: str, kind: str, base_url: str, model: str, key: str | None
    ) -> ModelProvider:
        """Raises Invalid, and Conflict `label_taken` or `model_provider_limit_reached`."""
        written = rules.check(label, kind, base_url, model, self._own_port())
        checked = rules.check_key(key) if key is not None else None

        def change(tx: Tx) -> ModelProvider:
            rules.check_room(sql.count(tx, account_id))
            _check_label(tx, account_id, written.label, None)
            provider_id = new_id(tx.now)
            sql.insert(tx, provider_id, account_id, written, self._sealed(account_id, provider_id, checked))
            return self._tell(tx, actor, account_id, provider_id, "created", "create")

        return await self._store.write(change)

    async def change(
        self,
        actor: Actor,
        account_id: str,
        provider_id: str,
        *,
        label: str | None = None,
        base_url: str | None = None,
        model: str | None = None,
        key: str | msgspec.UnsetType | None = msgspec.UNSET,
    ) -> ModelProvider:
        """Only what is given changes; a key of None takes it away. Raises NotFound, Invalid, Conflict `label_taken`."""
        checked = rules.check_key(key) if isinstance(key, str) else key

        def change(tx: Tx) -> ModelProvider:
            now = sql.get(tx, account_id, provider_id)
            after = rules.check(
                now.label if label is None else label,
                now.kind,
                now.base_url if base_url is None else base_url,
                now.model if model is None else model,
                self._own_port(),
            )
            rules.check_key_moves(now, after, key_given=checked is not msgspec.UNSET)
            _check_label(tx, account_id, after.label, provider_id)
            sql.save(tx, provider_id, after)
            if not isinstance(checked, msgspec.UnsetType):
                sql.save_key(tx, provider_id, self._sealed(account_id, provider_id, checked))
            return self._tell(tx, actor, account_id, provider_id, "updated", "update")

        return await self._store.write(change)

    async def remove(self, actor: Actor, account_id: str, provider_id: str) -> ModelProvider:
        """Its key is gone with this; conversations that name it say so at their next turn."""

        def change(tx: Tx) -> ModelProvider:
            sql.get(tx, account_id, provider_id)
            provider = self._tell(tx, actor, account_id, provider_id, "removed", "remove")
            sql.remove(tx, provider_id, tx.now)
            return msgspec.structs.replace(provider, has_key=False, removed_at=tx.now)

        return await self._store.write(change)

    async def endpoint(self, account_id: str, provider_id: str, model: str | None = None) -> Endpoint:
        """What a request needs, with the key opened. Raises NotFound, Unavailable `sealed_value_broken`."""
        provider, sealed = await self._store.read(
            lambda r: (sql.get(r, account_id, provider_id), sql.sealed_key(r, provider_id))
        )
        key = None
        if sealed is not None:
            key = Secret(self._sealer.open(_TABLE, provider_id, _COLUMN, account_id, sealed))
        return Endpoint(provider.label, provider.kind, provider.base_url, model or provider.model, key)

    async def test(self, actor: Actor, account_id: str, provider_id: str) -> Verdict:
        """Ask for a word, and say truly what came of it."""
        verdict = await self._probe(await self.endpoint(account_id, provider_id))
        detail = {"ok": verdict.ok, "code": verdict.code}
        await self._store.write(
            lambda tx: self._ledger.audit(
                tx,
                actor,
                "model_provider.test",
                "model_provider",
                provider_id,
                detail=detail,
                account_id=account_id,
            )
        )
        return verdict

    def _sealed(self, account_id: str, provider_id: str, key: str | None) -> str | None:
        if key is None:
            return None
        return self._sealer.seal(_TABLE, provider_id, _COLUMN, account_id, key.encode())

    def _tell(
        self, tx: Tx, actor: Actor, account_id: str, provider_id: str, event: str, verb: str
    ) -> ModelProvider:
        """Never with the key, of which it says only whether there is one."""
        provider = sql.get(tx, account_id, provider_id)
        host = rules.place(provider.base_url)[1]
        detail = {"label": provider.label, "kind": provider.kind, "host": host, "has_key": provider.has_key}
        self._ledger.event(
            tx,
            account_id,
            f"model_provider.{event}",
            "model_provider",
            provider_id,
            {"label": provider.label},
        )
        self._ledger.audit(
            tx,
            actor,
            f"model_provider.{verb}",
            "model_provider",
            provider_id,
            detail=detail,
            account_id=account_id,
        )
        return provider


def _check_label(tx: Tx, account_id: str, label: str, own: str | None) -> None:
    other = sql.by_label(tx, account_id, label)
    if other and other != own:
        raise Conflict(
            "label_taken", f"There is one named “{label}” already. Choose another name.", field="label"
        )
