"""`/passkeys`: what signs an account in by a fingerprint or a face; and signing in and stepping up by one."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.params import JSONBody

from clawdbox.accounts.model import Passkey
from clawdbox.web.fields import Label, PathId
from clawdbox.web.limits import Limits, address_key, check
from clawdbox.web.problems import answers, usual
from clawdbox.web.signed_in import Paired, device_of, signed_in
from clawdbox.web.visit import Req, at, box_of, visit_of

Options = Annotated[
    dict[str, Any],
    msgspec.Meta(
        description="For `navigator.credentials`, in the JSON form of WebAuthn (binary values in base64url)."
    ),
]
Credential = Annotated[
    dict[str, Any],
    msgspec.Meta(
        description="What `navigator.credentials` answered, as `toJSON()` writes it.",
        examples=[{"id": "…", "rawId": "…", "type": "public-key", "response": {"clientDataJSON": "…"}}],
    ),
]
DeviceName = Annotated[str, msgspec.Meta(max_length=256, examples=["Bob's phone"])]
_REFUSED = "The passkey was not accepted (`passkey_refused`), or the body is no valid JSON."
_IMPOSSIBLE = "Passkeys need https and a name (`passkeys_impossible`)."


class PasskeyView(msgspec.Struct, frozen=True):
    """`usable`: made for the name that the box has now. `backed_up`: its maker keeps a copy, as phones do."""

    id: str
    label: str
    usable: bool
    backed_up: bool
    created_at: datetime
    last_used_at: datetime | None


class PasskeyList(msgspec.Struct, frozen=True):
    """`origin` is the only address at which passkeys of this box work; null where they cannot."""

    passkeys: list[PasskeyView]
    origin: str | None


class OnePasskey(msgspec.Struct, frozen=True):
    passkey: PasskeyView


class PasskeyOptions(msgspec.Struct, frozen=True):
    options: Options


class NewPasskey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    label: Label
    credential: Credential


class PasskeyPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    label: Label


class PasskeyAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    credential: Credential


class PasskeySignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    credential: Credential
    device_name: DeviceName | None = None


class Verified(msgspec.Struct, frozen=True):
    verified_at: datetime | None


@get("/passkeys", summary="Passkeys", responses=usual())
async def list_passkeys(request: Req) -> PasskeyList:
    """Those of the account, the oldest first."""
    box, who = at(request)
    found = await box.passkeys.all(who.account_id)
    place = box.passkeys.place
    return PasskeyList([_view(request, one) for one in found], place.origin if place else None)


@post(
    "/passkeys/options",
    status_code=200,
    opt={"action": "passkey.add", "viewer": True, "once": False, "fresh": True},
    summary="Begin to add a passkey",
    responses=usual(s409=_IMPOSSIBLE),
)
async def begin_passkey(request: Req) -> PasskeyOptions:
    """What `navigator.credentials.create` is given. Good once, for five minutes."""
    box, who = at(request)
    return PasskeyOptions(await box.passkeys.options_to_add(who))


@post(
    "/passkeys",
    opt={"action": "passkey.add", "viewer": True, "once": False, "fresh": True},
    summary="Add a passkey",
    responses=usual(
        422, s400=_REFUSED, s409="Known already (`passkey_known`), or impossible (`passkeys_impossible`)."
    ),
)
async def add_passkey(request: Req, data: JSONBody[NewPasskey]) -> OnePasskey:
    """The answer of `navigator.credentials.create`."""
    box, who = at(request)
    return OnePasskey(_view(request, await box.passkeys.add(who, data.label, data.credential)))


@patch(
    "/passkeys/{passkey_id:str}",
    opt={"action": "passkey.rename", "viewer": True},
    summary="Rename a passkey",
    responses=usual(404, 422),
)
async def rename_passkey(request: Req, passkey_id: PathId, data: JSONBody[PasskeyPatch]) -> OnePasskey:
    """The label is the box's own; what the phone calls it does not change."""
    box, who = at(request)
    return OnePasskey(
        _view(request, await box.passkeys.rename(who.actor, who.account_id, passkey_id, data.label))
    )


@delete(
    "/passkeys/{passkey_id:str}",
    status_code=200,
    opt={"action": "passkey.remove", "viewer": True, "fresh": True},
    summary="Remove a passkey",
    responses=usual(404),
)
async def remove_passkey(request: Req, passkey_id: PathId) -> OnePasskey:
    """It signs in no more. Logins that it made stay until they are ended."""
    box, who = at(request)
    return OnePasskey(_view(request, await box.passkeys.remove(who.actor, who.account_id, passkey_id)))


@post(
    "/auth/passkey/options",
    status_code=200,
    opt={"public": True, "action": "login.passkey"},
    summary="Begin to sign in with a passkey",
    responses=answers(400, 413, 429, s409=_IMPOSSIBLE),
)
async def begin_passkey_sign_in(request: Req) -> PasskeyOptions:
    """What `navigator.credentials.get` is given. Names nobody: the browser knows whose passkeys it has. Needs no login."""
    limits: Limits = request.app.state["limits"]
    check(limits.pair, address_key(visit_of(request.scope).client), box_of(request).clock.monotonic())
    return PasskeyOptions(await box_of(request).passkeys.options_to_sign_in())


@post(
    "/auth/passkey",
    opt={"public": True, "action": "login.passkey"},
    summary="Sign in with a passkey",
    responses=answers(413, 422, 429, s400=_REFUSED, s409=_IMPOSSIBLE),
)
async def sign_in_with_passkey(request: Req, data: JSONBody[PasskeySignIn]) -> Response[Paired]:
    """The answer of `navigator.credentials.get` for a login, which comes as an HttpOnly cookie. Needs no login."""
    limits: Limits = request.app.state["limits"]
    check(limits.pair, address_key(visit_of(request.scope).client), box_of(request).clock.monotonic())
    box = box_of(request)
    granted = await box.passkeys.sign_in(data.credential, device_of(request, data.device_name))
    return signed_in(request, granted)


@post(
    "/auth/step-up/passkey/options",
    status_code=200,
    opt={"action": "login.verify", "viewer": True, "once": False},
    summary="Begin to step up with a passkey",
    responses=usual(s409=_IMPOSSIBLE),
)
async def begin_passkey_step_up(request: Req) -> PasskeyOptions:
    """What `navigator.credentials.get` is given, for this login alone."""
    box, who = at(request)
    return PasskeyOptions(await box.passkeys.options_to_step_up(who))


@post(
    "/auth/step-up/passkey",
    status_code=200,
    opt={"action": "login.verify", "viewer": True, "once": False},
    summary="Step up with a passkey",
    responses=usual(422, s400=_REFUSED, s409=_IMPOSSIBLE),
)
async def step_up_with_passkey(request: Req, data: JSONBody[PasskeyAnswer]) -> Verified:
    """For five minutes this login may do what asks for its person."""
    box, who = at(request)
    return Verified((await box.passkeys.step_up(who, data.credential)).verified_at)


def _view(request: Req, found: Passkey) -> PasskeyView:
    place = box_of(request).passkeys.place
    return PasskeyView(
        id=found.id,
        label=found.label,
        usable=place is not None and place.rp_id == found.rp_id,
        backed_up=found.backed_up,
        created_at=found.created_at,
        last_used_at=found.last_used_at,
    )
