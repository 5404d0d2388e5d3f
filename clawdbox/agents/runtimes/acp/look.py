"""Looking for code agents on a server, when somebody asks."""

from clawdbox.agents.runtimes.acp import probe
from clawdbox.agents.runtimes.acp.probe import CodeAgent
from clawdbox.errors import Conflict, Upstream
from clawdbox.events import Actor, Ledger
from clawdbox.ssh.service.streams import LinkLost, Streams
from clawdbox.ssh.sql import connections as connection_sql
from clawdbox.ssh.sql import leases as lease_sql
from clawdbox.store import Reader, Store

_LOOK_S = 20.0


class CodeAgents:
    """Remembers, while the box runs, what was found on each connection."""

    def __init__(self, store: Store, ledger: Ledger, streams: Streams) -> None:
        self._store = store
        self._ledger = ledger
        self._streams = streams
        self._found: dict[str, list[CodeAgent]] = {}

    def last(self, connection_id: str) -> list[CodeAgent] | None:
        return self._found.get(connection_id)

    async def look(self, actor: Actor, account_id: str, connection_id: str) -> list[CodeAgent]:
        """Raises NotFound, Conflict `session_not_active` and `stream_refused`, Upstream `code_agents_unknown`."""
        lease_id = await self._store.read(lambda r: _lease_of(r, account_id, connection_id))
        await self._store.write(
            lambda tx: self._ledger.audit(
                tx, actor, "code_agent.look", "connection", connection_id, account_id=account_id
            )
        )
        try:
            said = await self._streams.ask(account_id, lease_id, probe.script(), _LOOK_S)
        except (TimeoutError, LinkLost):
            said = b""
        found = probe.parse(said)
        if found is None:
            raise Upstream(
                "code_agents_unknown",
                "The server did not say which code agents it has. Try again in a moment.",
            )
        self._found[connection_id] = found
        return found


def _lease_of(r: Reader, account_id: str, connection_id: str) -> str:
    connection_sql.get(r, account_id, connection_id)
    lease = lease_sql.present(r, account_id, connection_id)
    if lease is None:
        raise Conflict(
            "session_not_active", "Start a session on this connection first, then it can be looked at."
        )
    return lease.id
