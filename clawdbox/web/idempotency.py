"""`Idempotency-Key`: a request that is sent again is answered again, and not done again."""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
from litestar.types import Message, Send

from clawdbox.clock import iso
from clawdbox.errors import Conflict, Invalid, Problem
from clawdbox.store import Tx
from clawdbox.web.box import Box

HEADER = b"idempotency-key"
MAX_KEY = 200
_KEPT = timedelta(hours=24)
_PRUNE_EVERY = timedelta(minutes=10)


class Kept(msgspec.Struct, frozen=True):
    """A stored answer."""

    status: int
    body: bytes


class Answers:
    """Stored answers by account and key.

    A request that was refused (4xx) has changed nothing, so it may be sent again with the same key; everything else,
    a failure of the box or of a server too, is kept for a day.
    """

    def __init__(self, box: Box) -> None:
        self._box = box
        self._started = box.clock.now()
        self._pruned = self._started

    async def once(
        self, account_id: str, key: str, request_hash: str, run: Callable[[Send], Awaitable[None]], send: Send
    ) -> None:
        """Answer from the store, or `run` and keep what it sends. Raises Conflict and Problem."""
        kept = await self._box.store.write(lambda tx: self._claim(tx, account_id, key, request_hash))
        if kept is not None:
            await _replay(kept, send)
            return
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        try:
            await run(hold)
        except BaseException:
            await self._box.store.write(lambda tx: _forget(tx, account_id, key))
            raise
        await self._keep(account_id, key, held)
        for message in held:
            await send(message)

    def _claim(self, tx: Tx, account_id: str, key: str, request_hash: str) -> Kept | None:
        self._prune(tx)
        row = tx.one(
            "SELECT request_hash, status, body, created_at FROM idempotency_keys"
            " WHERE account_id = ? AND key = ? AND created_at > ?",
            (account_id, key, tx.now - _KEPT),
        )
        if row is None:
            tx.run(
                "INSERT OR REPLACE INTO idempotency_keys (account_id, key, request_hash, created_at) VALUES (?, ?, ?, ?)",
                (account_id, key, request_hash, tx.now),
            )
            return None
        if row["request_hash"] != request_hash:
            raise Problem(
                "idempotency_key_reused",
                "This Idempotency-Key was sent with another request. Make a new one.",
            )
        if row["status"] is None:
            raise self._unfinished(row["created_at"])
        return Kept(row["status"], (row["body"] or "").encode())

    def _unfinished(self, created_at: str) -> Conflict:
        if created_at < iso(self._started):
            return Conflict(
                "idempotency_interrupted",
                "The box stopped in the middle of this request. See what came of it, then send it with a new key.",
            )
        return Conflict(
            "idempotency_in_progress", "This request is still being answered. Ask again in a moment."
        )

    async def _keep(self, account_id: str, key: str, held: list[Message]) -> None:
        status, body = _answer(held)
        if 400 <= status < 500:
            await self._box.store.write(lambda tx: _forget(tx, account_id, key))
            return
        await self._box.store.write(
            lambda tx: tx.run(
                "UPDATE idempotency_keys SET status = ?, body = ? WHERE account_id = ? AND key = ?",
                (status, body.decode(), account_id, key),
            )
        )

    def _prune(self, tx: Tx) -> None:
        if tx.now - self._pruned >= _PRUNE_EVERY:
            self._pruned = tx.now
            prune(tx, tx.now)


def prune(tx: Tx, now: datetime) -> int:
    return tx.run("DELETE FROM idempotency_keys WHERE created_at <= ?", (now - _KEPT,))


def check_key(raw: bytes) -> str:
    """The header's value. Raises Invalid."""
    if not 0 < len(raw) <= MAX_KEY or any(not 0x20 <= byte < 0x7F for byte in raw):
        raise Invalid("Idempotency-Key", f"Use 1 to {MAX_KEY} printable ASCII characters, such as a UUID.")
    return raw.decode("ascii")


def hash_request(method: str, path: str, query: bytes, body: bytes) -> str:
    head = f"{method} {path}?{query.decode('latin-1')}\n".encode()
    return hashlib.sha256(head + hashlib.sha256(body).digest()).hexdigest()


def _forget(tx: Tx, account_id: str, key: str) -> None:
    tx.run(
        "DELETE FROM idempotency_keys WHERE account_id = ? AND key = ? AND status IS NULL", (account_id, key)
    )


def _answer(held: list[Message]) -> tuple[int, bytes]:
    status, body = 500, b""
    for message in held:
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body":
            body += message["body"]
    return status, body


async def _replay(kept: Kept, send: Send) -> None:
    media_type = b"application/problem+json" if kept.status >= 400 else b"application/json"
    headers: list[tuple[bytes, bytes]] = [
        (b"content-type", media_type),
        (b"content-length", str(len(kept.body)).encode()),
        (b"idempotency-replayed", b"true"),
    ]
    start: Any = {"type": "http.response.start", "status": kept.status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": kept.body, "more_body": False})
