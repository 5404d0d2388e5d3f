"""What a person at the box itself may ask: verbs over a Box, and the socket through which a running box takes them.

The socket is the person's own (0600) and the caller's user id is checked besides, so there is no login here.
One request a line: `{"verb": …, "args": {…}}`, answered by `{"ok": true, "result": …}` or `{"ok": false, "problem": …}`.
"""

import asyncio
import hashlib
import os
import socket
import stat
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

import msgspec

from clawdbox import __version__, logs, names, net
from clawdbox.accounts import Account, Login
from clawdbox.clock import iso
from clawdbox.errors import Conflict, Invalid, Problem
from clawdbox.events import sql as event_sql
from clawdbox.events import wire as event_wire
from clawdbox.events.model import SYSTEM
from clawdbox.store import Reader

if TYPE_CHECKING:
    from clawdbox.app import Box

log = logs.get("admin")
SOCKET = "admin.sock"
AUDIT_FILE = "audit.jsonl"
MAX_LINE = 1_048_576
_MAX_PATH = 107  # sun_path holds 108 bytes with its final zero (unix(7))
_IDLE_TIMEOUT_S = 60.0

Text = Annotated[str, msgspec.Meta(max_length=200)]
Answer = dict[str, Any]


class Args(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a verb may be told."""


class OfAccount(Args, frozen=True):
    """`account` is an id or a display name; without one it is the owner, or everybody in a list."""

    account: Text | None = None


class NewToken(OfAccount, frozen=True, kw_only=True):
    name: Text
    expires_s: Annotated[int, msgspec.Meta(ge=1, le=3650 * 86400)]
    scope: Literal["full", "metrics"] = "full"


class ById(Args, frozen=True):
    id: Text


class NewAccount(Args, frozen=True):
    name: Text
    role: Literal["owner", "operator", "viewer"] = "operator"


class AuditPage(Args, frozen=True):
    limit: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 50


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


async def keyring_status(box: "Box", _args: Args) -> Answer:
    status: Answer = msgspec.to_builtins(box.keyring.status())
    return {**status, "recovery_words_pending": box.recovery.pending}


async def list_audit(box: "Box", args: AuditPage) -> Answer:
    """The newest rows of everybody's trail, oldest first."""

    def newest(r: Reader) -> list[Answer]:
        return event_sql.audit_rows_after(r, event_sql.last_issued_audit_id(r) - args.limit, args.limit)

    return {"entries": [_shown_entry(row) for row in await box.store.read(newest)]}


async def verify_audit(box: "Box", _args: Args) -> Answer:
    # The file first: the table, read later, must hold all that the file had.
    try:
        anchor = await asyncio.to_thread(event_wire.last_line, box.data_dir / AUDIT_FILE)
        torn = False
    except msgspec.MsgspecError:
        anchor, torn = None, True
    check = await box.store.read(lambda r: box.ledger.verify(r, anchor))
    if torn and check.first_bad is None:
        return {"rows": check.rows, "first_bad": check.rows, "reason": f"{AUDIT_FILE} ends in no audit row"}
    return {"rows": check.rows, "first_bad": check.first_bad, "reason": check.reason}


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
    "token.create": Verb(create_token, NewToken, makes_box=True),
    "token.list": Verb(list_tokens, OfAccount),
    "token.revoke": Verb(revoke_token, ById),
    "account.list": Verb(list_accounts),
    "account.create": Verb(create_account, NewAccount, makes_box=True),
    "account.enable": Verb(enable_account, ById),
    "account.disable": Verb(disable_account, ById),
    "keyring.status": Verb(keyring_status),
    "audit.list": Verb(list_audit, AuditPage),
    "audit.verify": Verb(verify_audit),
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


# the socket


class AdminSocket:
    """Answers the verbs for the life of a box. `path` is where it listens."""

    def __init__(self, box: "Box", environment: Mapping[str, str] = os.environ) -> None:
        self._box = box
        self.path = socket_path(box.data_dir, environment)
        self._server: asyncio.Server | None = None
        self._callers: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """The caller holds the instance lock, so whatever lies at `path` was left by a box that died."""
        if self.path.parent != self._box.data_dir:
            _private_folder(self.path.parent)
        with suppress(FileNotFoundError):
            self.path.unlink()
        listener = _bind(self.path)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=MAX_LINE)

    async def stop(self) -> None:
        if self._server:
            self._server.close()
        with suppress(FileNotFoundError):
            self.path.unlink()
        for caller in self._callers:
            caller.cancel()
        if self._callers:
            await asyncio.wait(self._callers)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        caller = asyncio.current_task()
        assert caller is not None
        self._callers.add(caller)
        try:
            if _peer_uid(writer.get_extra_info("socket")) in (0, os.geteuid()):
                await self._answer_all(reader, writer)
        except (ConnectionError, TimeoutError, asyncio.LimitOverrunError, ValueError):
            pass  # gone, silent or too long: nothing was begun that would have to be undone
        finally:
            self._callers.discard(caller)
            writer.close()

    async def _answer_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await asyncio.wait_for(reader.readline(), _IDLE_TIMEOUT_S):
            writer.write(msgspec.json.encode(await self._answer(line)) + b"\n")
            await writer.drain()

    async def _answer(self, line: bytes) -> Answer:
        try:
            request = msgspec.json.decode(line, type=Request)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return _problem(Invalid("request", f"This is no request: {error}."))
        try:
            result = await perform(self._box, request.verb, request.args)
        except Problem as problem:
            return _problem(problem)
        except Exception:
            log.exception("admin.failed")
            return _problem(Problem("internal", "The box failed at this; its log says where."))
        log.info("admin.done", verb=request.verb)
        return {"ok": True, "result": result}


class Request(msgspec.Struct, frozen=True):
    verb: str
    args: dict[str, Any] = {}


def socket_path(data_dir: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """In the data folder, unless that path is too long for a socket's address."""
    path = data_dir / SOCKET
    if len(os.fsencode(path)) <= _MAX_PATH:
        return path
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:32]
    runtime = environment.get("XDG_RUNTIME_DIR", "")
    parent = Path(runtime) if runtime.startswith("/") and len(runtime) < 40 else Path("/tmp")  # noqa: S108 - a private folder in it
    return parent / f"clawdbox-{os.geteuid()}" / f"{name}.sock"


def _private_folder(folder: Path) -> None:
    """In /tmp anybody may have made one of this name first."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    info = folder.lstat()
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid() or info.st_mode & 0o077:
        raise Problem(
            "admin_socket_folder",
            f"{folder} is not a folder of this user alone (0700). Remove it, then start again.",
        )


def _bind(path: Path) -> socket.socket:
    """Nobody else may open it at any moment: the mode is right from the first."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(os.fspath(path))
    finally:
        os.umask(before)
    listener.setblocking(False)
    return listener


def _peer_uid(peer: Any) -> int:
    _, uid, _ = struct.unpack(
        "3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    )
    return int(uid)


def _problem(problem: Problem) -> Answer:
    detail = msgspec.to_builtins(problem.detail)
    return {"ok": False, "problem": {"code": problem.code, "message": problem.message, "detail": detail}}
