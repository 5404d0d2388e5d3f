"""The verbs of forwards. A row is committed before a port is bound, and its end is written once."""

import asyncio
import socket
from typing import Any, Protocol

import msgspec

from clawdbox import logs
from clawdbox.errors import Problem, Unavailable, Upstream
from clawdbox.events import Actor, Ledger
from clawdbox.events.model import SYSTEM
from clawdbox.ids import new_id
from clawdbox.ssh.model import Lease
from clawdbox.ssh.model.forwards import Forward, ForwardKind, ForwardWish, Listening, PortUse
from clawdbox.ssh.rules import forwards as rules
from clawdbox.ssh.rules import leases as lease_rules
from clawdbox.ssh.rules import listening
from clawdbox.ssh.service.execs import Execs
from clawdbox.ssh.service.leases import Leases
from clawdbox.ssh.service.live_forward import LiveForward, Meter
from clawdbox.ssh.sql import forwards as sql
from clawdbox.ssh.sql import leases as lease_sql
from clawdbox.ssh.wire.splice import bind
from clawdbox.store import Store, Tx

log = logs.get("ssh")
_PROBE_S = 10.0
_PROBE_BYTES = 256 * 1024


class WebFace(Protocol):
    """Where web apps are shown: the web server, which stands above and is handed in."""

    ports: range | None  # None: each app has a host name of its own

    async def show(self, live: LiveForward, port: int | None) -> int | None:
        """Serve it; on that port, if there is one. Raises OSError when the port is in use."""

    async def hide(self, live: LiveForward) -> None: ...


class Forwards:
    def __init__(self, store: Store, ledger: Ledger, leases: Leases, execs: Execs, meter: Meter) -> None:
        self._store = store
        self._ledger = ledger
        self._leases = leases
        self._execs = execs
        self._meter = meter
        self._live: dict[str, LiveForward] = {}
        self._choosing = asyncio.Lock()
        self.face: WebFace | None = None
        leases.users.append(self.is_used)

    @property
    def count_open(self) -> int:
        return len(self._live)

    async def find_listening(self, actor: Actor, account_id: str, lease_id: str) -> list[Listening]:
        """What listens on the server, by asking it. A server that cannot tell has an empty list."""
        answer = await self._execs.execute(
            actor, account_id, lease_id, listening.PROBE, timeout_s=_PROBE_S, max_output_bytes=_PROBE_BYTES
        )
        return listening.parse(answer.stdout.decode(errors="replace"))

    async def list(self, account_id: str, lease_id: str) -> list[Forward]:
        await self._leases.get(account_id, lease_id)
        rows = await self._store.read(lambda r: sql.of_lease(r, lease_id))
        return [self._live[row.id].view if row.id in self._live else row for row in rows]

    async def get(self, account_id: str, lease_id: str, forward_id: str) -> Forward:
        await self._leases.get(account_id, lease_id)
        row = await self._store.read(lambda r: sql.get(r, lease_id, forward_id))
        live = self._live.get(forward_id)
        return live.view if live else row

    def live(self, forward_id: str) -> LiveForward | None:
        return self._live.get(forward_id)

    async def open(self, actor: Actor, account_id: str, lease_id: str, wish: ForwardWish) -> Forward:
        """Listen on the box, or show a web app. Raises Invalid, Conflict (`port_in_use`, `forward_limit_reached`,
        `forward_forbidden`, …)."""
        wish = rules.checked(wish)
        if wish.kind is ForwardKind.WEB and self.face is None:
            raise Unavailable("stopping", "The box shows no web apps at this moment. Try again in a moment.")
        # Whoever asked may give up meanwhile: a row that says `open` must have a listener, or none.
        return await asyncio.shield(asyncio.ensure_future(self._open(actor, account_id, lease_id, wish)))

    async def _open(self, actor: Actor, account_id: str, lease_id: str, wish: ForwardWish) -> Forward:
        lease, _, _ = await self._leases.up(account_id, lease_id)
        forward_id = new_id(self._store.clock.now())
        row = await self._store.write(lambda tx: self._intend(tx, actor, lease, forward_id, wish))
        live = self._live[forward_id] = LiveForward(row, self._leases, self._meter)
        try:
            port = await self._bring_up(live, wish)
            row = await self._store.write(lambda tx: self._opened(tx, actor, lease, forward_id, port))
        except BaseException:
            await asyncio.shield(self._end(SYSTEM, live, "refused", told=False))
            if (
                self.face and wish.kind is ForwardKind.WEB
            ):  # its session may have ended while it was being shown
                await asyncio.shield(self.face.hide(live))
            raise
        live.row = row
        return live.view

    async def close(self, actor: Actor, account_id: str, lease_id: str, forward_id: str) -> Forward:
        """End it and its connections; one that has ended stays as it is."""
        await self.get(account_id, lease_id, forward_id)
        live = self._live.get(forward_id)
        if live:
            await self._end(actor, live, "closed")
        return await self.get(account_id, lease_id, forward_id)

    def is_used(self, lease_id: str) -> bool:
        return any(live.row.session_lease_id == lease_id for live in self._live.values())

    async def close_all(self, lease_id: str) -> None:
        """Before the link of a lease goes."""
        mine = [live for live in self._live.values() if live.row.session_lease_id == lease_id]
        await asyncio.gather(*(self._end(SYSTEM, live, "session_closed") for live in mine))

    def entered(self, tx: Tx, actor: Actor, live: LiveForward) -> None:
        """A browser was let in to a web app: who, and when."""
        detail = {"session_id": live.row.session_lease_id, "target": live.row.target}
        self._ledger.audit(
            tx, actor, "forward.enter", "forward", live.row.id, detail=detail, account_id=live.row.account_id
        )

    async def note_entry(self, actor: Actor, live: LiveForward) -> None:
        await self._store.write(lambda tx: self.entered(tx, actor, live))
        live.entered += 1

    # inside

    async def _bring_up(self, live: LiveForward, wish: ForwardWish) -> int | None:
        if wish.kind is ForwardKind.LOCAL:
            listener = _bind(wish.bound_port)
            live.listen(listener)
            return int(listener.getsockname()[1])
        await self._try(live)
        return await self._show(live)

    async def _try(self, live: LiveForward) -> None:
        """A web app that the server will never let anybody reach is refused at once; one that is down may come up."""
        try:
            channel = await live.connect()
        except Upstream:
            return
        channel.close()

    async def _show(self, live: LiveForward) -> int | None:
        face = self.face
        assert face is not None
        if face.ports is None:
            return await face.show(live, None)
        uses = await self._store.read(sql.port_uses)
        wanted = PortUse(0, live.row.connection_id, live.row.target_host, live.row.target_port)
        async with self._choosing:
            busy = {other.row.bound_port for other in self._live.values()} - {None}
            for port, foreign in rules.web_ports(face.ports, busy, uses, wanted):  # type: ignore[arg-type]
                try:
                    await face.show(live, port)
                except OSError:
                    continue
                live.foreign_port = foreign
                live.row = msgspec.structs.replace(live.row, bound_port=port)
                return port
        raise rules.no_web_port(face.ports)

    def _intend(self, tx: Tx, actor: Actor, lease: Lease, forward_id: str, wish: ForwardWish) -> Forward:
        lease_rules.check_still_active(lease_sql.get(tx, lease.account_id, lease.id))
        rules.check_room(sql.of_lease(tx, lease.id))
        is_web = wish.kind is ForwardKind.WEB
        known = {
            "id": forward_id,
            "account_id": lease.account_id,
            "connection_id": lease.connection_id,
            "session_lease_id": lease.id,
            "created_at": tx.now,
        }
        asked = {
            "kind": wish.kind,
            "target_host": wish.target_host,
            "target_port": wish.target_port,
            "scheme": wish.scheme if is_web else None,
            "host_header": wish.host_header if is_web else None,
            "any_certificate": is_web and wish.any_certificate,
        }
        sql.insert(tx, {**known, **asked})
        return sql.get(tx, lease.id, forward_id)

    def _opened(self, tx: Tx, actor: Actor, lease: Lease, forward_id: str, port: int | None) -> Forward:
        lease_rules.check_still_active(lease_sql.get(tx, lease.account_id, lease.id))
        sql.bound(tx, forward_id, port)
        row = sql.get(tx, lease.id, forward_id)
        payload = _payload(row)
        self._ledger.event(tx, lease.account_id, "forward.opened", "forward", forward_id, payload)
        self._ledger.audit(
            tx, actor, "forward.open", "forward", forward_id, detail=payload, account_id=lease.account_id
        )
        return row

    async def _end(self, actor: Actor, live: LiveForward, reason: str, *, told: bool = True) -> None:
        """`told` False: it never was one, so nobody hears of its end."""
        row = live.row
        if self._live.pop(row.id, None) is None:
            return
        if self.face and row.kind is ForwardKind.WEB:
            await self.face.hide(live)
        await live.stop(reason)

        def change(tx: Tx) -> None:
            if sql.end(tx, row.id, reason, live.counts) and told:
                payload = {**_payload(row), "end_reason": reason}
                self._ledger.event(tx, row.account_id, "forward.ended", "forward", row.id, payload)
                self._ledger.audit(
                    tx, actor, "forward.close", "forward", row.id, detail=payload, account_id=row.account_id
                )

        try:
            await self._store.write(change)
        except Problem as problem:  # a full disk; the port is closed all the same
            log.warning("forward.end_not_written", problem=problem.code, forward_id=row.id)


def _bind(port: int | None) -> socket.socket:
    try:
        return bind(port)
    except PermissionError:
        raise rules.port_privileged() from None
    except OSError:
        raise rules.port_in_use(port) from None


def _payload(row: Forward) -> dict[str, Any]:
    return {
        "session_id": row.session_lease_id,
        "kind": str(row.kind),
        "target": row.target,
        "bound_port": row.bound_port,
    }
