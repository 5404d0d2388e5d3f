"""`/auth/step-up/terminal`: a code that `clawdbox confirm` takes on the box."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import post

from clawdbox.web.gate import check_browser
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at, visit_of


class StepUpCode(msgspec.Struct, frozen=True):
    code: Annotated[str, msgspec.Meta(examples=["402713"])]
    expires_at: datetime


@post(
    "/auth/step-up/terminal",
    status_code=200,
    opt={"action": "login.verify", "viewer": True, "once": False},
    summary="Step up at the terminal",
    responses=usual(),
)
async def begin_terminal_step_up(request: Req) -> StepUpCode:
    """Six digits to type behind `clawdbox confirm` on the box: single use, five minutes, for this login alone.

    `GET /auth/me` tells by `verified_at` that it was done, and so does the event `login.verified`.
    """
    box, who = at(request)
    check_browser(
        visit_of(request.scope), "A person has to be there for this. Do it in a browser, not with a token."
    )
    code = box.terminal_codes.issue(who)
    return StepUpCode(code.code, code.expires_at)
