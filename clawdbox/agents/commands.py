"""What this room needs of a lease to run commands."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from clawdbox.events import Actor
from clawdbox.ssh.model import ExecAnswer
from clawdbox.store import Tx

Within = Callable[[Tx], None]


class Commands(Protocol):
    """What this room needs of `ssh.service.execs`: one command at most once, and a sign that a lease is in use."""

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
        on_output: Callable[[str, bytes], Awaitable[None]] | None = None,
        cancel: asyncio.Event | None = None,
        on_start: Within | None = None,
        on_end: Callable[[str, Any], Within] | None = None,
    ) -> ExecAnswer: ...

    async def until_up(self, account_id: str, lease_id: str) -> None: ...

    def touch(self, lease_id: str) -> None: ...
