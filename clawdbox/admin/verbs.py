"""What a person at the box itself may ask: verbs over a Box."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

import msgspec

from clawdbox import __version__, names, net
from clawdbox.accounts import Account, Login
from clawdbox.admin.args import Answer, Args, Text
from clawdbox.admin.keyring_verbs import (
    AddSlot,
    RemoveSlot,
    Reveal,
    Rotate,
    Unlock,
    WordsWritten,
    add_slot,
    keyring_status,
    make_backup,
    remove_slot,
    renew_words,
    reseal_keyring,
    rotate_keyring,
    unlock,
    words_written,
)
from clawdbox.clock import iso
from clawdbox.errors import Conflict, Invalid, NotFound, Problem
from clawdbox.events import sql as event_sql
from clawdbox.events import wire as event_wire
from clawdbox.events.archive import FOLDER, first_flaw
from clawdbox.events.model import SYSTEM
from clawdbox.events.wire import AUDIT_FILE
from clawdbox.ssh.rules import control_config
from clawdbox.store import Reader

if TYPE_CHECKING:
    from clawdbox.app import Box


class OfAccount(Args, frozen=True):
    """`account` is an id or a display name; without one it is the owner, or everybody in a list."""

    account: Text | None = None


class NewToken(OfAccount, frozen=True, kw_only=True):
    name: Text
    expires_s: Annotated[int, msgspec.Meta(ge=1, le=3650 * 86400)]
    scope: Literal["full", "metrics"] = "full"


class ById(Args, frozen=True):
    id: Text


class Confirmed(Args, frozen=True):
    code: Text


class NewAccount(Args, frozen=True):
    name: Text
    role: Literal["owner", "operator", "viewer"] = "operator"


class WhoseAgents(OfAccount, frozen=True):
    """Without a session all of them."""

    session: Text | None = None


class AuditPage(Args, frozen=True):
    limit: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 50


class AuditAfter(AuditPage, frozen=True):
    after: int = 0


# verbs


async def pair(box: "Box", args: OfAccount) -> Answer:
    """A pairing code, and the links that carry it."""
    account = await box.accounts.find(args.account)
    _refuse_disabled(account)
    code = await box.accounts.make_pairing_code(SYSTEM, account.id)
    links = reach(box)
    return {
        "account": account.display_name,
        "code": code.code,
        "url": f"{links.address}/pair#{code.code}",
        "phone_url": f"{links.phone}/pair#{code.code}" if links.phone else None,
        "expires_at": iso(code.expires_at),
    }


async def confirm(box: "Box", args: Confirmed) -> Answer:
    """Whoever is at the terminal vouches for the login that shows this code."""
    login, account = await box.terminal_codes.confirm(args.code)
    return {"account": account.display_name, "device": login.device_name, "ip_address": login.ip_address}


async def create_token(box: "Box", args: NewToken) -> Answer:
    account = await box.accounts.find(args.account)
    _refuse_disabled(account)
    expires_at = box.clock.now() + timedelta(seconds=args.expires_s)
    granted = await box.accounts.create_token(SYSTEM, account.id, args.name, expires_at, args.scope)
    return {"token": granted.token, "login": _shown_login(granted.login, account)}


async def list_tokens(box: "Box", args: OfAccount) -> Answer:
    tokens = [
        _shown_login(login, account)
        for account in await _accounts(box, args.account)
        for login in await box.accounts.logins(account.id)
        if login.kind == "token"
    ]
    return {"tokens": tokens}


async def revoke_token(box: "Box", args: ById) -> Answer:
    for account in await box.accounts.everyone():
        for login in await box.accounts.logins(account.id):
            if login.kind == "token" and login.id == args.id:
                revoked = await box.accounts.revoke_login(SYSTEM, account.id, login.id)
                return {"login": _shown_login(revoked, account)}
    raise Problem(
        "not_found", f"There is no living token {args.id!r}. `clawdbox token list` shows those there are."
    )


async def list_accounts(box: "Box", _args: Args) -> Answer:
    return {"accounts": [_shown_account(account) for account in await box.accounts.everyone()]}


async def create_account(box: "Box", args: NewAccount) -> Answer:
    """Here a name stands for one account, so it is neither another's name, however written, nor another's id."""
    name = names.label(args.name, "name")
    if any(name in (account.id, account.display_name) for account in await box.accounts.everyone()):
        raise Conflict("name_taken", f"There is an account {name!r} already. Choose another name.")
    return {"account": _shown_account(await box.accounts.create(SYSTEM, args.name, args.role))}


async def enable_account(box: "Box", args: ById) -> Answer:
    return await _set_active(box, args.id, True)


async def disable_account(box: "Box", args: ById) -> Answer:
    return await _set_active(box, args.id, False)


async def list_audit(box: "Box", args: AuditPage) -> Answer:
    """The newest rows of everybody's trail, oldest first."""

    def newest(r: Reader) -> list[Answer]:
        return event_sql.audit_rows_after(r, event_sql.last_issued_audit_id(r) - args.limit, args.limit)

    return {"entries": [_shown_entry(row) for row in await box.store.read(newest)]}


async def page_of_audit(box: "Box", args: AuditAfter) -> Answer:
    """Rows of everybody's trail behind one, oldest first."""
    rows = await box.store.read(lambda r: event_sql.audit_rows_after(r, args.after, args.limit))
    return {"entries": [_shown_entry(row) for row in rows]}


async def verify_audit(box: "Box", _args: Args) -> Answer:
    # The file first: the table, read later, must hold all that the file had.
    try:
        anchor = await asyncio.to_thread(event_wire.last_line, box.data_dir / AUDIT_FILE)
        torn = False
    except msgspec.MsgspecError:
        anchor, torn = None, True
    archives = await box.store.read(event_sql.archives)
    in_files = await asyncio.to_thread(first_flaw, box.data_dir / FOLDER, archives)
    check = await box.store.read(lambda r: box.ledger.verify(r, anchor))
    if in_files and (check.first_bad is None or in_files[0] < check.first_bad):
        return {"rows": in_files[0] - 1, "first_bad": in_files[0], "reason": in_files[1]}
    if torn and check.first_bad is None:
        return {"rows": check.rows, "first_bad": check.rows, "reason": f"{AUDIT_FILE} ends in no audit row"}
    return {"rows": check.rows, "first_bad": check.first_bad, "reason": check.reason}


async def ssh_config(box: "Box", args: OfAccount) -> Answer:
    """The names and stable paths of an account's connections, and the ssh_config made of them."""
    account = await box.accounts.find(args.account)
    found = await box.control_sockets.paths(account.id)
    if found is None:
        raise Conflict(
            "control_sockets_off",
            "This box offers no control sockets: they are switched off (control_sockets = false), or there is no"
            " short private folder for them. Its log says which.",
        )
    hosts = control_config.entries([(one.id, one.label, str(path)) for one, path in found])
    shown = [{"names": entry.names, "label": entry.label, "path": entry.path} for entry in hosts]
    return {"hosts": shown, "text": control_config.text(hosts)}


async def stop_agents(box: "Box", args: WhoseAgents) -> Answer:
    """The kill switch from the box itself: of one session, of one account, or of everybody."""
    total = {"turns": 0, "approvals": 0, "grants": 0}
    for account in await _accounts(box, args.account):
        try:
            stopped = await box.conversations.stop_agents(SYSTEM, account.id, args.session)
        except NotFound:
            continue
        for name in total:
            total[name] += getattr(stopped, name)
    return {"stopped": total}


async def status(box: "Box", _args: Args) -> Answer:
    return {
        "version": __version__,
        "pid": os.getpid(),
        "address": box.address,
        "port": box.own_port,
        "data_dir": str(box.data_dir),
        "demo": box.settings.demo,
        "active_sessions": await box.leases.count_active(),
        "recovery_words_pending": box.recovery.pending,
    }


class Verb(NamedTuple):
    """`makes_box`: it may be the first thing ever asked of a box; `needs_running`: it means nothing offline."""

    run: Callable[["Box", Any], Awaitable[Answer]]
    args: type[Args] = Args
    makes_box: bool = False
    needs_running: bool = False


VERBS: Mapping[str, Verb] = {
    "pair": Verb(pair, OfAccount, needs_running=True),
    "confirm": Verb(confirm, Confirmed, needs_running=True),
    "token.create": Verb(create_token, NewToken, makes_box=True),
    "token.list": Verb(list_tokens, OfAccount),
    "token.revoke": Verb(revoke_token, ById),
    "account.list": Verb(list_accounts),
    "account.create": Verb(create_account, NewAccount, makes_box=True),
    "account.enable": Verb(enable_account, ById),
    "account.disable": Verb(disable_account, ById),
    "backup.make": Verb(make_backup),
    "keyring.status": Verb(keyring_status),
    "keyring.rotate": Verb(rotate_keyring, Rotate),
    "keyring.reseal": Verb(reseal_keyring),
    "keyring.unlock": Verb(unlock, Unlock, needs_running=True),
    "keyring.renew-words": Verb(renew_words, Reveal),
    "keyring.words-written": Verb(words_written, WordsWritten),
    "keyring.add-slot": Verb(add_slot, AddSlot),
    "keyring.remove-slot": Verb(remove_slot, RemoveSlot),
    "audit.list": Verb(list_audit, AuditPage),
    "audit.page": Verb(page_of_audit, AuditAfter),
    "audit.verify": Verb(verify_audit),
    "ssh-config": Verb(ssh_config, OfAccount, needs_running=True),
    "stop-agents": Verb(stop_agents, WhoseAgents, needs_running=True),
    "status": Verb(status, needs_running=True),
}


async def perform(box: "Box", name: str, args: object) -> Answer:
    """Run a verb; raises Problem."""
    verb = VERBS.get(name)
    if verb is None:
        raise Invalid(
            "verb", f"This box knows no {name!r}. Use the clawdbox command of version {__version__}."
        )
    try:
        known = msgspec.convert(args, verb.args)
    except msgspec.ValidationError as error:
        raise Invalid("args", f"{name} cannot be asked like this: {error}.") from None
    return await verb.run(box, known)


class Reach(NamedTuple):
    """Where the box answers: for this machine's own browser, and for a phone (None while bound to loopback)."""

    address: str
    phone: str | None


def reach(box: "Box") -> Reach:
    host = urlsplit(box.address).hostname or ""
    only_here = host == "localhost" or net.is_loopback(host)
    return Reach(box.address, None if only_here else box.address)


async def _accounts(box: "Box", name: str | None) -> list[Account]:
    return await box.accounts.everyone() if name is None else [await box.accounts.find(name)]


async def _set_active(box: "Box", name: str, active: bool) -> Answer:
    account = await box.accounts.find(name)
    return {"account": _shown_account(await box.accounts.set_active(SYSTEM, account.id, active))}


def _refuse_disabled(account: Account) -> None:
    if not account.is_active:
        raise Conflict(
            "account_disabled",
            f"The account {account.display_name!r} is disabled: nobody could sign in with this."
            f" `clawdbox account enable {account.id}` enables it.",
        )


def _shown_account(account: Account) -> Answer:
    shown: Answer = msgspec.to_builtins(account)
    return shown


def _shown_login(login: Login, account: Account) -> Answer:
    return {
        "id": login.id,
        "name": login.device_name,
        "account": account.display_name,
        "scope": login.scope,
        "created_at": iso(login.created_at),
        "expires_at": iso(login.expires_at),
        "last_used_at": iso(login.last_used_at) if login.last_used_at else None,
    }


def _shown_entry(row: dict[str, Any]) -> Answer:
    """As it stands in the table, also where somebody wrote what a row may not hold."""
    try:
        return {**row, "detail": msgspec.json.decode(row["detail"] or "{}")}
    except msgspec.MsgspecError:
        return row
