"""`/sign-up` and `/invitations`: whom the owner lets have an account here."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.params import JSONBody

from clawdbox.accounts.invitations.model import Allowed, Invitation, Mode, SignUp
from clawdbox.web.fields import Label, PathId
from clawdbox.web.limits import Limits, address_key, check
from clawdbox.web.owner import check_owner
from clawdbox.web.problems import answers, usual
from clawdbox.web.signed_in import Paired, device_of, signed_in
from clawdbox.web.visit import Req, at, box_of, public_origin, visit_of


class AllowedEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`value`: the name somebody has at the provider, or an address of theirs that it has verified."""

    provider: Annotated[str, msgspec.Meta(max_length=40, examples=["github"])]
    match: Literal["username", "email"]
    value: Annotated[str, msgspec.Meta(max_length=254, examples=["octocat"])]


class SignUpView(msgspec.Struct, frozen=True):
    mode: str
    role: str
    allowed: list[AllowedEntry]


class OneSignUp(msgspec.Struct, frozen=True):
    sign_up: SignUpView


class NewSignUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of it: a list that is left out is empty."""

    mode: Literal["owner", "allow_list", "invited"]
    role: Literal["operator", "viewer"] = "operator"
    allowed: Annotated[list[AllowedEntry], msgspec.Meta(max_length=200)] = []


class InvitationView(msgspec.Struct, frozen=True):
    id: str
    label: str
    role: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    withdrawn_at: datetime | None


class InvitationList(msgspec.Struct, frozen=True):
    invitations: list[InvitationView]


class OneInvitation(msgspec.Struct, frozen=True):
    invitation: InvitationView


class NewInvitation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    label: Label
    role: Literal["operator", "viewer"] = "operator"
    expires_in_s: Annotated[int, msgspec.Meta(ge=300, le=2_592_000, examples=[86_400])] = 259_200


class InvitationMade(msgspec.Struct, frozen=True):
    """`url` is shown this once."""

    invitation: InvitationView
    url: str


class AcceptInvitation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: Annotated[
        str,
        msgspec.Meta(
            min_length=1,
            max_length=512,
            description="From an invitation, behind the `#`.",
            examples=["pZ1v…43 characters"],
        ),
    ]
    display_name: Label
    device_name: Annotated[str, msgspec.Meta(max_length=256)] | None = None


@get("/sign-up", summary="Who may sign up", responses=usual())
async def get_sign_up(request: Req) -> OneSignUp:
    """For the owner."""
    box, _ = at(request)
    check_owner(request)
    return OneSignUp(_sign_up(await box.invitations.sign_up()))


@patch(
    "/sign-up",
    opt={"action": "sign_up.update", "fresh": True},
    summary="Choose who may sign up",
    responses=usual(422),
)
async def choose_sign_up(request: Req, data: JSONBody[NewSignUp]) -> OneSignUp:
    """For the owner. Accounts that there are stay; open invitations wait while the box is the owner's alone."""
    box, who = at(request)
    check_owner(request)
    allowed = tuple(Allowed(one.provider, one.match, one.value) for one in data.allowed)
    chosen = await box.invitations.choose(who.actor, SignUp(Mode(data.mode), data.role, allowed))
    return OneSignUp(_sign_up(chosen))


@get("/invitations", summary="Open invitations", responses=usual())
async def list_invitations(request: Req) -> InvitationList:
    """For the owner: those that can still be used, the newest first."""
    box, _ = at(request)
    check_owner(request)
    return InvitationList([_view(one) for one in await box.invitations.open_ones()])


@post(
    "/invitations",
    opt={"action": "invitation.create", "fresh": True, "once": False},
    summary="Invite somebody",
    responses=usual(
        422,
        s409="The box is the owner's alone (`signup_closed`), or 50 are open (`invitation_limit_reached`).",
    ),
)
async def create_invitation(request: Req, data: JSONBody[NewInvitation]) -> InvitationMade:
    """For the owner: a link that makes one account, once."""
    box, who = at(request)
    check_owner(request)
    made = await box.invitations.create(
        who.actor, who.account_id, data.label, data.role, timedelta(seconds=data.expires_in_s)
    )
    origin = public_origin(box, visit_of(request.scope))
    return InvitationMade(_view(made.invitation), f"{origin}/invite#{made.code}")


@delete(
    "/invitations/{invitation_id:str}",
    status_code=200,
    opt={"action": "invitation.withdraw"},
    summary="Withdraw an invitation",
    responses=usual(404, s409="It was used (`invitation_used`)."),
)
async def withdraw_invitation(request: Req, invitation_id: PathId) -> OneInvitation:
    """For the owner. Repeating it changes nothing."""
    box, who = at(request)
    check_owner(request)
    return OneInvitation(_view(await box.invitations.withdraw(who.actor, invitation_id)))


@post(
    "/auth/invitation",
    opt={"public": True, "action": "invitation.accept"},
    summary="Accept an invitation",
    responses=answers(
        400, 413, 422, 429, s401="It is used, withdrawn, expired or wrong (`invitation_invalid`)."
    ),
)
async def accept_invitation(request: Req, data: JSONBody[AcceptInvitation]) -> Response[Paired]:
    """Makes an account of one's own, with a key, and signs this browser in to it."""
    box, visit = box_of(request), visit_of(request.scope)
    limits: Limits = request.app.state["limits"]
    check(limits.pair, address_key(visit.client), box.clock.monotonic())
    device = device_of(request, data.device_name)
    return signed_in(request, await box.invitations.accept(data.code, data.display_name, device))


def _sign_up(chosen: SignUp) -> SignUpView:
    return SignUpView(
        chosen.mode,
        chosen.role,
        [AllowedEntry(one.provider, one.match, one.value) for one in chosen.allowed],
    )


def _view(invitation: Invitation) -> InvitationView:
    return InvitationView(
        invitation.id,
        invitation.label,
        invitation.role,
        invitation.created_at,
        invitation.expires_at,
        invitation.used_at,
        invitation.withdrawn_at,
    )
