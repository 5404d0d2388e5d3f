"""From deliveries to the outside world, at least once: an attempt whose outcome was not written down is made again."""

import asyncio
import random
from collections.abc import Callable
from datetime import datetime

import msgspec

from clawdbox import logs
from clawdbox.approvals import sql as approval_sql
from clawdbox.approvals.model import State as ApprovalState
from clawdbox.errors import NotFound, Unavailable
from clawdbox.events import Hub
from clawdbox.events import sql as event_sql
from clawdbox.metrics import Metrics
from clawdbox.notify.model import Channel, Delivery, Happening, Kind, Message, Outcome, State
from clawdbox.notify.rules import deliveries as rules
from clawdbox.notify.rules import messages
from clawdbox.notify.service.channels import Channels, Where
from clawdbox.notify.sql import channels as channel_sql
from clawdbox.notify.sql import deliveries as sql
from clawdbox.notify.wire.send import Sender
from clawdbox.policy import redact
from clawdbox.store import Reader, Store, Tx

log = logs.get("notify")
LabelOf = Callable[[Reader, str, str | None, str | None], str | None]
_AT_ONCE = 200
_REST_S = 60.0
DUE = "notify:due"  # the hub's key when there is something to send
_ASKING = frozenset({Kind.APPROVAL_WAITING, Kind.AGENT_NEEDS_ANSWER})


class Parcel(msgspec.Struct, frozen=True):
    """A delivery with all that is needed to make it."""

    delivery: Delivery
    channel: Channel
    message: Message
    deadline: datetime


class Stale(msgspec.Struct, frozen=True):
    """One that is not worth it any more, and why."""

    delivery: Delivery
    why: str


class Courier:
    """`label_of` names the connection behind a connection's or a session's id; both live above this room."""

    def __init__(
        self,
        store: Store,
        hub: Hub,
        channels: Channels,
        sender: Sender,
        metrics: Metrics,
        label_of: LabelOf,
        where: Callable[[], Where],
    ) -> None:
        self._store = store
        self._hub = hub
        self._channels = channels
        self._sender = sender
        self._metrics = metrics
        self._label_of = label_of
        self._where = where
        self._rounds: dict[str, asyncio.Task[None]] = {}  # by channel: one after the other, and in order
        self._resting: dict[str, float] = {}  # by channel: until when, after the box itself stumbled

    async def send_due(self) -> None:
        """Start what is due and is not under way."""
        waiting: dict[str, list[str]] = {}
        for channel_id, delivery_id in await self._store.read(lambda r: sql.due(r, _AT_ONCE)):
            waiting.setdefault(channel_id, []).append(delivery_id)
        for channel_id, delivery_ids in waiting.items():
            if channel_id not in self._rounds and not self._rests(channel_id):
                task = asyncio.create_task(self._round(channel_id, delivery_ids))
                self._rounds[channel_id] = task

    def _rests(self, channel_id: str) -> bool:
        return self._resting.get(channel_id, 0.0) > self._store.clock.monotonic()

    async def settle(self) -> None:
        """Send what is due, and wait for the outcome of all of it."""
        await self.send_due()
        while self._rounds:
            await asyncio.wait(self._rounds.values())
            await self.send_due()

    async def next_due(self) -> datetime | None:
        return await self._store.read(sql.next_due)

    async def stop(self, patience_s: float) -> None:
        """What is not done in time stays pending, and is sent after the next start."""
        if not self._rounds:
            return
        _done, late = await asyncio.wait(self._rounds.values(), timeout=patience_s)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)

    async def _round(self, channel_id: str, delivery_ids: list[str]) -> None:
        try:
            for delivery_id in delivery_ids:
                if not await self._deliver(delivery_id):
                    break  # the channel is not well: the others wait for their turn
        except Exception:
            # What was sent may not have been written down: not to be sent again and again while a disk is full.
            self._resting[channel_id] = self._store.clock.monotonic() + _REST_S
            log.exception("notify.round_failed", channel_id=channel_id)
        finally:
            del self._rounds[channel_id]
            self._hub.wake({DUE})

    async def _deliver(self, delivery_id: str) -> bool:
        """Whether the channel takes more."""
        parcel = await self._store.read(lambda r: self._load(r, delivery_id))
        if parcel is None:
            return True
        if isinstance(parcel, Stale):
            ended = rules.ended(parcel.delivery, parcel.why)
            await self._store.write(lambda tx: sql.save(tx, ended))
            return True
        outcome = await self._send(parcel.channel, parcel.message)
        roll = random.random()  # noqa: S311 - so that many do not come back at once; nobody gains by guessing it
        now = self._store.clock.now()
        after = rules.after(parcel.delivery, outcome, now, parcel.deadline, roll)
        await self._store.write(lambda tx: self._note(tx, parcel, after, outcome))
        self._tell(parcel, after)
        return after.state is not State.PENDING

    def _tell(self, parcel: Parcel, after: Delivery) -> None:
        kind = parcel.channel.kind
        self._metrics.notified(kind, after.state)
        say = log.info if after.state is State.SENT else log.warning
        say(
            "notify.attempt",
            channel=kind,
            channel_id=parcel.channel.id,
            delivery_id=after.id,
            state=after.state,
            error=after.last_error,
            attempts=after.attempts,
        )

    async def _send(self, channel: Channel, message: Message) -> Outcome:
        where = self._where()
        try:
            target = self._channels.target_of(channel)
        except Unavailable as broken:
            return rules.no_answer(broken.code)
        return await self._sender.send(
            target,
            message,
            address=where.address,
            own_port=where.own_port,
            now=self._store.clock.now(),
        )

    def _note(self, tx: Tx, parcel: Parcel, after: Delivery, outcome: Outcome) -> None:
        if not sql.save(tx, after):
            return
        self._channels.note(tx, parcel.channel, outcome)
        if after.state is State.PENDING and after.next_try_at:
            sql.hold_back(tx, parcel.channel.id, after.next_try_at)

    # what is to be said

    def _load(self, r: Reader, delivery_id: str) -> Parcel | Stale | None:
        delivery = sql.get(r, delivery_id)
        if delivery is None or delivery.state is not State.PENDING:
            return None
        channel = channel_sql.living(r, delivery.channel_id)
        event = event_sql.event(r, delivery.event_id or "")
        if channel is None or event is None:
            return Stale(delivery, "channel_off")
        happening = Happening(
            event.id, channel.account_id, event.type, event.subject_id, event.payload, event.created_at
        )
        if delivery.folded:
            deadline = event.created_at + messages.SHELF_LIFE
            said = messages.folded(delivery.id, delivery.folded, event.created_at)
            return (
                Parcel(delivery, channel, said, deadline) if r.now < deadline else Stale(delivery, "expired")
            )
        return self._single(r, delivery, channel, happening)

    def _single(
        self, r: Reader, delivery: Delivery, channel: Channel, happening: Happening
    ) -> Parcel | Stale:
        deadline = messages.deadline(happening)
        stale, command = self._asked(r, delivery, channel, happening)
        if stale or r.now >= deadline:
            return Stale(delivery, stale or "expired")
        told = msgspec.structs.replace(happening, label=self._label(r, happening), command=command)
        return Parcel(delivery, channel, messages.message(delivery.id, delivery.kind, told, r.now), deadline)

    def _asked(
        self, r: Reader, delivery: Delivery, channel: Channel, happening: Happening
    ) -> tuple[str | None, str | None]:
        """(why the question is no longer one, the command if this account reads it in its messages)."""
        if delivery.kind not in _ASKING:
            return None, None
        try:
            approval = approval_sql.approval(r, channel.account_id, happening.subject_id or "")
        except NotFound:
            return "expired", None
        if approval.state is not ApprovalState.PENDING:
            return "expired" if approval.state is ApprovalState.EXPIRED else "answered", None
        shown = channel.with_command and approval.command is not None
        return None, redact(approval.command or "") if shown else None

    def _label(self, r: Reader, happening: Happening) -> str | None:
        connection_id = happening.payload.get("connection_id")
        if happening.type.startswith("host_key."):
            connection_id = happening.subject_id
        return self._label_of(r, happening.account_id, connection_id, happening.payload.get("session_id"))
