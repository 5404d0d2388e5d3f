"""What every way of signing a browser in ends with: the cookie, and the nonce that goes with it."""

from datetime import datetime

import msgspec
from litestar import Response

from clawdbox.accounts import Account, Device
from clawdbox.accounts.model import Granted
from clawdbox.web.cookies import csrf_token, login_cookie
from clawdbox.web.visit import Req, box_of, visit_of


class AccountView(msgspec.Struct, frozen=True):
    id: str
    display_name: str
    email: str | None
    role: str
    created_at: datetime


class Paired(msgspec.Struct, frozen=True):
    account: AccountView
    expires_at: datetime
    csrf_token: str


def device_of(request: Req, name: str | None) -> Device:
    """The browser that asks, under the name it gives itself."""
    return Device(name, visit_of(request.scope).client, request.headers.get("user-agent"))


def signed_in(request: Req, granted: Granted) -> Response[Paired]:
    """The answer that makes the browser that asks the one that is signed in."""
    box, visit = box_of(request), visit_of(request.scope)
    body = Paired(account_view(granted.account), granted.login.expires_at, csrf_token(box, granted.login.id))
    cookie = login_cookie(visit.scheme, granted.token, int(box.settings.login_ttl_s))
    return Response(body, headers={"set-cookie": cookie})


def account_view(account: Account) -> AccountView:
    return AccountView(account.id, account.display_name, account.email, account.role, account.created_at)
