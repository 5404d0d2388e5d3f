"""`/account/settings`: what a person may choose for their account, and the owner for the box."""

from typing import Annotated, Literal

import msgspec
from litestar import get, patch
from litestar.params import JSONBody

from clawdbox.accounts import Principal, rules
from clawdbox.errors import Conflict
from clawdbox.web.box import Box
from clawdbox.web.gate import check_fresh, role_forbidden
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at, visit_of

Mode = Literal["ask_everything", "read_freely", "unattended"]


class SettingsView(msgspec.Struct, frozen=True):
    """`agent_mode` says what agents ask about, `turn_max_*` what one message to an agent may use, `unattended_commands`
    how many commands of it may change something unasked where nobody is there. `allow_loopback` holds for the whole box:
    may saved servers be this machine itself?"""

    idle_timeout_s: int
    max_leases: int
    agent_mode: Mode
    turn_max_commands: int
    turn_max_tokens: int
    turn_max_cost_usd: float
    turn_max_s: int
    unattended_commands: int
    allow_loopback: bool
    allow_loopback_editable: bool


class OneSettings(msgspec.Struct, frozen=True):
    settings: SettingsView


class SettingsPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Only what is given changes."""

    idle_timeout_s: Annotated[int, msgspec.Meta(ge=60, le=86_400, examples=[1800])] | None = None
    max_leases: Annotated[int, msgspec.Meta(ge=1, le=50, examples=[5])] | None = None
    agent_mode: Mode | None = None
    turn_max_commands: Annotated[int, msgspec.Meta(ge=1, le=10_000, examples=[100])] | None = None
    turn_max_tokens: Annotated[int, msgspec.Meta(ge=1_000, le=100_000_000, examples=[2_000_000])] | None = (
        None
    )
    turn_max_cost_usd: Annotated[float, msgspec.Meta(ge=0.01, le=10_000, examples=[5.0])] | None = None
    turn_max_s: Annotated[int, msgspec.Meta(ge=60, le=86_400, examples=[3600])] | None = None
    unattended_commands: Annotated[int, msgspec.Meta(ge=1, le=10_000, examples=[20])] | None = None
    allow_loopback: bool | None = None


@get("/account/settings", summary="Settings", responses=usual())
async def get_settings(request: Req) -> OneSettings:
    """Of the account that asks."""
    box, who = at(request)
    return await _view(box, who)


@patch(
    "/account/settings",
    opt={"action": "settings.update"},
    summary="Change settings",
    responses=usual(422, s409="Loopback was allowed when the box was started (`allow_loopback_fixed`)."),
)
async def change_settings(request: Req, data: JSONBody[SettingsPatch]) -> OneSettings:
    """`allow_loopback` is the owner's to choose. To let agents ask less, or to allow it, a person has to be there."""
    box, who = at(request)
    given = {name: value for name, value in msgspec.structs.asdict(data).items() if value is not None}
    allowed = given.pop("allow_loopback", None)
    if allowed is not None:
        await _check_loopback(box, who, allowed)
    if allowed or rules.lowers_settings(await box.accounts.settings(who.account_id), given):
        await check_fresh(box, visit_of(request.scope))
    if allowed is not None and allowed != await box.connections.loopback_allowed():
        await box.connections.allow_loopback(who.actor, allowed)
    if given:
        await box.accounts.change_settings(who.actor, who.account_id, given)
    return await _view(box, who)


async def _check_loopback(box: Box, who: Principal, allowed: bool) -> None:
    if allowed == await box.connections.loopback_allowed():
        return
    if who.account.role != "owner":
        raise role_forbidden()
    if box.connections.loopback_fixed:
        raise Conflict(
            "allow_loopback_fixed",
            "The box was started with --allow-loopback. Start it without, to choose here.",
        )


async def _view(box: Box, who: Principal) -> OneSettings:
    own = await box.accounts.settings(who.account_id)
    editable = who.account.role == "owner" and not box.connections.loopback_fixed
    allowed = await box.connections.loopback_allowed()
    return OneSettings(
        msgspec.convert(
            {
                **msgspec.structs.asdict(own),
                "allow_loopback": allowed,
                "allow_loopback_editable": editable,
            },
            SettingsView,
        )
    )
