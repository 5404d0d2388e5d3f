"""`/accounts`: the people of this box, for its owner."""

from datetime import datetime
from typing import Literal

import msgspec
from litestar import get, patch
from litestar.params import JSONBody

from clawdbox.accounts import Account
from clawdbox.web.fields import PathId
from clawdbox.web.owner import check_owner
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at


class PersonView(msgspec.Struct, frozen=True):
    id: str
    display_name: str
    email: str | None
    role: str
    is_active: bool
    created_at: datetime
    last_seen_at: datetime | None


class PeopleList(msgspec.Struct, frozen=True):
    accounts: list[PersonView]


class OnePerson(msgspec.Struct, frozen=True):
    account: PersonView


class AccountPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Only what is given changes."""

    role: Literal["owner", "operator", "viewer"] | None = None
    is_active: bool | None = None


@get("/accounts", summary="The people of this box", responses=usual())
async def list_accounts(request: Req) -> PeopleList:
    """For the owner."""
    box, _ = at(request)
    check_owner(request)
    return PeopleList([_view(account) for account in await box.accounts.everyone()])


@patch(
    "/accounts/{account_id:str}",
    opt={"action": "account.update", "fresh": True},
    summary="Change somebody's role, or disable an account",
    responses=usual(404, 422, s409="It is the last owner (`last_owner`)."),
)
async def change_account(request: Req, account_id: PathId, data: JSONBody[AccountPatch]) -> OnePerson:
    """For the owner. Disabling ends the account's logins and sessions at once; nothing of it is deleted."""
    box, who = at(request)
    check_owner(request)
    if data.role is not None:
        await box.accounts.set_role(who.actor, account_id, data.role)
    if data.is_active is not None:
        await box.accounts.set_active(who.actor, account_id, data.is_active)
    return OnePerson(_view(await box.accounts.get(account_id)))


def _view(account: Account) -> PersonView:
    return PersonView(
        account.id,
        account.display_name,
        account.email,
        account.role,
        account.is_active,
        account.created_at,
        account.last_seen_at,
    )
