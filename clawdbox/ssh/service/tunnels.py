"""A connection that a server makes for the box itself, as a socket on this side: no port is bound for it."""

import asyncio
import socket
from typing import Any

from clawdbox.errors import Conflict, Upstream
from clawdbox.ssh.service.leases import Leases
from clawdbox.ssh.wire.forwards import TargetRefused, open_tcp
from clawdbox.ssh.wire.model import LinkLost
from clawdbox.ssh.wire.splice import splice


class Tunnels:
    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._tasks: set[asyncio.Task[Any]] = set()

    async def open(self, account_id: str, lease_id: str, host: str, port: int) -> socket.socket:
        """Connected to `host`:`port` as the server of the lease understands it. It ends with the link of the lease.

        Raises Conflict (`session_not_active`, `session_reconnecting`, `forward_forbidden`) and Upstream
        (`target_refused`).
        """
        _, _, link = await self._leases.up(account_id, lease_id)
        try:
            channel = await open_tcp(link, host, port)
        except TargetRefused as refusal:
            if refusal.forbidden:
                raise Conflict("forward_forbidden", str(refusal)) from None
            raise Upstream("target_refused", str(refusal)) from None
        except LinkLost:
            raise Conflict(
                "session_reconnecting", "The link to the server is down, and the box is dialling again."
            ) from None
        near, far = socket.socketpair()
        for end in (near, far):
            end.setblocking(False)
        task = asyncio.get_running_loop().create_task(splice(far, channel))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return near

    async def stop(self) -> None:
        """After the leases have ended."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
