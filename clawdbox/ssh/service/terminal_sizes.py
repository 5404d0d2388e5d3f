"""Writes sizes of terminals down a moment after they changed: dragging a window makes dozens, and one counts."""

import asyncio

from clawdbox import logs
from clawdbox.errors import Problem
from clawdbox.ssh.service.live_terminal import LiveTerminal
from clawdbox.ssh.sql import kept_terminals as sql
from clawdbox.store import Store, Tx

log = logs.get("ssh")
_QUIET_S = 1.0


class TerminalSizes:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._changed: dict[str, LiveTerminal] = {}
        self._writing: asyncio.Task[None] | None = None

    def changed(self, live: LiveTerminal) -> None:
        self._changed[live.id] = live
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._soon())

    async def stop(self) -> None:
        if self._writing:
            self._writing.cancel()
            await asyncio.wait([self._writing])
        await self._write()

    async def _soon(self) -> None:
        await asyncio.sleep(_QUIET_S)
        self._writing = None
        await self._write()

    async def _write(self) -> None:
        views = [(live.view, live.kept_id) for live in self._changed.values()]
        self._changed.clear()

        def change(tx: Tx) -> None:
            for view, kept_id in views:
                sql.resized(tx, view.id, kept_id, view.cols, view.rows)

        if views:
            try:
                await self._store.write(change)
            except Problem as problem:
                log.info("terminal.size_not_written", problem=problem.code)
