"""What is written of a turn: its beginning, its waiting and its end, each within one transaction."""

from datetime import timedelta
from typing import Any

from clawdbox.agents import sql
from clawdbox.agents.model import Turn, TurnEnding, TurnState, WaitsFor
from clawdbox.agents.rules import turns as rules
from clawdbox.approvals import sql as approval_sql
from clawdbox.approvals.model import Approval
from clawdbox.approvals.service import Approvals
from clawdbox.events import Ledger
from clawdbox.ssh.model import Lease
from clawdbox.store import Tx


class TurnWrites:
    def __init__(self, ledger: Ledger, approvals: Approvals) -> None:
        self._ledger = ledger
        self._approvals = approvals

    def begin(self, tx: Tx, account_id: str, turn: Turn) -> None:
        sql.insert_turn(tx, turn)
        sql.use_conversation(tx, turn.conversation_id)
        sql.append(tx, turn.conversation_id, turn.id, "turn.started", {"text": turn.text})
        self.tell(tx, account_id, "turn.started", turn, turn.state)

    def end(self, tx: Tx, account_id: str, turn: Turn, ending: TurnEnding) -> None:
        """Unless it has ended. What runs is told as ended, what waits for an answer is void."""
        if not rules.may_become(sql.state_of(tx, turn.id), ending.state):
            return
        self._approvals.void(tx, account_id, [turn.id], "The turn that asked has ended.")
        sql.end_turn(tx, turn.id, ending)
        for command_id, started_at in sql.open_commands(tx, turn):
            payload = {
                "command_id": command_id,
                "exit_status": None,
                "duration_ms": 0.0
                if ending is rules.CRASHED
                else (tx.now - started_at) / timedelta(milliseconds=1),
                "truncated": True,
                "state": rules.OPEN_COMMAND[ending.state],
            }
            sql.append(tx, turn.conversation_id, turn.id, "command.finished", payload)
        end = {"state": ending.state, "error": ending.error}
        sql.append(tx, turn.conversation_id, turn.id, "turn.finished", end)
        self.tell(tx, account_id, "turn.finished", turn, ending.state)
        tx.wake(f"turn:{turn.id}")

    def park(self, tx: Tx, account_id: str, turn: Turn) -> None:
        """It goes on with the next lease on its connection. Questions that wait for an answer still do."""
        if not sql.set_waiting(tx, turn.id, WaitsFor.SESSION):
            return
        sql.append(tx, turn.conversation_id, turn.id, "turn.waiting", {"for": WaitsFor.SESSION})
        self.tell(tx, account_id, "turn.waiting", turn, TurnState.RUNNING)
        tx.wake(f"turn:{turn.id}")

    def take_up(self, tx: Tx, lease: Lease) -> None:
        """The turns that waited for a session on that connection are this lease's now."""
        for turn in sql.waiting_on(tx, lease.account_id, lease.connection_id):
            sql.move_turn(tx, turn.id, lease.id)
            self._approvals.move(tx, turn.id, lease.id)
            sql.append(tx, turn.conversation_id, turn.id, "turn.resumed", {"session_id": lease.id})
            self.tell(tx, lease.account_id, "turn.resumed", turn, TurnState.RUNNING)

    def approval_changed(self, tx: Tx, approval: Approval, by: str) -> None:
        """An answer stands in the conversation that asked."""
        payload: dict[str, Any] = {"approval_id": approval.id, "state": approval.state, "by": by}
        sql.append(tx, approval.conversation_id, approval.turn_id, "approval.answered", payload)
        if not approval_sql.pending_of(tx, approval.turn_id):
            waits = sql.waits_for(tx, approval.turn_id)
            if waits is WaitsFor.APPROVAL:
                sql.set_waiting(tx, approval.turn_id, None)

    def tell(self, tx: Tx, account_id: str, kind: str, turn: Turn, state: TurnState) -> None:
        payload = {
            "conversation_id": turn.conversation_id,
            "session_id": turn.session_lease_id,
            "state": state,
        }
        self._ledger.event(tx, account_id, kind, "turn", turn.id, payload)
