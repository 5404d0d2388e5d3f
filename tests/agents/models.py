"""A model behind the scripted server, and turns of the runtime with it."""

import asyncio
from collections.abc import Callable

import msgspec

from clawdbox.agents.model_providers.model import Endpoint, Kind, ModelProvider
from clawdbox.agents.runtimes.model import ModelRuntime
from clawdbox.agents.runtimes.model.engines import Engines
from clawdbox.errors import NotFound
from clawdbox.vault import Secret
from tests.agents.in_memory import CONTEXT, InMemoryHands
from tests.agents.model_server.server import ModelServer

KEY = "sk-canary-4711-of-the-provider"
OPTIONS = {"provider_id": "p-1"}


def endpoint_of(server: ModelServer, kind: Kind, key: str | None = KEY, **more: str) -> Endpoint:
    url = server.anthropic_url if kind is Kind.ANTHROPIC else server.openai_url
    known = {"label": "My model", "base_url": url, "model": "scripted-1", **more}
    return Endpoint(kind=kind, key=Secret(key.encode()) if key else None, **known)


class World:
    """`pauses` are the waits it would have made. `own_port` is what it takes for the box's own."""

    def __init__(self, endpoint: Endpoint, quiet_s: float = 30.0, max_requests: int = 20) -> None:
        self.at = endpoint
        self.pauses: list[float] = []
        self.own_port: int | None = None
        self.engines = Engines(quiet_s, lambda: self.own_port)
        self.runtime = ModelRuntime(self.engines, self, max_requests, self._pause)
        self.on_pause: Callable[[], None] = lambda: None

    async def all_of(self, account_id: str) -> list[ModelProvider]:
        return []

    async def endpoint(self, account_id: str, provider_id: str, model: str | None = None) -> Endpoint:
        if (account_id, provider_id) != ("a-1", "p-1"):
            raise NotFound
        return msgspec.structs.replace(self.at, model=model or self.at.model)

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.on_pause()

    async def turn(
        self, text: str = "How full are the disks?", hands: InMemoryHands | None = None
    ) -> InMemoryHands:
        hands = hands or InMemoryHands(OPTIONS)
        async with asyncio.timeout(30):
            await self.runtime.run(text, CONTEXT, hands)
        return hands
