"""The control sockets of all active leases: `ssh -S` and whatever calls ssh rides a lease's warm connection."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from clawdbox import logs
from clawdbox.events import Actor, Ledger
from clawdbox.settings import Settings
from clawdbox.ssh.model import Connection, Lease
from clawdbox.ssh.rules.control import Policy, Request, Verdict
from clawdbox.ssh.service.control_desk import Ask, ControlDesk
from clawdbox.ssh.service.control_folder import ControlFolder
from clawdbox.ssh.service.leases import Leases
from clawdbox.ssh.service.masters import DRAIN_S
from clawdbox.ssh.sql import connections as connection_sql
from clawdbox.ssh.sql import control as sql
from clawdbox.ssh.wire.mux.poller import Poller
from clawdbox.ssh.wire.mux.server import ControlServer
from clawdbox.ssh.wire.mux.winch import Winch
from clawdbox.store import Store, Tx

log = logs.get("ssh")
_ENDING_S = DRAIN_S + 5.0


class ControlSocket(msgspec.Struct, frozen=True):
    """`link` is the id of a path that leads to it, too, and stays the same from lease to lease."""

    lease: Lease
    server: ControlServer
    desk: ControlDesk
    link: str | None = None

    @property
    def path(self) -> Path:
        return self.server.path


class ControlView(msgspec.Struct, frozen=True):
    """`path` is the same for every session of a connection; None where the box offers no control sockets."""

    path: str | None
    listening: bool
    policy: Policy


class ControlSockets:
    def __init__(
        self, store: Store, ledger: Ledger, settings: Settings, leases: Leases, data_dir: Path
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._enabled = settings.control_sockets
        self._leases = leases
        self._data_dir = data_dir
        self._folder: ControlFolder | None = None
        self._poller: Poller | None = None
        self._winch = Winch()
        self._sockets: dict[str, list[ControlSocket]] = {}
        self._policies: dict[str, Policy] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self.ask_own: Callable[[Lease, Request], Awaitable[Verdict]] | None = None

    # its life

    def start(self) -> None:
        """Before the first lease. Without a place for the sockets the box runs on without them, and says so."""
        if not self._enabled:
            return
        self._folder = ControlFolder.prepare(self._data_dir)
        if self._folder is None:
            log.warning("ssh.control_sockets_off", reason="no short private folder for them")
            return
        self._poller = Poller()
        self._winch.start()

    async def stop(self) -> None:
        """After the leases have ended."""
        for lease_id in list(self._sockets):
            await self.lease_closing(lease_id)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_ENDING_S)
        if self._poller is not None:
            self._poller.close()
            self._winch.stop()

    async def lease_active(self, lease: Lease) -> None:
        """A lease is of use without its socket, too."""
        try:
            await self.open_for(lease, ask=partial(self.ask_own, lease) if self.ask_own else None)
        except OSError as error:
            log.warning("ssh.control_socket_failed", error=str(error), session_lease_id=lease.id)

    async def lease_closing(self, lease_id: str) -> None:
        """No client comes any more, and what runs is told to stop. The clients hear how it ended on the way out."""
        for socket in self._sockets.pop(lease_id, []):
            socket.server.stop_listening()
            socket.server.close_forwards()
            socket.desk.close()
            self._unlink(socket)
            self._spawn(socket.server.close(_ENDING_S))
            self._point(socket.lease.connection_id)

    async def open_for(
        self,
        lease: Lease,
        *,
        name: str = "",
        policy: Policy | None = None,
        ask: Ask | None = None,
        link: str | None = None,
        bare: bool = False,
    ) -> ControlSocket | None:
        """A socket of a lease. One with a `name` stands beside the lease's own, with a policy and a hook of its own.

        `ask` is asked before each thing that the policy allows (nothing but commands and terminals, unless `policy`
        says otherwise), inside `-O proxy`, too. Whatever it raises is a no; a client that leaves cancels it. Closed by `close` or with the lease.
        With `link` it is reached by `stable_path(link)`, too. A `bare` one hands on commands alone: neither input nor environment of a client.
        None when the box offers no control sockets, or the lease has ended meanwhile. Raises OSError.
        """
        if self._folder is None or self._poller is None or lease.id not in self._leases.held:
            return None

        fixed = policy or (Policy() if name else None)

        async def own() -> Policy:
            return fixed or await self._policy_of(lease.connection_id)

        desk = ControlDesk(
            self._store, self._ledger, self._leases, lease, name or "session", own, ask, bare=bare
        )
        server = ControlServer(self._folder.socket(lease.id, name), desk, self._poller, self._winch)
        server.start()
        socket = ControlSocket(lease, server, desk, link)
        desk.on_stop = lambda: self._stop_listening(socket)
        desk.on_exit = lambda: self._end_lease(lease)
        self._sockets.setdefault(lease.id, []).append(socket)
        self._point(lease.connection_id)
        if link is not None:
            self._folder.point(link, server.path)
        return socket

    def stable_path(self, link: str) -> Path | None:
        """Where sockets opened with that `link` are reached, whichever is open; None without control sockets."""
        return self._folder.link(link) if self._folder else None

    async def close(self, socket: ControlSocket) -> None:
        """Before its lease ends, such as when an agent is done."""
        mine = self._sockets.get(socket.lease.id, [])
        if socket in mine:
            mine.remove(socket)
        socket.server.stop_listening()
        socket.desk.close()
        self._unlink(socket)
        self._point(socket.lease.connection_id)
        await socket.server.close(_ENDING_S)

    def _unlink(self, socket: ControlSocket) -> None:
        if socket.link is not None and self._folder is not None:
            with suppress(OSError):
                self._folder.unpoint(socket.link, socket.path)

    async def _stop_listening(self, socket: ControlSocket) -> None:
        socket.server.stop_listening()
        self._point(socket.lease.connection_id)

    async def _end_lease(self, lease: Lease) -> None:
        self._spawn(self._leases.close(Actor(lease.account_id), lease.account_id, lease.id))

    def _point(self, connection_id: str) -> None:
        """The connection's path leads to the newest lease whose own socket listens (ids sort by time)."""
        if self._folder is None:
            return
        own = [
            socket
            for sockets in self._sockets.values()
            for socket in sockets
            if socket.lease.connection_id == connection_id
            and socket.desk.name == "session"
            and socket.server.listens
        ]
        newest = max(own, key=lambda socket: socket.lease.id, default=None)
        with suppress(OSError):
            self._folder.point(connection_id, newest.path if newest else None)

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("ssh.task_failed", error=repr(error))

    # what a person sees and chooses

    async def view(self, account_id: str, connection_id: str) -> ControlView:
        await self._connection(account_id, connection_id)
        policy = await self._policy_of(connection_id)
        if self._folder is None:
            return ControlView(None, False, policy)
        link = self._folder.link(connection_id)
        return ControlView(str(link), link.is_symlink(), policy)

    async def choose(
        self, actor: Actor, account_id: str, connection_id: str, given: dict[str, bool]
    ) -> ControlView:
        """Change what is given, for the clients of all sessions of that connection, from their next request on."""

        def change(tx: Tx) -> Policy:
            connection_sql.get(tx, account_id, connection_id)
            before = sql.policy(tx, connection_id)
            policy = msgspec.structs.replace(before, **given)
            sql.save_policy(tx, connection_id, policy)
            if before != policy:
                self._ledger.audit(
                    tx,
                    actor,
                    "control.policy",
                    "ssh_connection",
                    connection_id,
                    detail={"before": msgspec.to_builtins(before), "after": msgspec.to_builtins(policy)},
                    account_id=account_id,
                )
                self._ledger.event(tx, account_id, "connection.control_socket", "connection", connection_id)
            return policy

        self._policies[connection_id] = await self._store.write(change)
        return await self.view(account_id, connection_id)

    async def paths(self, account_id: str) -> list[tuple[Connection, Path]] | None:
        """Every saved connection with its stable path; None when the box offers no control sockets."""
        if self._folder is None:
            return None
        folder = self._folder
        found = await self._store.read(lambda r: connection_sql.all_of(r, account_id))
        return [(connection, folder.link(connection.id)) for connection in found]

    async def _connection(self, account_id: str, connection_id: str) -> Connection:
        return await self._store.read(lambda r: connection_sql.get(r, account_id, connection_id))

    async def _policy_of(self, connection_id: str) -> Policy:
        known = self._policies.get(connection_id)
        if known is None:
            known = await self._store.read(lambda r: sql.policy(r, connection_id))
            known = self._policies.setdefault(connection_id, known)
        return known
