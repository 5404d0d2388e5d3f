"""What a control socket asks of the lease it belongs to, before and after each thing that a client does."""

import asyncio
from typing import Protocol

from clawdbox.ssh.rules.control import Request
from clawdbox.ssh.wire.link import Link


class Refused(Exception):
    """The sentence is for the person at the client."""


class Permit(Protocol):
    """The right to do one thing that is already written down. `stop` is set when the lease ends."""

    stop: asyncio.Event

    @property
    def link(self) -> Link: ...

    def touch(self) -> None:
        """Bytes have moved: the lease is not idle."""

    async def finish(self, state: str, exit_status: int | None = None) -> None:
        """Write down how it ended: `done`, `lost` or `cancelled`. Exactly once."""


class Desk(Protocol):
    bare: bool  # a command gets no input and no environment of the client: what was admitted is all that runs

    async def admit(self, request: Request) -> Permit:
        """Raises Refused. May wait for somebody who is asked; a client that leaves cancels the wait."""

    async def stop_listening(self) -> None: ...

    async def end_lease(self) -> None: ...
