"""Commands that people type, on connections that want those judged, too."""

from clawdbox.agents.gate import ReadSettings
from clawdbox.errors import Conflict
from clawdbox.policy import Mode, Tier, Verdict, decide, judge
from clawdbox.ssh.model import Lease
from clawdbox.ssh.rules import control
from clawdbox.ssh.sql import connections as connection_sql
from clawdbox.ssh.sql import leases as lease_sql
from clawdbox.store import Reader, Store


def check_typed(r: Reader, settings: ReadSettings, account_id: str, lease_id: str, command: str) -> None:
    """Raises Conflict `command_judged` for a command that would be asked about, where nobody can be."""
    lease = lease_sql.get(r, account_id, lease_id)
    connection = connection_sql.get(r, account_id, lease.connection_id)
    if not connection.judge_people:
        return
    judgement = judge(command)
    mode = Mode(settings(r, account_id).agent_mode)
    decision = decide(judgement, Tier(connection.tier), mode)
    if decision.verdict is Verdict.ALLOW:
        return
    raise Conflict(
        "command_judged",
        f"{decision.why} On this server such a command is asked about first: write it as `$ …` into the conversation.",
        **{"class": judgement.klass.value},
    )


class TypedAtSocket:
    """The hook of a lease's own control socket. Terminals are recorded as those in the app are, and files are no commands."""

    def __init__(self, store: Store, settings: ReadSettings) -> None:
        self._store = store
        self._settings = settings

    async def ask(self, lease: Lease, request: control.Request) -> control.Verdict:
        command = request.command
        if request.use is not control.Use.COMMAND or command is None:
            return control.Verdict(True)
        try:
            await self._store.read(
                lambda r: check_typed(r, self._settings, lease.account_id, lease.id, command)
            )
        except Conflict as judged:
            return control.Verdict(False, judged.message)
        return control.Verdict(True)
