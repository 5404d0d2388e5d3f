"""How long a login lives, and what a pairing code is worth."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clawdbox.accounts import Account, Login, rules
from clawdbox.errors import Conflict, Invalid, Unauthorized

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SECOND = timedelta(seconds=1)
TTL = timedelta(days=30)


def account(**more: Any) -> Account:
    values: dict[str, Any] = {
        "id": "a", "display_name": "Anna", "email": None, "role": "owner", "created_at": NOW, "last_seen_at": None,
        "is_active": True,
    }  # fmt: skip
    return Account(**{**values, **more})


def login(**more: Any) -> Login:
    values: dict[str, Any] = dict.fromkeys(Login.__struct_fields__)
    values |= {"id": "l", "account_id": "a", "kind": "browser", "scope": "full", "created_at": NOW}
    return Login(**{**values, "expires_at": NOW + SECOND, **more})


@pytest.mark.parametrize(
    "more, active, good",
    [({}, True, True), ({"expires_at": NOW}, True, False), ({"expires_at": NOW - SECOND}, True, False),
     ({"revoked_at": NOW}, True, False), ({"revoked_at": NOW + SECOND}, True, False), ({}, False, False)],
)  # fmt: skip
def test_when_a_login_is_good(more: dict[str, Any], active: bool, good: bool) -> None:
    if good:
        rules.check_login(account(is_active=active), login(**more), NOW)
        return
    with pytest.raises(Unauthorized):
        rules.check_login(account(is_active=active), login(**more), NOW)


@pytest.mark.parametrize(
    "kind, used, slides",
    [("browser", None, NOW + TTL), ("browser", NOW - timedelta(seconds=59), None),
     ("browser", NOW - timedelta(seconds=60), NOW + TTL), ("token", None, NOW + SECOND),
     ("token", NOW - timedelta(hours=1), NOW + SECOND), ("token", NOW, None)],
)  # fmt: skip
def test_a_browser_s_end_slides_and_a_token_s_does_not(
    kind: str, used: datetime | None, slides: datetime | None
) -> None:
    assert rules.slide(login(kind=kind, last_used_at=used), TTL, NOW) == slides


@pytest.mark.parametrize(
    "expires, used, active",
    [(NOW, None, True), (NOW - SECOND, None, True), (NOW + SECOND, NOW, True), (NOW + SECOND, None, False)],
)
def test_a_code_that_is_not_good_is_refused_alike(
    expires: datetime, used: datetime | None, active: bool
) -> None:
    with pytest.raises(Unauthorized) as refused:
        rules.check_code(expires, used, account(is_active=active), NOW)
    assert (refused.value.code, refused.value.message) == (
        "pairing_code_invalid",
        rules.pairing_refused().message,
    )


def test_a_good_code_passes() -> None:
    rules.check_code(NOW + SECOND, None, account(), NOW)


@pytest.mark.parametrize(
    "idle, leases, field",
    [(None, None, None), (60, 1, None), (86_400, 50, None), (59, None, "idle_timeout_s"), (86_401, None, "idle_timeout_s"),
     (None, 0, "max_leases"), (None, 51, "max_leases"), (0, 0, "idle_timeout_s"), (-1, None, "idle_timeout_s")],
)  # fmt: skip
def test_settings_stay_within_their_bounds(idle: int | None, leases: int | None, field: str | None) -> None:
    given = {"idle_timeout_s": idle, "max_leases": leases}
    if field is None:
        rules.check_settings(given)
        return
    with pytest.raises(Invalid) as refused:
        rules.check_settings(given)
    assert refused.value.field == field


@pytest.mark.parametrize("role, others, ok", [("owner", 0, False), ("owner", 1, True), ("operator", 0, True)])
def test_the_last_owner_stays(role: str, others: int, ok: bool) -> None:
    if ok:
        rules.check_disable(account(role=role), others)
        return
    with pytest.raises(Conflict) as refused:
        rules.check_disable(account(role=role), others)
    assert refused.value.code == "last_owner"
