"""Each thing that a client of a control socket does: judged, asked about, written down, and told in the audit trail."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from time import perf_counter
from typing import Any, NoReturn

from clawdbox import logs
from clawdbox.errors import Problem
from clawdbox.events import Actor, Ledger
from clawdbox.ids import new_id
from clawdbox.ssh.model import Lease
from clawdbox.ssh.rules import control
from clawdbox.ssh.rules import leases as lease_rules
from clawdbox.ssh.rules.control import RUNS, Policy, Request, Use, Verdict
from clawdbox.ssh.service.execs import MAX_COMMAND
from clawdbox.ssh.service.leases import Leases
from clawdbox.ssh.service.masters import Master
from clawdbox.ssh.sql import control as sql
from clawdbox.ssh.sql import leases as lease_sql
from clawdbox.ssh.wire.link import Link
from clawdbox.ssh.wire.model import LinkLost
from clawdbox.ssh.wire.mux.desk import Permit, Refused
from clawdbox.store import Store, Tx

log = logs.get("ssh")
Ask = Callable[[Request], Awaitable[Verdict]]
Act = Callable[[], Awaitable[None]]

CLOSED = "The session was closed."
_NOT_ASKED = "Nobody could be asked whether this is allowed."
_NEEDS_NO_LINK = frozenset({Use.STOP, Use.EXIT, Use.CANCEL_FORWARD})
_LASTS = frozenset({Use.PROXY, Use.STDIO_FORWARD})  # told when they begin
ACTIONS = {
    Use.COMMAND: "control.command",
    Use.SHELL: "control.shell",
    Use.SUBSYSTEM: "control.subsystem",
    Use.FORWARD: "control.forward",
    Use.CANCEL_FORWARD: "control.cancel_forward",
    Use.STDIO_FORWARD: "control.stdio_forward",
    Use.PROXY: "control.proxy",
    Use.STOP: "control.stop",
    Use.EXIT: "control.exit",
}
_BUSY = RUNS | {Use.STDIO_FORWARD}


class ControlDesk:
    """Of one socket. `policy` is asked anew for each request, so that a change counts at once."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        leases: Leases,
        lease: Lease,
        name: str,
        policy: Callable[[], Awaitable[Policy]],
        ask: Ask | None,
        *,
        bare: bool = False,
    ) -> None:
        self.lease = lease
        self.name = name
        self.bare = bare
        self.closing = asyncio.Event()
        self.on_stop: Act = _nothing
        self.on_exit: Act = _nothing
        self._store = store
        self._ledger = ledger
        self._leases = leases
        self._policy = policy
        self._ask = ask
        self._permits: set[_Permit] = set()

    async def admit(self, request: Request) -> Permit:
        """Raises Refused."""
        reason = _improper(request) or control.refusal(await self._policy(), request)
        if reason is None and self._ask is not None:
            reason = await self._asked(self._ask, request)
        if reason is None and self.closing.is_set():
            reason = CLOSED
        if reason is not None:
            await self._refuse(request, reason)
        master, link = await self._link(request)
        permit = _Permit(self, request, master, link)
        intending = asyncio.ensure_future(self._store.write(lambda tx: self._intend(tx, permit)))
        try:
            await asyncio.shield(intending)
        except asyncio.CancelledError:  # the client has gone; the row may be there all the same
            await asyncio.wait({intending})
            if intending.exception() is None:
                await permit.finish("cancelled")
            raise
        except Problem as problem:
            raise Refused(problem.message) from None
        self._permits.add(permit)
        permit.begin()
        return permit

    async def stop_listening(self) -> None:
        await self.on_stop()

    async def end_lease(self) -> None:
        await self.on_exit()

    def close(self) -> None:
        """The lease ends: what runs is stopped, what waits is refused."""
        self.closing.set()
        for permit in self._permits:
            permit.stop.set()

    async def _asked(self, ask: Ask, request: Request) -> str | None:
        """Why not, None if it may. Whatever goes wrong is a no."""
        asking = asyncio.ensure_future(ask(request))
        closing = asyncio.ensure_future(self.closing.wait())
        try:
            await asyncio.wait({asking, closing}, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                return CLOSED
            verdict = asking.result()
            return None if verdict.allowed else verdict.reason
        except Exception:
            log.exception("ssh.control_ask_failed", session_lease_id=self.lease.id)
            return _NOT_ASKED
        finally:
            asking.cancel()
            closing.cancel()

    async def _refuse(self, request: Request, reason: str) -> NoReturn:
        def change(tx: Tx) -> None:
            self.tell(tx, request, None, False, {"reason": reason})

        await self._store.write(change)
        raise Refused(reason)

    async def _link(self, request: Request) -> tuple[Master | None, Link | None]:
        if request.use in _NEEDS_NO_LINK:
            return None, None
        held = self._leases.held.get(self.lease.id)
        if held is not None and held.is_up and held.link is not None:
            return held, held.link  # whether the lease is still active, the transaction asks
        try:
            _lease, master, link = await self._leases.up(self.lease.account_id, self.lease.id)
        except Problem as problem:
            await self._refuse(request, problem.message)
        return master, link

    def _intend(self, tx: Tx, permit: "_Permit") -> None:
        lease_rules.check_still_active(lease_sql.get(tx, self.lease.account_id, self.lease.id))
        if permit.request.use in RUNS:
            permit.run_id = new_id(tx.now)
            sql.start_execution(tx, permit.run_id, self.lease, permit.request)
        elif permit.request.use in _LASTS:
            self.tell(tx, permit.request, None, True, {})

    async def finish(self, permit: "_Permit", state: str, exit_status: int | None) -> None:
        self._permits.discard(permit)
        request = permit.request
        duration_ms = (perf_counter() - permit.begun) * 1000

        def change(tx: Tx) -> None:
            if permit.run_id is not None:
                lease_sql.finish_execution(tx, permit.run_id, state, exit_status, duration_ms, False)
                outcome = {"state": state, "exit_status": exit_status}
                self.tell(tx, request, permit.run_id, state == "done", outcome)
            elif request.use not in _LASTS:
                self.tell(tx, request, None, state == "done", {})

        try:
            await self._store.write(change)
        except Problem as problem:  # a full disk; the next start of the box says `lost`
            log.warning("ssh.control_not_written", problem=problem.code, session_lease_id=self.lease.id)
        if permit.run_id is not None:
            log.info(
                "ssh.exec",
                state=state,
                exit_status=exit_status,
                duration_ms=round(duration_ms, 1),
                session_lease_id=self.lease.id,
                account_id=self.lease.account_id,
                connection_id=self.lease.connection_id,
            )

    def tell(self, tx: Tx, request: Request, run_id: str | None, ok: bool, more: dict[str, Any]) -> None:
        """The audit row of one use. Never the command itself: a person may have typed a secret into it."""
        detail: dict[str, Any] = {"session_lease_id": self.lease.id, "socket": self.name, "pid": request.pid}
        if request.use is Use.COMMAND:
            detail["command_sha256"] = hashlib.sha256((request.command or "").encode()).hexdigest()
        if request.use is Use.SUBSYSTEM:
            detail["subsystem"] = (request.command or "")[:64]
        if request.target is not None:
            detail["target"] = request.target[:500]
        if request.pty:
            detail["pty"] = True
        self._ledger.audit(
            tx,
            Actor(self.lease.account_id),
            ACTIONS[request.use],
            "execution" if run_id else "session_lease",
            run_id or self.lease.id,
            result="ok" if ok else "failed",
            detail={**detail, **more},
            account_id=self.lease.account_id,
        )


class _Permit:
    """See wire.mux.desk.Permit."""

    def __init__(self, desk: ControlDesk, request: Request, master: Master | None, link: Link | None) -> None:
        self.request = request
        self.stop = asyncio.Event()
        self.begun = perf_counter()
        self.run_id: str | None = None
        self._desk = desk
        self._master = master
        self._link = link
        self._busy = ExitStack()

    @property
    def link(self) -> Link:
        if self._link is None:
            raise LinkLost("The link to the server is down.")
        return self._link

    def begin(self) -> None:
        if self._desk.closing.is_set():
            self.stop.set()
        if self._master is not None and self.request.use in _BUSY:
            self._busy.enter_context(self._master.busy(self.stop))
        self.touch()

    def touch(self) -> None:
        if self._master is not None:
            self._master.touch()

    async def finish(self, state: str, exit_status: int | None = None) -> None:
        self.touch()
        self._busy.close()
        await self._desk.finish(self, state, exit_status)


def _improper(request: Request) -> str | None:
    command = request.command or ""
    if len(command.encode(errors="replace")) > MAX_COMMAND:
        return f"A command has at most {MAX_COMMAND} bytes. Put a longer one into a script."
    return "A command is text without NUL characters." if "\0" in command else None


async def _nothing() -> None:
    return
