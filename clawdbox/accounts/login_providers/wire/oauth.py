"""What GitHub and OpenID Connect share: the code flow with PKCE, and the device flow (RFC 8628), by Authlib."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import msgspec
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client

from clawdbox.accounts.login_providers.model import Client, DeviceCode, ProviderFailed, ProviderRefusal
from clawdbox.accounts.login_providers.rules import address_allowed
from clawdbox.accounts.login_providers.wire.http import Way, timeout

_JSON = {"accept": "application/json"}
_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
Answer = dict[str, Any]
Ways = Callable[[], Way]  # a new one for each client, which closes it


@asynccontextmanager
async def client(known: Client, way: Ways, method: str) -> AsyncIterator[AsyncOAuth2Client]:
    """Raises ProviderRefusal for what the provider refuses, and ProviderFailed for everything else."""
    secret = known.secret.reveal().decode() if known.secret else None
    made = AsyncOAuth2Client(
        known.client_id,
        secret,
        scope=" ".join(known.scopes),
        token_endpoint_auth_method=method if secret else "none",
        code_challenge_method="S256",
        transport=way(),
        timeout=timeout(),
        follow_redirects=False,
        trust_env=False,
    )
    try:
        async with made:
            yield made
    except OAuthError as error:
        raise ProviderRefusal(str(error.error)) from None
    except httpx2.TimeoutException:
        raise ProviderFailed("The provider did not answer in time.") from None
    except httpx2.HTTPStatusError as error:
        raise ProviderFailed(f"The provider answered with status {error.response.status_code}.") from None
    except (httpx2.HTTPError, httpx2.InvalidURL):
        raise ProviderFailed("The provider could not be reached.") from None
    except (AuthlibBaseError, ValueError, KeyError, TypeError):
        raise ProviderFailed("The provider's answer makes no sense.") from None


def authorize_url(
    made: AsyncOAuth2Client, endpoint: str, redirect_uri: str, state: str, verifier: str, **more: str
) -> str:
    made.redirect_uri = redirect_uri
    url, _ = made.create_authorization_url(endpoint, state=state, code_verifier=verifier, **more)
    return str(url)


async def exchange(
    made: AsyncOAuth2Client, endpoint: str, redirect_uri: str, code: str, verifier: str
) -> Answer:
    token = await made.fetch_token(
        endpoint, code=code, code_verifier=verifier, redirect_uri=redirect_uri, headers=_JSON
    )
    return _token(token)


async def begin_device(made: AsyncOAuth2Client, endpoint: str, *, loopback: bool) -> DeviceCode:
    body = {"client_id": made.client_id, "scope": made.scope}
    response = await made.request("POST", endpoint, withhold_token=True, data=body, headers=_JSON)
    answer = json_of(response)
    code = DeviceCode(
        _text(answer, "device_code"),
        _text(answer, "user_code"),
        _text(answer, "verification_uri"),
        int(answer.get("expires_in", 600)),
        int(answer.get("interval", 5)),
    )
    if not address_allowed(code.verification_uri, loopback=loopback):
        raise ProviderFailed("The provider names an address that is not https.")
    return code


async def poll_device(made: AsyncOAuth2Client, endpoint: str, device_code: str) -> Answer:
    """Raises ProviderRefusal: `authorization_pending`, `slow_down`, `expired_token`, `access_denied`."""
    token = await made.fetch_token(
        endpoint, grant_type=_DEVICE_GRANT, device_code=device_code, client_id=made.client_id, headers=_JSON
    )
    return _token(token)


async def read(made: AsyncOAuth2Client, url: str, *, token: bool = True) -> Any:
    response = await made.request("GET", url, withhold_token=not token, headers=_JSON)
    response.raise_for_status()
    return msgspec.json.decode(response.content)


def json_of(response: httpx2.Response) -> Answer:
    """An object; an error in it is the provider's refusal. GitHub says such with status 200."""
    if response.status_code >= 500 or response.status_code == 429:
        response.raise_for_status()
    answer = msgspec.json.decode(response.content)
    if not isinstance(answer, dict):
        raise ProviderFailed("The provider's answer makes no sense.")
    if "error" in answer:
        raise ProviderRefusal(str(answer["error"]))
    response.raise_for_status()
    return answer


def _token(token: Mapping[str, Any]) -> Answer:
    if not token.get("access_token"):
        raise ProviderFailed("The provider gave no token.")
    return dict(token)


def _text(answer: Answer, name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or not value or len(value) > 4096:
        raise ProviderFailed("The provider's answer makes no sense.")
    return value
