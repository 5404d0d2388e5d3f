"""`/pairing-codes`: a signed-in device lets another one in."""

from datetime import datetime

import msgspec
from litestar import post

from clawdbox import net
from clawdbox.web.box import Box
from clawdbox.web.gate import check_browser
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, Visit, at, public_origin, visit_of


class PairingCodeView(msgspec.Struct, frozen=True):
    """Shown once. The code stands in the link's fragment, which browsers send to nobody."""

    code: str
    url: str
    expires_at: datetime


class OnePairingCode(msgspec.Struct, frozen=True):
    pairing_code: PairingCodeView


@post(
    "/pairing-codes",
    opt={"action": "pairing_code.create", "viewer": True, "once": False},
    summary="Make a pairing link",
    responses=usual(),
)
async def make_pairing_code(request: Req) -> OnePairingCode:
    """A link that signs another device in to the same account: single use, ten minutes. From a browser only."""
    box, who = at(request)
    check_browser(
        visit_of(request.scope),
        "A browser would stay signed in when the token has ended. Pair it from another browser, or on the box itself.",
    )
    code = await box.accounts.make_pairing_code(who.actor, who.account_id)
    url = f"{_reachable_origin(box, visit_of(request.scope))}/pair#{code.code}"
    return OnePairingCode(PairingCodeView(code.code, url, code.expires_at))


def _reachable_origin(box: Box, visit: Visit) -> str:
    """The other device is another machine: `localhost` would lead it to itself, when the box can be reached otherwise."""
    origin = public_origin(box, visit)
    asked_on_loopback = visit.host.startswith(("localhost", "127.", "[::1]"))
    address = net.lan_address()
    if box.settings.public_url or not asked_on_loopback or box.settings.is_loopback or address is None:
        return origin
    return f"http://{address}:{box.own_port}"
