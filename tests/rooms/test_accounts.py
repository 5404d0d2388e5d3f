"""People, pairing codes, logins and settings, on the real store, with the clock turned by hand."""

import asyncio
from datetime import timedelta

import pytest

from clawdbox.accounts import Account, Accounts, Device
from clawdbox.accounts.model import Granted
from clawdbox.errors import Conflict, Invalid, NotFound, Problem, Unauthorized
from clawdbox.events import Actor, Hub, Ledger
from clawdbox.events.model import SYSTEM
from clawdbox.ids import token_hash
from clawdbox.settings import Settings
from clawdbox.store import Store, Tx
from tests.clocks import HandClock

DAY = 86_400


@pytest.fixture
def accounts(store: Store) -> Accounts:
    made: list[str] = []

    def make_key(_tx: Tx, _actor: Actor, account_id: str) -> None:
        made.append(account_id)

    return Accounts(store, Ledger(b"k" * 32), Settings(), make_key)


@pytest.fixture
async def owner(accounts: Accounts) -> Account:
    return await accounts.ensure_owner()


async def paired(accounts: Accounts, account: Account) -> Granted:
    code = await accounts.make_pairing_code(SYSTEM, account.id)
    return await accounts.pair(code.code, Device("Phone", "192.0.2.1", "Firefox"))


async def refused(accounts: Accounts, code: str) -> Unauthorized:
    with pytest.raises(Unauthorized) as problem:
        await accounts.pair(code, Device(None, None, None))
    return problem.value


async def test_the_owner_is_made_once(accounts: Accounts, owner: Account) -> None:
    assert await accounts.ensure_owner("Another") == owner
    assert (owner.role, owner.is_active) == ("owner", True)
    assert await accounts.everyone() == [owner]


# pairing


async def test_a_code_is_traded_for_a_login_once(accounts: Accounts, owner: Account, store: Store) -> None:
    code = await accounts.make_pairing_code(SYSTEM, owner.id)
    granted = await accounts.pair(code.code, Device("Bob's phone", "192.0.2.1", "Firefox"))
    assert granted.account == owner
    assert (granted.login.kind, granted.login.scope, granted.login.device_name) == (
        "browser",
        "full",
        "Bob's phone",
    )
    assert (await accounts.authenticate(granted.token, None)).account_id == owner.id
    assert (await refused(accounts, code.code)).code == "pairing_code_invalid"
    assert len(await accounts.logins(owner.id)) == 1
    assert len(code.code) == 43


async def test_of_two_phones_at_once_one_is_paired(accounts: Accounts, owner: Account) -> None:
    code = await accounts.make_pairing_code(SYSTEM, owner.id)
    outcomes = await asyncio.gather(
        *(accounts.pair(code.code, Device(f"Phone {n}", None, None)) for n in range(5)),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, Granted) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Unauthorized) for outcome in outcomes) == 4
    assert len(await accounts.logins(owner.id)) == 1


async def test_a_code_expires_after_ten_minutes(accounts: Accounts, owner: Account, clock: HandClock) -> None:
    early, late = [await accounts.make_pairing_code(SYSTEM, owner.id) for _ in range(2)]
    clock.turn(598)
    await accounts.pair(early.code, Device(None, None, None))
    clock.turn(2.1)
    await refused(accounts, late.code)


async def test_wrong_used_and_expired_codes_are_refused_alike(
    accounts: Accounts, owner: Account, clock: HandClock
) -> None:
    used, expired = [await accounts.make_pairing_code(SYSTEM, owner.id) for _ in range(2)]
    await accounts.pair(used.code, Device(None, None, None))
    answers = [await refused(accounts, code) for code in (used.code, "", "x", "x" * 10_000, "é\0")]
    clock.turn(601)
    answers.append(await refused(accounts, expired.code))
    assert len({(answer.code, answer.message) for answer in answers}) == 1


async def test_neither_code_nor_token_is_kept_or_shown(
    accounts: Accounts, owner: Account, store: Store
) -> None:
    code = await accounts.make_pairing_code(SYSTEM, owner.id)
    granted = await accounts.pair(code.code, Device(None, None, None))
    script = await accounts.create_token(SYSTEM, owner.id, "ci", store.clock.now() + timedelta(days=1))
    await accounts.authenticate(granted.token, None)
    kept = ""
    for table in ("pairing_codes", "app_sessions", "events", "audit_log"):
        kept += str(await store.read(lambda r, table=table: r.all(f"SELECT * FROM {table}")))  # type: ignore[misc]
    for secret in (code.code, granted.token, script.token):
        assert secret not in kept
        assert secret not in repr(code) + repr(granted) + repr(script)
    assert token_hash(granted.token) in kept


async def test_a_device_s_name_is_made_harmless(accounts: Accounts, owner: Account) -> None:
    code = await accounts.make_pairing_code(SYSTEM, owner.id)
    granted = await accounts.pair(code.code, Device("\x1b[2J\u202e" + "x" * 100, None, "UA\n\0" + "y" * 1000))
    assert granted.login.device_name == "[2J" + "x" * 61
    assert granted.login.user_agent == "UA" + "y" * 254


# logins


async def test_a_browser_s_login_slides_for_as_long_as_it_is_used(
    accounts: Accounts, owner: Account, clock: HandClock
) -> None:
    granted = await paired(accounts, owner)
    for _ in range(4):
        clock.turn(29 * DAY)
        await accounts.authenticate(granted.token, None)
    clock.turn(30 * DAY + 1)
    with pytest.raises(Unauthorized):
        await accounts.authenticate(granted.token, None)
    assert await accounts.logins(owner.id) == []


async def test_a_use_is_written_down_once_a_minute(
    accounts: Accounts, owner: Account, clock: HandClock
) -> None:
    granted = await paired(accounts, owner)
    await accounts.authenticate(granted.token, None)
    first = (await accounts.logins(owner.id))[0].last_used_at
    clock.turn(30)
    await accounts.authenticate(granted.token, None)
    assert (await accounts.logins(owner.id))[0].last_used_at == first
    clock.turn(31)
    await accounts.authenticate(granted.token, None)
    assert (await accounts.logins(owner.id))[0].last_used_at != first


async def test_a_token_ends_when_it_was_said_to(accounts: Accounts, owner: Account, clock: HandClock) -> None:
    script = await accounts.create_token(SYSTEM, owner.id, "ci", clock.now() + timedelta(days=90), "metrics")
    clock.turn(89 * DAY)
    principal = await accounts.authenticate(script.token, "192.0.2.9")
    assert (principal.login.kind, principal.login.scope, principal.actor.ip_address) == (
        "token",
        "metrics",
        "192.0.2.9",
    )
    clock.turn(DAY + 1)
    with pytest.raises(Unauthorized):
        await accounts.authenticate(script.token, None)


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "x" * 100_000, "é", "\0"])
async def test_what_is_no_token_is_refused(accounts: Accounts, owner: Account, token: str) -> None:
    await paired(accounts, owner)
    with pytest.raises(Unauthorized):
        await accounts.authenticate(token, None)


async def test_a_revoked_login_ends_at_once_and_its_sockets_hear_it(
    accounts: Accounts, owner: Account, store: Store
) -> None:
    hub = Hub()
    store.on_commit(hub.wake)
    granted, other = await paired(accounts, owner), await paired(accounts, owner)
    principal = await accounts.authenticate(granted.token, None)
    with hub.listen(f"login:{granted.login.id}") as mine, hub.listen(f"login:{other.login.id}") as theirs:
        revoked = await accounts.revoke_login(principal.actor, owner.id, granted.login.id)
        assert (mine.is_set(), theirs.is_set()) == (True, False)
    assert revoked.revoked_at is not None
    assert not await accounts.still_valid(principal)
    with pytest.raises(Unauthorized):
        await accounts.authenticate(granted.token, None)
    await accounts.authenticate(other.token, None)
    again = await accounts.revoke_login(principal.actor, owner.id, granted.login.id)
    assert again.revoked_at == revoked.revoked_at


async def test_a_disabled_account_has_no_login_no_code_and_comes_back_without_them(
    accounts: Accounts, owner: Account
) -> None:
    anna = await accounts.create(SYSTEM, "Anna")
    granted = await paired(accounts, anna)
    principal = await accounts.authenticate(granted.token, None)
    code = await accounts.make_pairing_code(SYSTEM, anna.id)
    assert not (await accounts.set_active(SYSTEM, anna.id, False)).is_active
    for token in (granted.token,):
        with pytest.raises(Unauthorized):
            await accounts.authenticate(token, None)
    assert not await accounts.still_valid(principal)
    await refused(accounts, code.code)
    await accounts.set_active(SYSTEM, anna.id, True)
    with pytest.raises(Unauthorized):
        await accounts.authenticate(granted.token, None)


async def test_the_last_owner_cannot_be_disabled(accounts: Accounts, owner: Account) -> None:
    with pytest.raises(Conflict) as problem:
        await accounts.set_active(SYSTEM, owner.id, False)
    assert problem.value.code == "last_owner"
    await accounts.create(SYSTEM, "Second", "owner")
    await accounts.set_active(SYSTEM, owner.id, False)


# other accounts, unknown ids


async def test_other_and_unknown_ids_are_not_found_alike(
    accounts: Accounts, owner: Account, clock: HandClock
) -> None:
    anna = await accounts.create(SYSTEM, "Anna")
    mine = await paired(accounts, owner)
    theirs = Actor(anna.id)
    answers: list[Problem] = []
    for verb in (
        accounts.revoke_login(theirs, anna.id, mine.login.id),
        accounts.revoke_login(theirs, anna.id, "nothing"),
        accounts.make_pairing_code(theirs, "nothing"),
        accounts.create_token(theirs, "nothing", "ci", clock.now()),
        accounts.change_settings(theirs, "nothing", {"idle_timeout_s": 60}),
        accounts.set_active(theirs, "nothing", False),
    ):
        with pytest.raises(NotFound) as problem:
            await verb
        answers.append(problem.value)
    assert len({(answer.code, answer.message, str(answer.detail)) for answer in answers}) == 1
    assert len(await accounts.logins(owner.id)) == 1


async def test_an_account_is_found_by_id_or_name(accounts: Accounts, owner: Account) -> None:
    anna = await accounts.create(SYSTEM, "Anna")
    assert await accounts.find(None) == owner
    assert await accounts.find("Anna") == await accounts.find(anna.id) == anna
    await accounts.create(SYSTEM, "Anna")
    for name in ("Anna", "Bob", ""):
        with pytest.raises(Invalid):
            await accounts.find(name)


# settings


async def test_settings_have_defaults_and_change_one_at_a_time(accounts: Accounts, owner: Account) -> None:
    me = Actor(owner.id)
    before = await accounts.settings(owner.id)
    assert (before.idle_timeout_s, before.max_leases) == (1800, 5)
    await accounts.change_settings(me, owner.id, {"idle_timeout_s": 600})
    after = await accounts.change_settings(me, owner.id, {"max_leases": 7})
    assert (after.idle_timeout_s, after.max_leases) == (600, 7)
    assert await accounts.settings(owner.id) == after
    with pytest.raises(Invalid):
        await accounts.change_settings(me, owner.id, {"idle_timeout_s": 600, "max_leases": 1000})
    assert await accounts.settings(owner.id) == after
