"""From committed events to deliveries: each event is taken exactly once, in the transaction that says who is told."""

from collections.abc import Callable, Iterable
from datetime import timedelta

from clawdbox.events import Event
from clawdbox.events import sql as event_sql
from clawdbox.ids import new_id
from clawdbox.notify.model import Channel, Delivery, Kind, State
from clawdbox.notify.rules import kinds
from clawdbox.notify.rules.deliveries import FLOOD_WINDOW
from clawdbox.notify.service.channels import Channels
from clawdbox.notify.service.courier import DUE
from clawdbox.notify.sql import channels as channel_sql
from clawdbox.notify.sql import deliveries as sql
from clawdbox.settings import Settings
from clawdbox.store import Store, Tx

CONSUMER = "notify"
_PAGE = 200


class Screens:
    """Who looks at what now; the app hands it in, since the web stands above."""

    def __init__(self, is_watched: Callable[[str], bool], is_present: Callable[[str], bool]) -> None:
        self._is_watched = is_watched
        self._is_present = is_present

    def watched(self, events: Iterable[Event]) -> frozenset[str]:
        """The conversations among these that a page follows."""
        named = {str(event.payload.get("conversation_id")) for event in events}
        return frozenset(conversation for conversation in named if self._is_watched(conversation))

    def present(self, events: Iterable[Event]) -> frozenset[str]:
        """The accounts among these that have the app open."""
        named = {event.account_id for event in events if event.account_id}
        return frozenset(account for account in named if self._is_present(account))


class Relay:
    def __init__(self, store: Store, settings: Settings, channels: Channels, screens: Screens) -> None:
        self._store = store
        self._settings = settings
        self._channels = channels
        self._screens = screens
        self._after: int | None = None

    async def take_all(self) -> int:
        """Take every event that was not taken; returns how many of them there were."""
        taken = 0
        if self._after is None:
            self._after = await self._store.read(lambda r: event_sql.last_taken(r, CONSUMER))
        while page := await self._next(self._after):
            watched, present = self._screens.watched(page), self._screens.present(page)
            taken += await self._store.write(
                lambda tx, page=page, watched=watched, present=present: self._take(tx, page, watched, present)  # type: ignore[misc]
            )
            self._after = page[-1].seq
        return taken

    async def _next(self, after: int) -> list[Event]:
        return await self._store.read(lambda r: event_sql.outbox_after(r, kinds.HEARD, after, _PAGE))

    def _take(self, tx: Tx, page: list[Event], watched: frozenset[str], present: frozenset[str]) -> int:
        fresh = [event for event in page if event_sql.take(tx, event.id, CONSUMER)]
        for event in fresh:
            if event.type == kinds.LOGIN_ENDED:
                self._channels.login_ended(tx, event.subject_id or "")
                continue
            kind = kinds.kind_of(event.type, event.payload)
            seen = kinds.is_seen(event.type, event.payload, watched, present=event.account_id in present)
            if kind and event.account_id and not seen:
                self._tell(tx, event, kind, event.account_id)
        return len(fresh)

    def _tell(self, tx: Tx, event: Event, kind: Kind, account_id: str) -> None:
        wanting = channel_sql.wanting(tx, account_id, kind, event.created_at)
        if not wanting:
            return
        told = sql.told_since(tx, account_id, tx.now - FLOOD_WINDOW)
        for channel in wanting:
            if told < self._settings.notify_per_minute:
                self._insert(tx, event, kind, channel)
            else:
                self._fold(tx, event, kind, channel)
        tx.wake(DUE)

    def _fold(self, tx: Tx, event: Event, kind: Kind, channel: Channel) -> None:
        """A flood: what is too much for now is one message, once the minute is over."""
        waiting = sql.waiting_fold(tx, channel.id)
        if waiting is None:
            self._insert(tx, event, kind, channel, {str(kind): 1})
            return
        counts = dict(waiting.folded or {})
        counts[str(kind)] = counts.get(str(kind), 0) + 1
        sql.fold(tx, waiting.id, counts)

    def _insert(
        self, tx: Tx, event: Event, kind: Kind, channel: Channel, counts: dict[str, int] | None = None
    ) -> None:
        due = tx.now + (FLOOD_WINDOW if counts else timedelta())
        made = Delivery(
            new_id(tx.now), channel.id, event.id, kind, counts, State.PENDING, 0, due, None, tx.now, None
        )
        sql.insert(tx, made)
