"""`/login-providers`: GitHub and other places where people of this box may sign in. A secret goes in and never comes out."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import delete, get, post
from litestar.params import JSONBody

from clawdbox.accounts.login_providers import rules
from clawdbox.accounts.login_providers.model import Kind, LoginProvider
from clawdbox.web.fields import Label, PathId
from clawdbox.web.owner import check_owner
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at


class LoginProviderView(msgspec.Struct, frozen=True):
    """`callback_url` is what the provider wants to be told; null where no provider could send a browser back."""

    id: str
    slug: str
    kind: str
    label: str
    client_id: str
    has_secret: bool
    issuer: str
    scopes: list[str]
    device_flow: bool
    callback_url: str | None
    created_at: datetime


class LoginProviderList(msgspec.Struct, frozen=True):
    """`callback_base` is the address before a provider's slug."""

    login_providers: list[LoginProviderView]
    callback_base: str | None


class OneLoginProvider(msgspec.Struct, frozen=True):
    login_provider: LoginProviderView


class NewLoginProvider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`slug` stands in the callback's address. Without scopes the usual ones are asked for, which is the least."""

    kind: Literal["github", "oidc"]
    label: Label
    client_id: Annotated[str, msgspec.Meta(max_length=500, examples=["Iv1.8a61f9b3a7aba766"])]
    slug: Annotated[str, msgspec.Meta(max_length=40, examples=["authentik"])] | None = None
    client_secret: Annotated[str, msgspec.Meta(max_length=2000)] | None = None
    issuer: (
        Annotated[
            str, msgspec.Meta(max_length=500, examples=["https://auth.example.org/application/o/clawdbox/"])
        ]
        | None
    ) = None
    scopes: Annotated[list[str], msgspec.Meta(max_length=20)] | None = None
    device_flow: bool = False


@get("/login-providers", summary="Providers people sign in with", responses=usual())
async def list_login_providers(request: Req) -> LoginProviderList:
    """For the owner. Never with a secret."""
    box, _ = at(request)
    check_owner(request)
    origin = box.login_flows.origin
    base = rules.callback(origin, "").removesuffix("/callback") if origin else None
    return LoginProviderList([_view(one, origin) for one in await box.login_providers.all()], base)


@post(
    "/login-providers",
    opt={"action": "login_provider.add", "fresh": True, "once": False},
    summary="Add a provider people sign in with",
    responses=usual(
        422, s409="The slug is taken (`slug_taken`), or there are 20 (`login_provider_limit_reached`)."
    ),
)
async def add_login_provider(request: Req, data: JSONBody[NewLoginProvider]) -> OneLoginProvider:
    """For the owner. Nothing is asked there yet: linking one's own identity is the test."""
    box, who = at(request)
    check_owner(request)
    provider = await box.login_providers.add(
        who.actor,
        Kind(data.kind),
        data.slug or data.kind,
        data.label,
        data.client_id,
        data.client_secret,
        data.issuer,
        data.scopes,
        device_flow=data.device_flow,
    )
    return OneLoginProvider(_view(provider, box.login_flows.origin))


@delete(
    "/login-providers/{provider_id:str}",
    status_code=200,
    opt={"action": "login_provider.remove", "fresh": True},
    summary="Remove a provider people sign in with",
    responses=usual(404),
)
async def remove_login_provider(request: Req, provider_id: PathId) -> OneLoginProvider:
    """For the owner. Logins that came by it go on; nobody can sign in by it any more, and its secret is gone."""
    box, who = at(request)
    check_owner(request)
    provider = await box.login_providers.remove(who.actor, provider_id)
    return OneLoginProvider(_view(provider, box.login_flows.origin))


def _view(provider: LoginProvider, origin: str | None) -> LoginProviderView:
    return LoginProviderView(
        provider.id,
        provider.slug,
        provider.kind,
        provider.label,
        provider.client_id,
        provider.has_secret,
        provider.issuer,
        provider.scopes,
        provider.device_flow,
        rules.callback(origin, provider.slug) if origin else None,
        provider.created_at,
    )
