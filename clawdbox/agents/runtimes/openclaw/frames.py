"""The frames of the gateway's protocol 4, which are JSON in text messages of a WebSocket."""

from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
PROTOCOL = 4
MAX_FRAME = (
    8 * 1024 * 1024
)  # what a gateway may send in one message; a history is asked for in smaller pieces
_NULL = msgspec.Raw(b"null")


class Malformed(Exception):
    """What came is no frame of this protocol."""


class Failure(msgspec.Struct, frozen=True, rename="camel"):
    """`error` of a response. `details.code` and `details.reason` are what a client goes by."""

    code: str = ""
    message: str = ""
    details: dict[str, Any] | None = None
    retryable: bool = False
    retry_after_ms: float | None = None

    @property
    def reason(self) -> str:
        """The most exact word for it."""
        known = self.details or {}
        return str(known.get("code") or known.get("reason") or self.code)


class Response(msgspec.Struct, frozen=True, tag="res"):
    id: str
    ok: bool
    payload: msgspec.Raw = _NULL
    error: Failure | None = None


class Event(msgspec.Struct, frozen=True, tag="event"):
    """`seq` counts the events of one connection."""

    event: str
    payload: msgspec.Raw = _NULL
    seq: int | None = None


class Request(msgspec.Struct, frozen=True, tag="req"):
    id: str
    method: str
    params: Any


_frames = msgspec.json.Decoder(Response | Event | Request)


def read(message: str | bytes) -> Response | Event:
    """Raises Malformed."""
    if isinstance(message, bytes):
        raise Malformed("a binary message")
    try:
        frame: Response | Event | Request = _frames.decode(message)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Malformed(str(error)[:200]) from None
    if isinstance(frame, Request):
        raise Malformed("a request, which a gateway does not make")
    return frame


def request(id_: str, method: str, params: Any) -> str:
    return msgspec.json.encode(Request(id_, method, params)).decode()


class Payload(msgspec.Struct, frozen=True, rename="camel"):
    """What all payloads share: names in camelCase, and whatever else is in them is left alone."""


class Challenge(Payload, frozen=True):
    nonce: str
    ts: int


class Server(Payload, frozen=True):
    version: str = ""
    boot_id: str = ""


class Granted(Payload, frozen=True):
    """`auth` of hello-ok. `device_token` lets this device in from now on."""

    scopes: tuple[str, ...] = ()
    device_token: str | None = None


class Hello(Payload, frozen=True):
    protocol: int
    server: Server
    auth: Granted = Granted()


class Part(Payload, frozen=True):
    """One block of a message's content."""

    type: str = ""
    text: str = ""


class Tokens(Payload, frozen=True):
    input: int = 0
    output: int = 0
    cost: dict[str, Any] | None = None


class Marks(Payload, frozen=True):
    """`__openclaw` of a row of the history."""

    run_id: str | None = None


class Message(Payload, frozen=True):
    """A row of the history, or what an assistant has said so far."""

    role: str = ""
    content: str | tuple[Part, ...] = ()
    idempotency_key: str | None = None
    stop_reason: str | None = None
    usage: Tokens | None = None
    marks: Marks = msgspec.field(default=Marks(), name="__openclaw")
    openclaw_abort: dict[str, Any] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content if part.type == "text")


class Chat(Payload, frozen=True):
    """Of the event `chat`. `message` holds all that the run has said so far, `delta_text` what is new."""

    run_id: str
    session_key: str
    state: str
    delta_text: str = ""
    replace: bool = False
    message: Message | None = None
    error_message: str | None = None
    stop_reason: str | None = None


class Agent(Payload, frozen=True):
    """Of the event `agent`: what a run does besides speaking."""

    run_id: str
    stream: str
    session_key: str | None = None
    data: dict[str, Any] = {}


class ApprovalRequest(Payload, frozen=True):
    command: str = ""
    cwd: str | None = None
    host: str | None = None
    session_key: str | None = None
    run_id: str | None = None
    env: dict[str, Any] | None = None
    env_keys: tuple[str, ...] | None = None
    warning_text: str | None = None


class ExecApproval(Payload, frozen=True):
    """Of `exec.approval.requested`, and a row of `exec.approval.list`."""

    id: str
    request: ApprovalRequest


class ApprovalEnd(Payload, frozen=True):
    """Of `exec.approval.resolved`."""

    id: str
    decision: str = ""
    resolved_by: str | None = None


class Started(Payload, frozen=True):
    """What `chat.send` answers: started, in_flight, or how a run with that key has ended."""

    run_id: str
    status: str = ""


class Session(Payload, frozen=True):
    """What `sessions.create` answers."""

    key: str


class InFlight(Payload, frozen=True):
    """A run under way: all that it has said so far, and the last of its other events."""

    run_id: str
    text: str = ""
    events: tuple[Agent, ...] = ()


class SessionInfo(Payload, frozen=True):
    status: str | None = None
    has_active_run: bool = False
    active_run_ids: tuple[str, ...] | None = None
    last_run_id: str | None = None


class Receipt(Payload, frozen=True):
    run_id: str
    state: str


class DeltaRow(Payload, frozen=True):
    message: Message


class History(Payload, frozen=True):
    """What `chat.history` answers. `kind` is "delta" for what has come since a cursor, "reset" when that is of no use."""

    kind: str = ""
    messages: tuple[msgspec.Raw, ...] = ()
    delta_cursor: str | None = None
    has_more: bool = False
    next_offset: int | None = None
    session_info: SessionInfo = SessionInfo()
    in_flight_run: InFlight | None = None
    input_receipts: tuple[Receipt, ...] = ()


def messages_of(history: History) -> list[Message]:
    """Its rows. Raises Malformed."""
    if history.kind == "delta":
        return [payload(raw, DeltaRow).message for raw in history.messages]
    return [payload(raw, Message) for raw in history.messages]


def payload(raw: msgspec.Raw | bytes, kind: type[T]) -> T:
    """Raises Malformed."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Malformed(str(error)[:200]) from None
