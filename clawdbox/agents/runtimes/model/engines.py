"""Opens engines. The libraries behind them are imported with the first one: they cost seconds."""

import asyncio
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

from clawdbox.agents.model_providers.model import Endpoint, Verdict
from clawdbox.outward import tls_context

if TYPE_CHECKING:
    from clawdbox.agents.runtimes.model.libraries import Engine, Libraries

_TEST_S = 25.0  # a request to the box may take 30


class Engines:
    """`quiet_s` is how long a model may say nothing, `own_port` the box's own, where nothing is asked."""

    def __init__(self, quiet_s: float, own_port: Callable[[], int | None]) -> None:
        self._quiet_s = quiet_s
        self._own_port = own_port
        self._loading = asyncio.Lock()
        self._trust: ssl.SSLContext | None = None

    async def libraries(self) -> "type[Libraries]":
        """Imported on a thread, so that terminals do not feel it."""
        async with self._loading:
            if self._trust is None:
                self._trust = await asyncio.to_thread(tls_context)
            return await asyncio.to_thread(_imported)

    async def open(self, endpoint: Endpoint, quiet_s: float | None = None) -> "Engine":
        """Not connected yet; to be closed by `async with`."""
        libraries = await self.libraries()
        assert self._trust is not None, "it is made before the libraries are handed out"
        return libraries.Engine(endpoint, self._own_port, self._trust, quiet_s or self._quiet_s)

    async def probe(self, endpoint: Endpoint) -> Verdict:
        """Whether a model answers there."""
        libraries = await self.libraries()
        try:
            async with asyncio.timeout(_TEST_S), await self.open(endpoint, _TEST_S) as engine:
                return await libraries.probe(engine, endpoint)
        except TimeoutError:
            return Verdict(
                False,
                f"{endpoint.label} said nothing within {_TEST_S:.0f} seconds. A model of one's own may still be loading:"
                " test it again in a minute.",
                "model_stalled",
            )


def _imported() -> "type[Libraries]":
    from clawdbox.agents.runtimes.model.libraries import Libraries

    return Libraries
