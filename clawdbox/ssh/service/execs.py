"""Commands over a lease, at most once: `started` is committed before a byte goes out, the outcome afterwards."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable

from clawdbox import logs
from clawdbox.errors import Conflict, Invalid
from clawdbox.events import Actor, Ledger
from clawdbox.ids import new_id
from clawdbox.ssh.model import ExecAnswer, Lease
from clawdbox.ssh.rules import leases as rules
from clawdbox.ssh.service.leases import Leases
from clawdbox.ssh.service.masters import Master
from clawdbox.ssh.sql import leases as sql
from clawdbox.ssh.wire.execs import run
from clawdbox.ssh.wire.link import Link
from clawdbox.ssh.wire.model import ChannelRefused, ExecResult, LinkLost
from clawdbox.store import Store, Tx

log = logs.get("ssh")
OnOutput = Callable[[str, bytes], Awaitable[None]]
Within = Callable[[Tx], None]  # what is written in the same transaction
OnEnd = Callable[[str, ExecResult], Within]
MAX_COMMAND = 100_000  # bytes; Linux takes no argument beyond 128 KiB
_LOST = ExecResult(None, b"", b"", False, False, False, True, 0.0)


class Execs:
    def __init__(self, store: Store, ledger: Ledger, leases: Leases) -> None:
        self._store = store
        self._ledger = ledger
        self._leases = leases

    async def execute(
        self,
        actor: Actor,
        account_id: str,
        lease_id: str,
        command: str,
        *,
        timeout_s: float,
        max_output_bytes: int,
        turn_id: str | None = None,
        execution_id: str | None = None,
        on_output: OnOutput | None = None,
        cancel: asyncio.Event | None = None,
        kept_shell: bool = False,
        on_start: Within | None = None,
        on_end: OnEnd | None = None,
    ) -> ExecAnswer:
        """Run a command as it stands. A server that is full makes it wait in line, within `timeout_s`.

        `on_start` writes in the transaction of the intent, and what it raises keeps the command from running; `on_end`
        is told the state and the result, and returns what is written with the outcome. `kept_shell` runs it in the lease's kept `sh` (document 05, section 5.2): faster, and less faithful.

        Raises Conflict `session_not_active`, `session_reconnecting` and `command_refused` (it was never run). A lost
        link is an answer, not an error: `exit_status` None.
        """
        check_command(command)
        master, link = self._leases.at_hand(lease_id) or (await self._leases.up(account_id, lease_id))[1:]
        run_id = execution_id or new_id(self._store.clock.now())
        # Whose lease it is, and that it is active, is asked in the very transaction of the intent.
        lease = await self._store.write(
            lambda tx: _start(tx, run_id, account_id, lease_id, turn_id, command, on_start)
        )
        stop = cancel or asyncio.Event()
        try:
            with master.busy(stop):
                result = await self._on_wire(
                    master, link, command, timeout_s, max_output_bytes, on_output, stop, kept_shell
                )
        except ChannelRefused as refusal:
            await self._finish(actor, lease, run_id, command, "cancelled", _LOST, on_end)
            raise Conflict("command_refused", f"{refusal} The command was not run.") from None
        except BaseException:
            await asyncio.shield(self._finish(actor, lease, run_id, command, "cancelled", _LOST, on_end))
            raise
        await self._finish(actor, lease, run_id, command, _state(result), result, on_end)
        return ExecAnswer(
            execution_id=run_id,
            exit_status=result.exit_status,
            stdout=result.stdout,
            stderr=result.stderr,
            truncated=result.truncated,
            timed_out=result.timed_out,
            cancelled=result.cancelled,
            duration_ms=result.duration_ms,
        )

    async def until_up(self, account_id: str, lease_id: str) -> None:
        """Wait while the link is dialled again. Raises Conflict `session_not_active` once the lease has ended."""
        await self._leases.until_up(account_id, lease_id)

    def touch(self, lease_id: str) -> None:
        """Work on the lease goes on, even while no byte moves."""
        self._leases.touch(lease_id)

    async def _on_wire(
        self,
        master: Master,
        link: Link,
        command: str,
        timeout_s: float,
        max_output_bytes: int,
        on_output: OnOutput | None,
        stop: asyncio.Event,
        kept_shell: bool,
    ) -> ExecResult:
        async def output(stream: str, data: bytes) -> None:
            master.touch()
            if on_output:
                await on_output(stream, data)

        master.touch()
        try:
            return await run(
                link,
                command,
                timeout_s=timeout_s,
                max_output_bytes=max_output_bytes,
                on_output=output,
                cancel=stop,
                kept=kept_shell,
            )
        except LinkLost:
            return _LOST
        finally:
            master.touch()

    async def _finish(
        self,
        actor: Actor,
        lease: Lease,
        run_id: str,
        command: str,
        state: str,
        result: ExecResult,
        on_end: OnEnd | None,
    ) -> None:
        further = on_end(state, result) if on_end else None

        def change(tx: Tx) -> None:
            if further:
                further(tx)
            sql.finish_execution(tx, run_id, state, result.exit_status, result.duration_ms, result.truncated)
            detail = {
                "session_lease_id": lease.id,
                "command_sha256": hashlib.sha256(command.encode(errors="surrogateescape")).hexdigest(),
                "state": state,
                "exit_status": result.exit_status,
            }
            outcome = "ok" if state == "done" else "failed"
            self._ledger.audit(
                tx, actor, "session.exec", "execution", run_id,
                result=outcome, detail=detail, account_id=lease.account_id,
            )  # fmt: skip

        await self._store.write(change)
        log.info(
            "ssh.exec",
            state=state,
            exit_status=result.exit_status,
            duration_ms=round(result.duration_ms, 1),
            session_lease_id=lease.id,
            account_id=lease.account_id,
            connection_id=lease.connection_id,
        )


def _start(
    tx: Tx,
    run_id: str,
    account_id: str,
    lease_id: str,
    turn_id: str | None,
    command: str,
    on_start: Within | None,
) -> Lease:
    lease = sql.get(tx, account_id, lease_id)
    rules.check_still_active(lease)
    sql.start_execution(tx, run_id, lease, turn_id, command)
    if on_start:
        on_start(tx)
    return lease


def check_command(command: str) -> None:
    """Raises Invalid for what is no command."""
    if not command.strip():
        raise Invalid("command", "Write a command to run.")
    if len(command.encode(errors="replace")) > MAX_COMMAND:
        raise Invalid(
            "command", f"A command has at most {MAX_COMMAND} bytes. Put a longer one into a script."
        )
    if "\0" in command or any("\ud800" <= char <= "\udfff" for char in command):
        raise Invalid("command", "A command is text without NUL characters.")


def _state(result: ExecResult) -> str:
    if result.timed_out:
        return "timed_out"
    if result.cancelled:
        return "cancelled"
    return "lost" if result.lost or result.exit_status is None else "done"
