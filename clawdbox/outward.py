"""What requests of the box to elsewhere have in common, whatever they are for."""

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx2


def tls_context() -> ssl.SSLContext:
    """The system's authorities, or certifi's where it has none. It takes a tenth of a second: not on the event loop."""
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    if not any(place and _holds_any(Path(place)) for place in (paths.cafile, paths.capath)):
        import certifi

        context.load_verify_locations(certifi.where())
    return context


def _holds_any(place: Path) -> bool:
    return any(place.iterdir()) if place.is_dir() else place.exists()


async def send_to_first(
    transport: "httpx2.AsyncHTTPTransport", request: "httpx2.Request", addresses: list[str]
) -> "httpx2.Response":
    """To the first address that takes the connection: until then nothing was sent."""
    import httpx2

    for address in addresses[:-1]:
        request.url = request.url.copy_with(host=address)
        try:
            return await transport.handle_async_request(request)
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            continue
    request.url = request.url.copy_with(host=addresses[-1])
    return await transport.handle_async_request(request)
