"""`/connections/{id}/kept-terminals`: shells that go on in tmux on the server, with or without a session."""

from datetime import datetime

import msgspec
from litestar import delete, get

from clawdbox.ssh.model import KeptTerminal
from clawdbox.web.box import Box
from clawdbox.web.fields import PathId
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at


class KeptTerminalView(msgspec.Struct, frozen=True):
    """`name` is its tmux session (`tmux -L clawdbox attach -t NAME` on the server); the last two say who shows it now."""

    id: str
    connection_id: str
    name: str
    state: str
    end_reason: str | None
    cols: int
    rows: int
    created_at: datetime
    ended_at: datetime | None
    session_id: str | None
    terminal_id: str | None


class KeptTerminalList(msgspec.Struct, frozen=True):
    kept_terminals: list[KeptTerminalView]


class OneKeptTerminal(msgspec.Struct, frozen=True):
    kept_terminal: KeptTerminalView


@get(
    "/connections/{connection_id:str}/kept-terminals",
    summary="Terminals kept alive on the server",
    responses=usual(404),
)
async def list_kept_terminals(request: Req, connection_id: PathId) -> KeptTerminalList:
    """Those that have not ended. With a session open the server is asked; without, it is what the box last knew."""
    box, who = at(request)
    kept = await box.kept_terminals.waiting(who.account_id, connection_id)
    return KeptTerminalList([view(box, one) for one in kept])


@delete(
    "/connections/{connection_id:str}/kept-terminals/{kept_id:str}",
    status_code=200,
    opt={"action": "terminal.close"},
    summary="End a terminal that is kept alive",
    responses=usual(
        404,
        s409="`session_not_active`: only a session reaches the server. `terminal_refused`: it did not end it.",
    ),
)
async def end_kept_terminal(request: Req, connection_id: PathId, kept_id: PathId) -> OneKeptTerminal:
    """Ends the tmux session and what runs in it. Repeating it changes nothing."""
    box, who = at(request)
    kept = await box.kept_terminals.end(who.actor, who.account_id, connection_id, kept_id)
    return OneKeptTerminal(view(box, kept))


def view(box: Box, kept: KeptTerminal) -> KeptTerminalView:
    shown = box.terminals.shows(kept.id)
    return KeptTerminalView(
        id=kept.id,
        connection_id=kept.connection_id,
        name=kept.name,
        state=kept.state,
        end_reason=kept.end_reason,
        cols=kept.cols,
        rows=kept.rows,
        created_at=kept.created_at,
        ended_at=kept.ended_at,
        session_id=shown.session_id if shown else None,
        terminal_id=shown.id if shown else None,
    )
