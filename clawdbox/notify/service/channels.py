"""The verbs of channels: where an account wants to be told, and what came of it."""

import base64
import hashlib
import os
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from clawdbox import logs, names
from clawdbox.errors import Unavailable
from clawdbox.events import Actor, Ledger
from clawdbox.events.model import SYSTEM
from clawdbox.ids import new_id
from clawdbox.notify.model import (
    Channel,
    Delivery,
    Email,
    Kind,
    Logged,
    Ntfy,
    Outcome,
    State,
    Target,
    Webhook,
    WebPush,
)
from clawdbox.notify.rules import channels as rules
from clawdbox.notify.rules.deliveries import no_answer
from clawdbox.notify.rules.messages import trial
from clawdbox.notify.service.vapid import Vapid
from clawdbox.notify.sql import channels as sql
from clawdbox.notify.sql import deliveries as delivery_sql
from clawdbox.notify.wire.send import Sender
from clawdbox.settings import Settings
from clawdbox.store import Store, Tx
from clawdbox.vault import Sealer

log = logs.get("notify")
SECRET = "whsec_"
_DECODER: msgspec.json.Decoder[Target] = msgspec.json.Decoder(WebPush | Ntfy | Email | Webhook)


class Where(msgspec.Struct, frozen=True):
    """How the box is reached, and on which port of its own nothing is ever sent to itself."""

    address: str
    own_port: int | None


class Channels:
    """Every verb takes the account whose channels it may touch; another account's are NotFound."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        sealer: Sealer,
        settings: Settings,
        vapid: Vapid,
        sender: Sender,
        where: Callable[[], Where],
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._sealer = sealer
        self._settings = settings
        self._sender = sender
        self._where = where
        self.vapid = vapid

    async def all_of(self, account_id: str) -> list[tuple[Channel, str]]:
        """Each with the host that it leads to."""
        found = await self._store.read(lambda r: sql.of_account(r, account_id))
        return [(channel, self.host_of(channel)) for channel in found]

    def host_of(self, channel: Channel) -> str:
        try:
            return rules.host_of(self.target_of(channel))
        except Unavailable:
            return ""

    def target_of(self, channel: Channel) -> Target:
        """Raises Unavailable `sealed_value_broken`."""
        plain = self._sealer.open(
            "notify_channels", channel.id, "target_enc", channel.account_id, channel.target_enc or ""
        )
        return _DECODER.decode(plain)

    # changing

    async def add(
        self,
        actor: Actor,
        account_id: str,
        *,
        label: str,
        target: Target,
        kinds: Iterable[str],
        with_command: bool,
    ) -> tuple[Channel, str | None]:
        """The channel, and for a webhook the secret that its receiver checks signatures with: shown here, once."""
        name = names.label(label)
        wanted = rules.check_kinds(kinds)
        if isinstance(target, Webhook):
            target = Webhook(target.url, SECRET + base64.b64encode(os.urandom(32)).decode(), target.local)
        checked = rules.check_target(target, plain_http=self._settings.notify_plain_http)

        def change(tx: Tx) -> Channel:
            endpoint_hash = _endpoint_hash(checked)
            if endpoint_hash:
                self._replace(tx, actor, endpoint_hash)
            rules.check_room(len(sql.of_account(tx, account_id)))
            channel_id = new_id(tx.now)
            row = {
                "id": channel_id,
                "account_id": account_id,
                "login_id": actor.login_id if isinstance(checked, WebPush) else None,
                "kind": rules.kind_of(checked),
                "label": name,
                "target_enc": self._sealer.seal(
                    "notify_channels", channel_id, "target_enc", account_id, msgspec.json.encode(checked)
                ),
                "endpoint_hash": endpoint_hash,
                "kinds": wanted,
                "with_command": with_command,
                "created_at": tx.now,
                "updated_at": tx.now,
            }
            sql.insert(tx, row)
            channel = sql.get(tx, account_id, channel_id)
            self._tell(
                tx,
                actor,
                channel,
                "notify_channel.added",
                "notify_channel.add",
                {"host": rules.host_of(checked)},
            )
            return channel

        channel = await self._store.write(change)
        return channel, checked.secret if isinstance(checked, Webhook) else None

    def _replace(self, tx: Tx, actor: Actor, endpoint_hash: str) -> None:
        """A browser has one subscription: who turned it on last is told there, and nobody else."""
        before = sql.with_endpoint(tx, endpoint_hash)
        if before:
            self._remove(tx, actor if before.account_id == actor.account_id else SYSTEM, before, "replaced")

    async def change(self, actor: Actor, account_id: str, channel_id: str, given: dict[str, Any]) -> Channel:
        """Only what is given changes: label, kinds, with_command, enabled. Raises Invalid."""
        wanted = dict(given)
        if "label" in wanted:
            wanted["label"] = names.label(wanted["label"])
        if "kinds" in wanted:
            wanted["kinds"] = rules.check_kinds(wanted["kinds"])

        def change(tx: Tx) -> Channel:
            before = sql.get(tx, account_id, channel_id)
            after = msgspec.structs.replace(before, **wanted)
            sql.save_choices(tx, after)
            self._tell(tx, actor, after, "notify_channel.changed", "notify_channel.change", {})
            return sql.get(tx, account_id, channel_id)

        return await self._store.write(change)

    async def remove(self, actor: Actor, account_id: str, channel_id: str) -> Channel:
        """Its settings are gone at once; what it sent stays in the log for a while."""

        def change(tx: Tx) -> Channel:
            channel = sql.get(tx, account_id, channel_id)
            self._remove(tx, actor, channel, "asked")
            return channel

        return await self._store.write(change)

    def login_ended(self, tx: Tx, login_id: str) -> None:
        for channel in sql.of_login(tx, login_id):
            self._remove(tx, SYSTEM, channel, "login_ended")

    def forget_ended_logins(self, tx: Tx) -> None:
        for channel in sql.of_ended_logins(tx):
            self._remove(tx, SYSTEM, channel, "login_ended")

    def gone(self, tx: Tx, channel: Channel) -> None:
        """The push service knows the browser no more."""
        self._remove(tx, SYSTEM, channel, "endpoint_gone")

    def _remove(self, tx: Tx, actor: Actor, channel: Channel, why: str) -> None:
        sql.remove(tx, channel.id)
        self._tell(tx, actor, channel, "notify_channel.removed", "notify_channel.remove", {"why": why})

    def _tell(
        self, tx: Tx, actor: Actor, channel: Channel, event: str, action: str, more: dict[str, Any]
    ) -> None:
        detail = {
            "kind": channel.kind,
            "label": channel.label,
            "kinds": channel.kinds,
            "with_command": channel.with_command,
            "enabled": channel.enabled,
            **more,
        }
        owner = channel.account_id
        self._ledger.event(tx, owner, event, "notify_channel", channel.id, detail)
        self._ledger.audit(tx, actor, action, "notify_channel", channel.id, detail=detail, account_id=owner)

    # trying

    async def test(self, actor: Actor, account_id: str, channel_id: str) -> Outcome:
        """Send a message now, and say what came of it. It is not tried again."""
        channel = await self._store.read(lambda r: sql.get(r, account_id, channel_id))
        now = self._store.clock.now()
        delivery_id = new_id(now)
        outcome = await self._try(channel, delivery_id)
        state = State.FAILED if outcome.state is State.PENDING else outcome.state

        def change(tx: Tx) -> None:
            sent_at = tx.now if state is State.SENT else None
            made = Delivery(
                delivery_id, channel_id, None, Kind.TEST, None, state, 1, None, outcome.code, now, sent_at
            )
            delivery_sql.insert(tx, made)
            self.note(tx, channel, outcome)
            self._ledger.audit(
                tx,
                actor,
                "notify_channel.test",
                "notify_channel",
                channel_id,
                result="ok" if state is State.SENT else "failed",
                detail={"kind": channel.kind, "error": outcome.code},
                account_id=account_id,
            )

        await self._store.write(change)
        return outcome

    async def _try(self, channel: Channel, delivery_id: str) -> Outcome:
        now, where = self._store.clock.now(), self._where()
        try:
            target = self.target_of(channel)
        except Unavailable as broken:
            return no_answer(broken.code)
        return await self._sender.send(
            target,
            trial(delivery_id, now),
            address=where.address,
            own_port=where.own_port,
            now=now,
        )

    def note(self, tx: Tx, channel: Channel, outcome: Outcome) -> None:
        """What an attempt says of the channel itself."""
        if outcome.state is State.SENT:
            sql.note_success(tx, channel.id)
        else:
            sql.note_failure(tx, channel.id)
        if outcome.gone:
            self.gone(tx, channel)

    # what was sent

    async def deliveries(self, account_id: str, limit: int, before: str | None) -> list[Logged]:
        return await self._store.read(lambda r: delivery_sql.page(r, account_id, limit, before))


def _endpoint_hash(target: Target) -> str | None:
    """By which a browser that subscribes again is known, without opening what is sealed."""
    if not isinstance(target, WebPush):
        return None
    return hashlib.sha256(target.endpoint.encode()).hexdigest()
