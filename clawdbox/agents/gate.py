"""The gate that every command of an agent passes, whichever way it comes: judged, asked about, and let through once."""

import asyncio
import shlex
from collections.abc import Callable
from typing import Literal

import msgspec

from clawdbox.accounts.model import AccountSettings
from clawdbox.agents import sql
from clawdbox.agents.journal import Journal
from clawdbox.agents.model import Turn, WaitsFor
from clawdbox.agents.runtimes.port import TurnCancelled
from clawdbox.approvals.model import Approval, Asked, Bound, Grant, Kind, Option, State
from clawdbox.approvals.rules import answered_before, bound_of, why_not
from clawdbox.approvals.service import Approvals
from clawdbox.policy import Class, Judgement, Mode, Tier, Verdict, decide, judge, judge_file
from clawdbox.ssh.model import Connection
from clawdbox.ssh.rules.jumps import hops
from clawdbox.ssh.sql import connections as connection_sql
from clawdbox.store import Reader, Store, Tx

ALLOW_OR_DENY = (Option("allow", "Allow", "allow_once"), Option("deny", "Deny", "reject_once"))
_UNSEEN = Judgement(
    klass=Class.UNKNOWN,
    why=("The agent does this with a tool of its own, so the box does not know what it does.",),
    programs=(),
    cannot_be_undone=None,
    secret=None,
    egress=False,
)

ReadSettings = Callable[[Reader, str], AccountSettings]


class Wish(msgspec.Struct, frozen=True):
    """What an agent wants to do. `text` is a command, or the text that a file is to get; None where it is neither.

    `place` is the directory of a command, or the path of a file, behind links; then `named` is what the agent calls it.
    """

    kind: Kind
    call_id: str
    title: str
    text: str | None
    place: str = ""
    reason: str = ""
    detail: str = ""
    options: tuple[Option, ...] = ALLOW_OR_DENY
    file: Literal["", "read", "write", "delete"] = (
        ""  # of a question: `place` is a file, to which the agent itself does this
    )
    named: str = ""


class Pass(msgspec.Struct, frozen=True):
    """What became of a wish. Without `refused` it may begin, and is used up in the transaction in which it does."""

    bound: Bound
    refused: str | None = None
    approval: Approval | None = None
    grant: Grant | None = None
    option: str | None = None

    @property
    def klass(self) -> str:
        return self.bound.klass


class Scene(msgspec.Struct, frozen=True):
    """What is true of the connection and the account at the moment of a wish."""

    connection: Connection
    settings: AccountSettings
    lease_id: str
    tainted: bool
    place: str


class Gate:
    """Of one turn in flight."""

    def __init__(
        self,
        store: Store,
        approvals: Approvals,
        settings: ReadSettings,
        journal: Journal,
        account_id: str,
        turn: Turn,
        cancelled: asyncio.Event,
        unasked: int,
    ) -> None:
        self._store = store
        self._approvals = approvals
        self._settings = settings
        self._journal = journal
        self._account_id = account_id
        self._turn = turn
        self._cancelled = cancelled
        self._unasked = unasked  # what unattended work has done without a question
        self.waited_s = 0.0

    async def judge(self, wish: Wish) -> Pass:
        """May this happen now? Waits for a person where the policy says so. Raises TurnCancelled."""
        judgement = _judged(wish)
        scene = await self._store.read(self._look)
        decision = decide(
            judgement,
            Tier(scene.connection.tier),
            Mode(scene.settings.agent_mode),
            tainted=scene.tainted,
            budget_left=self._unasked < scene.settings.unattended_commands,
        )
        why = (decision.why, *(reason for reason in judgement.why if reason != decision.why))
        asked = self._question(wish, judgement, scene, why)
        bound = bound_of(asked)
        if decision.verdict is Verdict.DENY:
            return Pass(bound, refused=decision.why, option=_first(asked.options, allows=False))
        if decision.verdict is Verdict.ASK:
            return await self._ask(asked, bound, scene)
        self._unasked += judgement.klass is not Class.READ
        return Pass(bound, option=_first(asked.options, allows=True))

    async def withdraw(self, call_id: str, why: str) -> None:
        """Nobody waits for that answer any more. Also after the turn was told to end."""
        account_id, turn_id = self._account_id, self._turn.id
        await self._store.write(lambda tx: self._approvals.void_call(tx, account_id, turn_id, call_id, why))

    async def judges_people(self) -> bool:
        """Whether the connection wants what a person types to be judged, too."""
        return (await self._store.read(self._look)).connection.judge_people

    def using(self, passed: Pass) -> Callable[[Tx], None]:
        """What uses the pass up, within the transaction in which the wish begins. Raises Conflict `approval_used_up`."""

        def use(tx: Tx) -> None:
            if passed.approval is not None:
                self._approvals.use(tx, passed.approval, passed.bound)
            elif passed.grant is not None:
                self._approvals.use_grant(tx, passed.grant)

        return use

    # asking

    async def _ask(self, asked: Asked, bound: Bound, scene: Scene) -> Pass:
        def put(tx: Tx) -> Approval | Grant:
            return self._approvals.granted(tx, scene.lease_id, bound) or self._put(tx, asked)

        found = await self._journal.write(put)
        if isinstance(found, Grant):
            return Pass(bound, grant=found, option=_first(asked.options, allows=True))
        approval = await self._settled(found)
        option = approval.option_id or _first(asked.options, allows=approval.state is State.ALLOWED)
        if approval.kind is Kind.QUESTION and answered_before(approval, bound):
            return Pass(bound, option=option)  # the agent, or the box, died before it heard the answer
        if await self._store.read(lambda r: self._approvals.usable(r, approval, bound)):
            return Pass(bound, approval=approval, option=option)
        return Pass(bound, refused=why_not(approval, bound), approval=approval, option=option)

    def _put(self, tx: Tx, asked: Asked) -> Approval:
        approval, is_new = self._approvals.ask(tx, asked)
        if is_new:
            sql.append(
                tx,
                self._turn.conversation_id,
                self._turn.id,
                "approval.requested",
                {
                    "approval_id": approval.id,
                    "call_id": approval.call_id,
                    "kind": approval.kind,
                    "title": approval.title,
                    "command": approval.command,
                    "class": approval.klass,
                    "expires_at": approval.expires_at,
                },
            )
        if approval.state is State.PENDING:
            sql.set_waiting(tx, self._turn.id, WaitsFor.APPROVAL)
        return approval

    async def _settled(self, approval: Approval) -> Approval:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        settling = asyncio.ensure_future(self._approvals.settled(approval))
        cancelling = asyncio.ensure_future(self._cancelled.wait())
        try:
            await asyncio.wait({settling, cancelling}, return_when=asyncio.FIRST_COMPLETED)
            if not settling.done():
                raise TurnCancelled
            return settling.result()
        finally:
            self.waited_s += loop.time() - begun
            settling.cancel()
            cancelling.cancel()

    def _question(self, wish: Wish, judgement: Judgement, scene: Scene, why: tuple[str, ...]) -> Asked:
        return Asked(
            account_id=self._account_id,
            connection_id=scene.connection.id,
            session_lease_id=scene.lease_id,
            conversation_id=self._turn.conversation_id,
            turn_id=self._turn.id,
            call_id=wish.call_id,
            kind=wish.kind,
            title=wish.title,
            username=scene.connection.username,
            klass=judgement.klass.value,
            why=why,
            command=wish.text,
            directory=wish.place,
            cannot_be_undone=judgement.cannot_be_undone,
            reason=wish.reason,
            detail=wish.detail,
            options=tuple(option for option in wish.options if option.kind != "allow_always"),
            place=scene.place,
        )

    def _look(self, r: Reader) -> Scene:
        turn = sql.turn(r, self._turn.conversation_id, self._turn.id)
        conversation = sql.conversation(r, self._account_id, turn.conversation_id)
        connection = connection_sql.get(r, self._account_id, conversation.connection_id)
        return Scene(
            connection=connection,
            settings=self._settings(r, self._account_id),
            lease_id=turn.session_lease_id,
            tainted=sql.has_output(r, turn.conversation_id),
            place=_place(r, connection),
        )


def _place(r: Reader, connection: Connection) -> str:
    """Where it leads, the server first, then each host on the way to it."""
    jumps = connection_sql.jumps(r, connection.account_id) if connection.jump_connection_id else {}
    on_the_way = [
        connection_sql.get(r, connection.account_id, hop, deleted=True)
        for hop in hops(jumps, connection.jump_connection_id)
    ]
    return " via ".join(f"{one.host} {one.port}" for one in (connection, *on_the_way))


def _judged(wish: Wish) -> Judgement:
    if wish.kind is Kind.FILE:
        return _judged_file(wish.place, wish.named or wish.place, write=wish.text is not None)
    if wish.file == "delete":
        return judge(shlex.join(["rm", "-r", "--", wish.place]))
    if wish.file:
        return judge_file(wish.place, write=wish.file == "write")
    if wish.text is None:
        return _UNSEEN
    if not wish.place:
        return judge(wish.text)
    # The agent may have gone elsewhere meanwhile, so that its directory never makes a command any better.
    return _worse(judge(wish.text, cwd=wish.place), judge(wish.text))


def _judged_file(place: str, named: str, *, write: bool) -> Judgement:
    if place == named:
        return judge_file(place, write=write)
    worse = _worse(judge_file(place, write=write), judge_file(named, write=write))
    return msgspec.structs.replace(worse, why=(f"The name {named} leads to {place}.", *worse.why))


def _worse(one: Judgement, other: Judgement) -> Judgement:
    """The worse of two, with what either of them warns of."""
    worse, better = (other, one) if other.klass.rank > one.klass.rank else (one, other)
    return msgspec.structs.replace(
        worse,
        cannot_be_undone=worse.cannot_be_undone or better.cannot_be_undone,
        secret=worse.secret or better.secret,
        egress=worse.egress or better.egress,
        credentials=worse.credentials or better.credentials,
    )


def _first(options: tuple[Option, ...], *, allows: bool) -> str | None:
    return next((option.id for option in options if option.allows is allows), None)
