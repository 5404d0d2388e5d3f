"""`/identities`: by which people at providers an account is known."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import delete, get
from litestar.params import QueryParameter

from clawdbox.accounts.login_providers.model import Identity
from clawdbox.web.fields import PathId
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at

LastWay = Annotated[bool, QueryParameter(description="Unlink it although nothing but pairing is left.")]


class IdentityView(msgspec.Struct, frozen=True):
    """`provider` is `github`, or the issuer; the names are those that it used at the last login."""

    id: str
    provider: str
    username: str | None
    email: str | None
    linked_at: datetime


class IdentityList(msgspec.Struct, frozen=True):
    identities: list[IdentityView]


class OneIdentity(msgspec.Struct, frozen=True):
    identity: IdentityView


@get("/identities", summary="Linked identities", responses=usual())
async def list_identities(request: Req) -> IdentityList:
    """Of the account that asks. Another is linked by `POST /auth/oauth/{slug}/start` with the purpose `link`."""
    box, who = at(request)
    return IdentityList([_view(one) for one in await box.login_providers.identities(who.account_id)])


@delete(
    "/identities/{identity_id:str}",
    status_code=200,
    opt={"action": "identity.unlink", "viewer": True, "fresh": True},
    summary="Unlink an identity",
    responses=usual(404, 422, s409="It is the last way in besides pairing (`last_way_in`)."),
)
async def unlink_identity(request: Req, identity_id: PathId, last_way_too: LastWay = False) -> OneIdentity:
    """The last way in only where `last_way_too` says that this is known."""
    box, who = at(request)
    identity = await box.login_providers.unlink(
        who.actor, who.account_id, identity_id, box.accounts.own_means, last_way_too=last_way_too
    )
    return OneIdentity(_view(identity))


def _view(identity: Identity) -> IdentityView:
    return IdentityView(
        identity.id,
        identity.provider,
        identity.provider_username,
        identity.provider_email,
        identity.created_at,
    )
