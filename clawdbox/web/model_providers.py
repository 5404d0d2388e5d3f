"""`/model-providers`: where a model of one's own is asked. A key goes in and never comes out."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import delete, get, patch, post
from litestar.params import JSONBody

from clawdbox.agents.model_providers.model import ModelProvider, Preset
from clawdbox.agents.rules.model_providers import PRESETS
from clawdbox.web.fields import Label, PathId
from clawdbox.web.limits import Limits, check
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at

Address = Annotated[
    str,
    msgspec.Meta(
        max_length=1024,
        description="Where, without what the protocol itself appends. https, or http within loopback and private networks.",
        examples=["http://127.0.0.1:11434/v1"],
    ),
]
ModelName = Annotated[
    str, msgspec.Meta(max_length=256, description="As its provider writes it.", examples=["qwen3:14b"])
]
Key = Annotated[
    str, msgspec.Meta(max_length=8192, description="Sealed at once; it is in no answer.", examples=["sk-…"])
]


class ModelProviderView(msgspec.Struct, frozen=True):
    id: str
    label: str
    kind: str
    base_url: str
    model: str
    has_key: bool
    created_at: datetime
    updated_at: datetime


class PresetView(msgspec.Struct, frozen=True):
    """What most people fill in for a known service or program."""

    name: str
    kind: str
    base_url: str
    needs_key: bool
    model_example: str
    about: str


class ModelProviderList(msgspec.Struct, frozen=True):
    model_providers: list[ModelProviderView]
    presets: list[PresetView]


class OneModelProvider(msgspec.Struct, frozen=True):
    model_provider: ModelProviderView


class NewModelProvider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    label: Label
    kind: Literal["openai", "anthropic"]
    base_url: Address
    model: ModelName
    api_key: Key | None = None


class ModelProviderPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Only what is given changes; an `api_key` of null takes the key away. Another host or port wants it anew."""

    label: Label | None = None
    base_url: Address | None = None
    model: ModelName | None = None
    api_key: Key | msgspec.UnsetType | None = msgspec.UNSET


class ModelTestView(msgspec.Struct, frozen=True):
    """`code` and `message` say why it did not answer; `listed` is null where it lists no models."""

    ok: bool
    message: str
    code: str | None
    first_ms: float | None
    models: list[str]
    listed: bool | None


@get("/model-providers", summary="Where models are asked", responses=usual())
async def list_model_providers(request: Req) -> ModelProviderList:
    """All of the account by their labels, and what can be filled in for services and programs that are known."""
    box, who = at(request)
    found = await box.model_providers.all_of(who.account_id)
    return ModelProviderList([view(one) for one in found], [_preset(one) for one in PRESETS])


@post(
    "/model-providers",
    opt={"action": "model_provider.create"},
    summary="Add a place where models are asked",
    responses=usual(
        422,
        s409="The label is taken (`label_taken`), or there are 50 (`model_provider_limit_reached`).",
    ),
)
async def create_model_provider(request: Req, data: JSONBody[NewModelProvider]) -> OneModelProvider:
    """Nothing is asked there yet: a test does that."""
    box, who = at(request)
    provider = await box.model_providers.create(
        who.actor, who.account_id, data.label, data.kind, data.base_url, data.model, data.api_key
    )
    return OneModelProvider(view(provider))


@patch(
    "/model-providers/{provider_id:str}",
    opt={"action": "model_provider.update"},
    summary="Change a place where models are asked",
    responses=usual(404, 422, s409="The label is taken (`label_taken`)."),
)
async def change_model_provider(
    request: Req, provider_id: PathId, data: JSONBody[ModelProviderPatch]
) -> OneModelProvider:
    """Counts from the next turn on."""
    box, who = at(request)
    provider = await box.model_providers.change(
        who.actor,
        who.account_id,
        provider_id,
        label=data.label,
        base_url=data.base_url,
        model=data.model,
        key=data.api_key,
    )
    return OneModelProvider(view(provider))


@delete(
    "/model-providers/{provider_id:str}",
    status_code=200,
    opt={"action": "model_provider.remove"},
    summary="Remove a place where models are asked",
    responses=usual(404),
)
async def remove_model_provider(request: Req, provider_id: PathId) -> OneModelProvider:
    """Its key is gone with this. Conversations that ask there say so at their next turn."""
    box, who = at(request)
    return OneModelProvider(view(await box.model_providers.remove(who.actor, who.account_id, provider_id)))


@post(
    "/model-providers/{provider_id:str}/test",
    status_code=200,
    opt={"action": "model_provider.test"},
    summary="Ask a model for a word",
    responses=usual(404),
)
async def run_model_test(request: Req, provider_id: PathId) -> ModelTestView:
    """A real request with the tools of a conversation, of a few tokens. What went wrong is in the answer."""
    box, who = at(request)
    limits: Limits = request.app.state["limits"]
    check(limits.test, f"{who.account_id} {provider_id}", box.clock.monotonic())
    found = await box.model_providers.test(who.actor, who.account_id, provider_id)
    return ModelTestView(
        found.ok, found.message, found.code, found.first_ms, list(found.models), found.listed
    )


def view(provider: ModelProvider) -> ModelProviderView:
    return ModelProviderView(
        provider.id,
        provider.label,
        provider.kind,
        provider.base_url,
        provider.model,
        provider.has_key,
        provider.created_at,
        provider.updated_at,
    )


def _preset(one: Preset) -> PresetView:
    return PresetView(one.name, one.kind, one.base_url, one.needs_key, one.model_example, one.about)
