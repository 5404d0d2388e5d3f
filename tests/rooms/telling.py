"""A box without its jobs, so that a test says when events are taken and when something is sent."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from clawdbox.accounts import Device
from clawdbox.app import Box
from clawdbox.events import Actor
from clawdbox.ids import new_id
from clawdbox.notify.model import CHOOSABLE, Channel, Delivery, Ntfy, Target, Webhook, WebPush
from clawdbox.notify.sql.deliveries import DELIVERY
from clawdbox.settings import Settings
from clawdbox.store import Tx
from tests.clocks import HandClock
from tests.rooms.receiver import Browser, Receiver

ALL = [str(kind) for kind in CHOOSABLE]


class Teller:
    def __init__(self, box: Box, clock: HandClock) -> None:
        self.box = box
        self.clock = clock
        self.account_id = box.owner.id
        self.login_id = ""
        self.connection_id = ""
        self.session_id = ""

    @property
    def actor(self) -> Actor:
        return Actor(self.account_id, "203.0.113.7", self.login_id)

    async def settle_in(self) -> None:
        """Events of the box's own making are taken, and there are a browser, a connection and a session."""
        await self.box.notifier.relay.take_all()
        code = await self.box.accounts.make_pairing_code(Actor(), self.account_id)
        granted = await self.box.accounts.pair(code.code, Device("Phone", None, None))
        self.login_id = granted.login.id
        await self.box.store.write(self._place)

    def _place(self, tx: Tx) -> None:
        (keypair,) = tx.all("SELECT id FROM agent_keypairs WHERE account_id = ?", (self.account_id,))
        self.connection_id, self.session_id = new_id(tx.now), new_id(tx.now)
        owner = {"account_id": self.account_id, "keypair_id": keypair["id"]}
        place = {"label": "web-1", "host": "203.0.113.9", "port": 22, "username": "ada"}
        tx.insert("ssh_connections", {"id": self.connection_id, **owner, **place})
        lease = {"id": self.session_id, "connection_id": self.connection_id, "status": "active"}
        tx.insert("session_leases", {**lease, **owner})

    async def add(self, target: Target, kinds: list[str] | None = None, **more: Any) -> Channel:
        given = {"label": "Somewhere", "with_command": False, **more}
        channel, self.secret = await self.box.notify_channels.add(
            self.actor, self.account_id, target=target, kinds=ALL if kinds is None else kinds, **given
        )
        return channel

    async def ntfy(self, at: Receiver, kinds: list[str] | None = None, **more: Any) -> Channel:
        return await self.add(Ntfy(at.url, "clawdbox-x7f3", "tk_canarytoken", False), kinds, **more)

    async def webhook(self, at: Receiver, kinds: list[str] | None = None, **more: Any) -> Channel:
        return await self.add(Webhook(f"{at.url}/hook?key=canarykey", "", False), kinds, **more)

    async def push(self, at: Receiver, browser: Browser, **more: Any) -> Channel:
        target = WebPush(f"{at.url}/send/canaryendpoint", browser.p256dh, browser.auth, "http://127.0.0.1")
        return await self.add(target, **more)

    async def happens(self, kind: str, subject_id: str | None = None, **payload: Any) -> str:
        """An event of that type; returns the id of its subject."""
        subject = subject_id or new_id(self.clock.now())
        await self.box.store.write(
            lambda tx: self.box.ledger.event(
                tx, self.account_id, kind, kind.partition(".")[0], subject, payload
            )
        )
        return subject

    async def turn_ends(self, state: str = "done", conversation_id: str = "c1") -> str:
        return await self.happens(
            "turn.finished", conversation_id=conversation_id, session_id=self.session_id, state=state
        )

    async def asked(
        self, command: str | None = "systemctl stop nginx", *, ttl: float = 900, **more: Any
    ) -> str:
        """An approval as the agents' room writes it, with its event."""
        from datetime import timedelta

        def change(tx: Tx) -> str:
            approval_id, expires_at = new_id(tx.now), tx.now + timedelta(seconds=ttl)
            kind = more.get("kind", "command")
            conversation_id, turn_id = _turn(tx, self)
            row = {
                "id": approval_id,
                "account_id": self.account_id,
                "connection_id": self.connection_id,
                "session_lease_id": self.session_id,
                "conversation_id": conversation_id,
                "turn_id": turn_id,
                "call_id": approval_id,
                "kind": kind,
                "title": "Stop the web server",
                "command": command,
                "username": "ada",
                "class": "change",
                "digest": "d",
                "why": [],
                "expires_at": expires_at,
                "created_at": tx.now,
            }
            tx.insert("approvals", row)
            payload = {
                "conversation_id": conversation_id,
                "connection_id": self.connection_id,
                "session_id": self.session_id,
                "kind": kind,
                "class": "change",
                "state": "pending",
                "expires_at": expires_at,
            }
            self.box.ledger.event(tx, self.account_id, "approval.requested", "approval", approval_id, payload)
            return approval_id

        return await self.box.store.write(change)

    async def take(self) -> int:
        return await self.box.notifier.relay.take_all()

    async def send(self) -> None:
        await self.box.notifier.courier.settle()

    async def tell(self) -> None:
        await self.take()
        await self.send()

    async def deliveries(self) -> list[Delivery]:
        return await self.box.store.read(
            lambda r: r.structs(Delivery, f"SELECT {DELIVERY} FROM notify_deliveries ORDER BY id")
        )

    async def rows(self, table: str) -> list[dict[str, Any]]:
        return await self.box.store.read(lambda r: r.all(f"SELECT * FROM {table}"))


def _turn(tx: Tx, teller: Teller) -> tuple[str, str]:
    conversation_id, turn_id = new_id(tx.now), new_id(tx.now)
    conversation = {"id": conversation_id, "account_id": teller.account_id, "agent_session_id": "a"}
    tx.insert(
        "conversations",
        {
            **conversation,
            "connection_id": teller.connection_id,
            "created_at": tx.now,
            "last_used_at": tx.now,
        },
    )
    turn = {"id": turn_id, "conversation_id": conversation_id, "session_lease_id": teller.session_id}
    tx.insert("turns", {**turn, "text": "x", "created_at": tx.now})
    return conversation_id, turn_id


@asynccontextmanager
async def teller(folder: Path, clock: HandClock | None = None, **settings: Any) -> AsyncIterator[Teller]:
    """Channels of tests lie on loopback, and speak plain HTTP."""
    clock = clock or HandClock()
    chosen = Settings(**{"notify_loopback": True, "notify_plain_http": True, **settings})
    async with Box.offline(folder, chosen, clock) as box:
        made = Teller(box, clock)
        await made.settle_in()
        yield made
        await box.notifier.courier.stop(5)
