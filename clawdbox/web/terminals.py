"""`/sessions/{id}/terminals`: PTYs. Their bytes go over the WebSocket in `attach.py`."""

from datetime import datetime

import msgspec
from litestar import delete, get, post
from litestar.params import JSONBody

from clawdbox.ssh.model import Terminal
from clawdbox.web.fields import Cols, Id, PathId, Rows
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at


class TerminalView(msgspec.Struct, frozen=True):
    """The box keeps the output from `start_offset` to `end_offset`; `attach_path` is the WebSocket for it."""

    id: str
    session_id: str
    state: str
    cols: int
    rows: int
    exit_status: int | None
    end_reason: str | None
    start_offset: int
    end_offset: int
    created_at: datetime
    ended_at: datetime | None
    kept_id: str | None
    attach_path: str


class TerminalList(msgspec.Struct, frozen=True):
    terminals: list[TerminalView]


class OneTerminal(msgspec.Struct, frozen=True):
    terminal: TerminalView


class NewTerminal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`keep_alive` runs the shell in tmux on the server; `kept_id` goes on with such a one."""

    cols: Cols = 80
    rows: Rows = 24
    keep_alive: bool = False
    kept_id: Id | None = None


NOTHING_GIVEN = NewTerminal()


@post(
    "/sessions/{session_id:str}/terminals",
    opt={"action": "terminal.open"},
    summary="Open a terminal",
    responses=usual(
        404,
        422,
        s409="`session_not_active`, `session_reconnecting`, `terminal_limit_reached`, `terminal_refused`,"
        " `tmux_missing` (with `keep_alive`), `kept_terminal_gone` (with `kept_id`), `recording_required` (with `reason`).",
    ),
)
async def open_terminal(
    request: Req, session_id: PathId, data: JSONBody[NewTerminal] = NOTHING_GIVEN
) -> OneTerminal:
    """A login shell in a PTY. It lives as long as the session does, whether or not anyone is attached.

    With `keep_alive` it runs in tmux and goes on on the server when the session ends; with `kept_id` this session
    takes up such a terminal of its connection.
    """
    box, who = at(request)
    size = data.cols, data.rows
    if data.kept_id is None:
        opened = await box.terminals.open(
            who.actor, who.account_id, session_id, *size, keep_alive=data.keep_alive
        )
    else:
        opened = await box.terminals.resume(who.actor, who.account_id, session_id, data.kept_id, *size)
    return OneTerminal(view(opened))


@get("/sessions/{session_id:str}/terminals", summary="Terminals of a session", responses=usual(404))
async def list_terminals(request: Req, session_id: PathId) -> TerminalList:
    """Open and ended ones."""
    box, who = at(request)
    return TerminalList([view(terminal) for terminal in await box.terminals.list(who.account_id, session_id)])


@delete(
    "/sessions/{session_id:str}/terminals/{terminal_id:str}",
    status_code=200,
    opt={"action": "terminal.close"},
    summary="Close a terminal",
    responses=usual(
        404, s409="A kept one: `session_reconnecting`, or its server did not end it (`terminal_refused`)."
    ),
)
async def close_terminal(request: Req, session_id: PathId, terminal_id: PathId) -> OneTerminal:
    """Hangs up; one that is kept alive is ended on the server, too. Repeating it changes nothing."""
    box, who = at(request)
    return OneTerminal(view(await box.terminals.close(who.actor, who.account_id, session_id, terminal_id)))


def view(terminal: Terminal) -> TerminalView:
    return TerminalView(
        id=terminal.id,
        session_id=terminal.session_id,
        state=terminal.state,
        cols=terminal.cols,
        rows=terminal.rows,
        exit_status=terminal.exit_status,
        end_reason=terminal.end_reason,
        start_offset=terminal.start_offset,
        end_offset=terminal.end_offset,
        created_at=terminal.created_at,
        ended_at=terminal.ended_at,
        kept_id=terminal.kept_id,
        attach_path=f"/api/v1/sessions/{terminal.session_id}/terminals/{terminal.id}/attach",
    )
