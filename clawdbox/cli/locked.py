"""A box that waits for its passphrase: a page that takes it, the admin socket that takes it, and nothing else."""

import asyncio
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from clawdbox.cli import paths, running, systemd
from clawdbox.errors import Unavailable

if TYPE_CHECKING:
    from clawdbox.app import Box
    from clawdbox.vault import Keyring


class Locked:
    """`opened` is set once somebody gave the right passphrase; `keyring` is there then."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.opened = asyncio.Event()
        self.keyring: Keyring | None = None

    async def unlock(self, text: str) -> None:
        """Raises Problem `passphrase_wrong`."""
        from clawdbox.vault import Keyring

        self.keyring = await asyncio.to_thread(
            Keyring.open_with_passphrase, self.data_dir, text, database=self.data_dir / paths.DATABASE
        )
        self.opened.set()

    async def perform(self, _box: Any, verb: str, args: object) -> dict[str, Any]:
        """What the admin socket answers meanwhile."""
        from clawdbox.vault import read_status

        if verb == "keyring.unlock" and isinstance(args, dict):
            await self.unlock(str(args.get("passphrase", "")))
            return {}
        if verb == "keyring.status":
            return {**msgspec.to_builtins(read_status(self.data_dir)), "locked": True}
        raise Unavailable(
            "locked",
            "This box waits for its passphrase. Give it on its page, or with: clawdbox keyring unlock",
        )


async def wait_for_passphrase(
    box: "Box", listening: list[socket.socket], asked_to_stop: asyncio.Event, flags: str
) -> "Keyring | None":
    """The opened keyring, or None when somebody asked the box to stop before that."""
    from clawdbox.admin import AdminSocket
    from clawdbox.web.locked import LockedServer

    locked = Locked(box.data_dir)
    server = LockedServer(box, listening, locked.unlock)
    admin = AdminSocket(locked, perform=locked.perform)
    await server.start()
    await admin.start()
    found = running.Running(os.getpid(), box.own_port or 0, box.address, os.fspath(admin.path))
    running.write(box.data_dir, found)
    systemd.notify("READY=1\nSTATUS=Locked: waiting for the passphrase")
    click.echo(
        f"This box is locked. Unlock it at {box.address}, or with: {paths.program()} keyring unlock{flags}"
    )
    try:
        waits = [asyncio.create_task(event.wait()) for event in (locked.opened, asked_to_stop)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
    finally:
        running.remove(box.data_dir)
        await admin.stop()
        await server.stop()
    return locked.keyring if locked.opened.is_set() else None
