"""`/logins`: the browsers and tokens that are signed in."""

from datetime import datetime

import msgspec
from litestar import delete, get

from clawdbox.accounts import Login
from clawdbox.web.fields import PathId
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at


class LoginView(msgspec.Struct, frozen=True):
    id: str
    kind: str
    device_name: str | None
    ip_address: str | None
    user_agent: str | None
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime
    method: str
    current: bool


class LoginList(msgspec.Struct, frozen=True):
    logins: list[LoginView]


class SignedOut(msgspec.Struct, frozen=True):
    """How many logins that were."""

    ended: int


class OneLogin(msgspec.Struct, frozen=True):
    login: LoginView


@get("/logins", summary="Signed-in devices and tokens", responses=usual())
async def list_logins(request: Req) -> LoginList:
    """The living ones, the one used last first. `current` marks the one that asks."""
    box, who = at(request)
    logins = await box.accounts.logins(who.account_id)
    return LoginList([_view(login, who.login.id) for login in logins])


@delete(
    "/logins",
    status_code=200,
    opt={"action": "login.revoke", "viewer": True},
    summary="Sign out everywhere else",
    responses=usual(),
)
async def revoke_other_logins(request: Req) -> SignedOut:
    """Ends every login of the account but the one that asks, tokens of scripts included, and their sockets."""
    box, who = at(request)
    return SignedOut(await box.accounts.revoke_others(who))


@delete(
    "/logins/{login_id:str}",
    status_code=200,
    opt={"action": "login.revoke", "viewer": True},
    summary="End a login",
    responses=usual(404),
)
async def revoke_login(request: Req, login_id: PathId) -> OneLogin:
    """Ends it at once, and every socket that was opened with it. Repeating it changes nothing."""
    box, who = at(request)
    login = await box.accounts.revoke_login(who.actor, who.account_id, login_id)
    return OneLogin(_view(login, who.login.id))


def _view(login: Login, current: str) -> LoginView:
    return LoginView(
        id=login.id,
        kind=login.kind,
        device_name=login.device_name,
        ip_address=login.ip_address,
        user_agent=login.user_agent,
        created_at=login.created_at,
        last_used_at=login.last_used_at,
        expires_at=login.expires_at,
        method=login.method,
        current=login.id == current,
    )
