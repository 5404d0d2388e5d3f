"""A box, its owner and a real OpenSSH server, and short words for what tests do with them."""

import asyncio
from dataclasses import dataclass
from typing import Any, Self

from clawdbox.app import Box
from clawdbox.errors import Conflict, Problem
from clawdbox.events import Actor
from clawdbox.keys.model import Keypair
from clawdbox.ssh.model import Connection, ExecAnswer, Lease, LeaseStatus, MasterState, TestOutcome
from clawdbox.ssh.service.janitor import Janitor
from clawdbox.ssh.service.terminals import LiveTerminal
from tests.clocks import HandClock
from tests.ssh.sshd import Sshd
from tests.waiting import eventually


@dataclass
class World:
    box: Box
    clock: HandClock
    server: Sshd
    key: Keypair
    connection: Connection

    @classmethod
    async def meet(cls, box: Box, clock: HandClock, server: Sshd) -> Self:
        key = (await box.keys.list(box.owner.id))[0]
        server.authorize(key.public_key)
        connection = await box.connections.create(
            Actor(box.owner.id),
            box.owner.id,
            label="Server",
            host=server.host,
            port=server.port,
            username=server.username,
            keypair_id=None,
        )
        return cls(box, clock, server, key, connection)

    @property
    def me(self) -> Actor:
        return Actor(self.box.owner.id)

    @property
    def owner(self) -> str:
        return self.box.owner.id

    @property
    def janitor(self) -> Janitor:
        return next(job for job in self.box._jobs if isinstance(job, Janitor))

    async def test(self, accept: bool = False, fingerprint: str | None = None) -> TestOutcome:
        return await self.box.connections.test(
            self.me, self.owner, self.connection.id, accept_host_key=accept, fingerprint=fingerprint
        )

    async def refused_test(self, accept: bool = False, fingerprint: str | None = None) -> Conflict:
        try:
            outcome = await self.test(accept, fingerprint)
        except Conflict as problem:
            return problem
        raise AssertionError(f"the test was not refused: {outcome}")

    async def pin(self) -> Connection:
        """Test twice, as a person does: see the key, accept exactly it."""
        shown = (await self.refused_test()).detail["new_fingerprint"]
        return (await self.test(accept=True, fingerprint=shown)).connection

    async def now(self) -> Connection:
        return await self.box.connections.get(self.owner, self.connection.id)

    async def start(self) -> Lease:
        return await self.box.leases.start(self.me, self.owner, self.connection.id)

    async def ready(self) -> Lease:
        await self.pin()
        return await self.start()

    async def lease(self, lease: Lease) -> Lease:
        return await self.box.leases.get(self.owner, lease.id)

    async def close(self, lease: Lease) -> Lease:
        return await self.box.leases.close(self.me, self.owner, lease.id)

    async def ended(self, lease: Lease) -> Lease:
        async def closed() -> Lease | None:
            found = await self.lease(lease)
            return found if found.status in (LeaseStatus.CLOSED, LeaseStatus.ERROR) else None

        found = await eventually(closed, timeout=20, what="the end of the lease")
        assert found is not None
        return found

    async def run(self, lease: Lease, command: str, timeout_s: float = 15) -> ExecAnswer:
        return await self.box.execs.execute(
            self.me, self.owner, lease.id, command, timeout_s=timeout_s, max_output_bytes=1_000_000
        )

    async def begin(self, lease: Lease, command: str, timeout_s: float = 60) -> "asyncio.Task[ExecAnswer]":
        """Run `command` in the background, and wait until it has said `begun`."""
        begun = asyncio.Event()

        async def heard(_stream: str, data: bytes) -> None:
            if b"begun" in data:
                begun.set()

        task = asyncio.ensure_future(
            self.box.execs.execute(
                self.me,
                self.owner,
                lease.id,
                f"echo begun; {command}",
                timeout_s=timeout_s,
                max_output_bytes=1000,
                on_output=heard,
            )
        )
        await asyncio.wait_for(begun.wait(), 15)
        return task

    async def master_is(self, lease: Lease, state: MasterState) -> None:
        def reached() -> bool:
            view = self.box.leases.master(lease.id)
            return view is not None and view.state is state

        await eventually(reached, timeout=20, what=f"a master that is {state}")

    async def open_terminal(self, lease: Lease) -> LiveTerminal:
        terminal = await self.box.terminals.open(self.me, self.owner, lease.id, 80, 24)
        live = await self.box.terminals.live(self.owner, lease.id, terminal.id)
        assert isinstance(live, LiveTerminal)
        return live

    async def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        return await self.box.store.read(lambda r: r.all(sql, values))

    async def audit(self, action: str) -> list[dict[str, Any]]:
        return await self.rows("SELECT * FROM audit_log WHERE action = ? ORDER BY id", action)

    async def chain_is_whole(self) -> bool:
        check = await self.box.store.read(lambda r: self.box.ledger.verify(r, None))
        return check.first_bad is None


async def problem_of(awaitable: Any) -> Problem:
    """The Problem that something raises."""
    try:
        result = await awaitable
    except Problem as problem:
        return problem
    raise AssertionError(f"nothing was refused: {result!r}")
