"""`/notifications`: where an account is told of what happens, and what was sent there."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import delete, get, patch, post
from litestar.params import JSONBody, QueryParameter

from clawdbox.errors import Invalid
from clawdbox.notify.model import Channel, Email, Logged, Ntfy, Outcome, State, Target, Webhook, WebPush
from clawdbox.notify.rules.deliveries import GONE_WORDS, words
from clawdbox.web.fields import Host, Label, PathId
from clawdbox.web.gate import check_browser
from clawdbox.web.limits import check
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at, visit_of

NotifyKind = Literal[
    "approval_waiting",
    "turn_finished",
    "agent_needs_answer",
    "session_lost",
    "key_event",
    "host_key_event",
    "incident",
]
Kinds = Annotated[
    list[NotifyKind],
    msgspec.Meta(max_length=7, description="What to be told of.", examples=[["approval_waiting"]]),
]
Url = Annotated[str, msgspec.Meta(min_length=1, max_length=2048, examples=["https://ntfy.sh"])]
Mail = Annotated[str, msgspec.Meta(min_length=3, max_length=254, examples=["anna@example.com"])]
Text = Annotated[str, msgspec.Meta(max_length=512)]
KEYS = "The keys of the browser's subscription, in base64url."


class WebPushBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `PushSubscription.toJSON()` gives in a browser."""

    endpoint: Url
    p256dh: Annotated[str, msgspec.Meta(max_length=128, description=KEYS)]
    auth: Annotated[str, msgspec.Meta(max_length=64, description=KEYS)]


class NtfyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`local_network`: the server lies in a private network, and may be asked without TLS there."""

    server: Url
    topic: Annotated[str, msgspec.Meta(min_length=1, max_length=64, examples=["clawdbox-x7f3"])]
    token: Text | None = None
    local_network: bool = False


class EmailBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`none` of `security` is for a server in the local network alone, and never with a password."""

    host: Host
    sender: Mail
    to: Mail
    port: Annotated[int, msgspec.Meta(ge=1, le=65535, examples=[465])] = 465
    security: Literal["tls", "starttls", "none"] = "tls"
    username: Text | None = None
    password: Text | None = None
    local_network: bool = False


class WebhookBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: Url
    local_network: bool = False


class NewChannel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Exactly one of `webpush`, `ntfy`, `email` and `webhook` is given."""

    label: Label
    kinds: Kinds
    with_command: bool = False
    webpush: WebPushBody | None = None
    ntfy: NtfyBody | None = None
    email: EmailBody | None = None
    webhook: WebhookBody | None = None


class ChannelPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Only what is given changes."""

    label: Label | None = None
    kinds: Kinds | None = None
    with_command: bool | None = None
    enabled: bool | None = None


class ChannelView(msgspec.Struct, frozen=True):
    """`host` is all that is shown of where it leads; `this_device` is the web push of the browser that asks."""

    id: str
    kind: str
    label: str
    host: str
    kinds: list[str]
    with_command: bool
    enabled: bool
    this_device: bool
    created_at: datetime
    updated_at: datetime
    last_ok_at: datetime | None
    failing_since: datetime | None


class ChannelList(msgspec.Struct, frozen=True):
    channels: list[ChannelView]


class OneChannel(msgspec.Struct, frozen=True):
    channel: ChannelView


class AddedChannel(msgspec.Struct, frozen=True):
    """`secret` is what the receiver of a webhook checks signatures with; it is shown this once."""

    channel: ChannelView
    secret: str | None


class TrialView(msgspec.Struct, frozen=True):
    """`error` and `message` say why it did not arrive."""

    ok: bool
    error: str | None
    message: str | None


class DeliveryView(msgspec.Struct, frozen=True):
    """`events`: of how many events it tells. `failed` was refused for good, `gave_up` was tried often enough, or too late."""

    id: str
    channel_id: str
    channel_kind: str
    channel_label: str
    kind: str
    events: int
    state: str
    attempts: int
    next_try_at: datetime | None
    error: str | None
    message: str | None
    created_at: datetime
    sent_at: datetime | None


class DeliveryList(msgspec.Struct, frozen=True):
    deliveries: list[DeliveryView]
    has_more: bool


class VapidView(msgspec.Struct, frozen=True):
    public_key: str


@get("/notifications/channels", summary="Channels", responses=usual())
async def list_notify_channels(request: Req) -> ChannelList:
    """Where the account is told. Addresses and tokens are never shown again, only hosts."""
    box, who = at(request)
    found = await box.notify_channels.all_of(who.account_id)
    return ChannelList([view(channel, host, who.login.id) for channel, host in found])


@post(
    "/notifications/channels",
    opt={"action": "notify_channel.add", "once": False},
    summary="Add a channel",
    responses=usual(422, s409="There are 20 already (`channel_limit_reached`)."),
)
async def add_notify_channel(request: Req, data: JSONBody[NewChannel]) -> AddedChannel:
    """A web push belongs to the browser that adds it, and ends with its login."""
    box, who = at(request)
    if data.webpush:
        check_browser(visit_of(request.scope), "Only a browser can turn on notifications for itself.")
    channel, secret = await box.notify_channels.add(
        who.actor,
        who.account_id,
        label=data.label,
        target=target_of(data, visit_of(request.scope).origin),
        kinds=data.kinds,
        with_command=data.with_command,
    )
    return AddedChannel(view(channel, box.notify_channels.host_of(channel), who.login.id), secret)


@patch(
    "/notifications/channels/{channel_id:str}",
    opt={"action": "notify_channel.change"},
    summary="Change a channel",
    responses=usual(404, 422),
)
async def change_notify_channel(request: Req, channel_id: PathId, data: JSONBody[ChannelPatch]) -> OneChannel:
    """What it tells. Where it leads is chosen when it is added."""
    box, who = at(request)
    given = {name: value for name, value in msgspec.structs.asdict(data).items() if value is not None}
    channel = await box.notify_channels.change(who.actor, who.account_id, channel_id, given)
    return OneChannel(view(channel, box.notify_channels.host_of(channel), who.login.id))


@delete(
    "/notifications/channels/{channel_id:str}",
    status_code=200,
    opt={"action": "notify_channel.remove"},
    summary="Remove a channel",
    responses=usual(404),
)
async def remove_notify_channel(request: Req, channel_id: PathId) -> OneChannel:
    """Its settings are gone at once; what it sent stays in the log for 30 days."""
    box, who = at(request)
    channel = await box.notify_channels.remove(who.actor, who.account_id, channel_id)
    return OneChannel(view(channel, box.notify_channels.host_of(channel), who.login.id))


@post(
    "/notifications/channels/{channel_id:str}/test",
    status_code=200,
    opt={"action": "notify_channel.test"},
    summary="Send a test",
    responses=usual(404),
)
async def try_notify_channel(request: Req, channel_id: PathId) -> TrialView:
    """Sends a message now, and says what came of it."""
    box, who = at(request)
    limits = request.app.state["limits"]
    check(limits.notify_test, who.account_id, box.clock.monotonic())
    outcome = await box.notify_channels.test(who.actor, who.account_id, channel_id)
    return TrialView(outcome.state is State.SENT, outcome.code, said(outcome))


@get("/notifications/deliveries", summary="What was sent", responses=usual())
async def list_notify_deliveries(
    request: Req,
    limit: Annotated[int, QueryParameter(ge=1, le=200, description="At most this many.")] = 50,
    before: Annotated[
        str | None, QueryParameter(max_length=64, description="Only what is older than this delivery.")
    ] = None,
) -> DeliveryList:
    """Newest first, of the last 30 days, also of channels that were removed meanwhile."""
    box, who = at(request)
    found = await box.notify_channels.deliveries(who.account_id, limit + 1, before)
    return DeliveryList([delivery_view(logged) for logged in found[:limit]], len(found) > limit)


@get("/notifications/vapid", summary="The key of this box at push services", responses=usual())
async def get_vapid_key(request: Req) -> VapidView:
    """The `applicationServerKey` with which a browser subscribes."""
    box, _who = at(request)
    return VapidView(await box.notify_channels.vapid.public())


def target_of(data: NewChannel, origin: str) -> Target:
    """Raises Invalid."""
    given = [body for body in (data.webpush, data.ntfy, data.email, data.webhook) if body is not None]
    if len(given) != 1:
        raise Invalid("webhook", "Give exactly one of webpush, ntfy, email and webhook.")
    match given[0]:
        case WebPushBody() as push:
            return WebPush(push.endpoint, push.p256dh, push.auth, origin)
        case NtfyBody() as ntfy:
            return Ntfy(ntfy.server, ntfy.topic, ntfy.token, ntfy.local_network)
        case EmailBody() as mail:
            return Email(
                host=mail.host,
                port=mail.port,
                security=mail.security,
                username=mail.username,
                password=mail.password,
                sender=mail.sender,
                to=mail.to,
                local=mail.local_network,
            )
        case WebhookBody() as hook:
            return Webhook(hook.url, "", hook.local_network)


def view(channel: Channel, host: str, login_id: str) -> ChannelView:
    return ChannelView(
        id=channel.id,
        kind=channel.kind.value,
        label=channel.label,
        host=host,
        kinds=channel.kinds,
        with_command=channel.with_command,
        enabled=channel.enabled,
        this_device=channel.login_id == login_id,
        created_at=channel.created_at,
        updated_at=channel.updated_at,
        last_ok_at=channel.last_ok_at,
        failing_since=channel.failing_since,
    )


def delivery_view(logged: Logged) -> DeliveryView:
    delivery = logged.delivery
    code = delivery.last_error
    return DeliveryView(
        id=delivery.id,
        channel_id=delivery.channel_id,
        channel_kind=logged.channel_kind.value,
        channel_label=logged.channel_label,
        kind=delivery.kind.value,
        events=sum(delivery.folded.values()) if delivery.folded else 1,
        state=delivery.state.value,
        attempts=delivery.attempts,
        next_try_at=delivery.next_try_at,
        error=code,
        message=words(code) if code else None,
        created_at=delivery.created_at,
        sent_at=delivery.sent_at,
    )


def said(outcome: Outcome) -> str | None:
    if outcome.gone:
        return GONE_WORDS
    return words(outcome.code) if outcome.code else None
