"""The runtime `model`: a conversation's provider, and a loop for each turn."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from clawdbox.agents.model import Context
from clawdbox.agents.model_providers.model import Endpoint, ModelProvider
from clawdbox.agents.rules.model_providers import check_model
from clawdbox.agents.runtimes.model.engines import Engines
from clawdbox.agents.runtimes.model.prompt import instructions
from clawdbox.agents.runtimes.port import Choice, Hands, Offer
from clawdbox.errors import Conflict, NotFound

Pause = Callable[[float], Awaitable[None]]


class Providers(Protocol):
    """What this runtime needs of `agents.model_providers.service`."""

    async def all_of(self, account_id: str) -> list[ModelProvider]: ...

    async def endpoint(self, account_id: str, provider_id: str, model: str | None = None) -> Endpoint: ...


class ModelRuntime:
    """A conversation's `runtime_options` are `provider_id`, and `model` where it is not the provider's own."""

    name = "model"
    resumes = True
    judged = True

    def __init__(
        self, engines: Engines, providers: Providers, max_requests: int, pause: Pause = asyncio.sleep
    ) -> None:
        self._engines = engines
        self._providers = providers
        self._max_requests = max_requests
        self._pause = pause

    async def offer(self, account_id: str, connection_id: str) -> Offer:
        found = await self._providers.all_of(account_id)
        if not found:
            return Offer(why_not="Add a model under Settings → Models first.")
        return Offer(
            tuple(Choice(one.id, one.label, one.model, options={"provider_id": one.id}) for one in found)
        )

    async def run(self, turn_text: str, context: Context, hands: Hands) -> None:
        """Raises Conflict `model_provider_missing`, `turn_limit`; Upstream for what its provider is to blame for."""
        endpoint = await self._endpoint(hands)
        libraries = await self._engines.libraries()
        async with await self._engines.open(endpoint) as engine:
            loop = libraries.Loop(
                engine, endpoint, hands, instructions(context), self._max_requests, self._pause
            )
            await loop.run(turn_text)

    async def stop(self, context: Context, hands: Hands) -> None:
        """Nothing of it runs outside the box: its stream ended with its turn."""

    async def _endpoint(self, hands: Hands) -> Endpoint:
        conversation = hands.conversation
        provider_id = conversation.runtime_options.get("provider_id")
        model = conversation.runtime_options.get("model")
        if isinstance(provider_id, str):
            try:
                named = check_model(model, "runtime_options") if isinstance(model, str) else None
                return await self._providers.endpoint(conversation.account_id, provider_id, named)
            except NotFound:
                pass
        raise Conflict(
            "model_provider_missing",
            "What this conversation asked its model at was removed. Choose another one for it.",
        )
