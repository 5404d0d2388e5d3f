"""GitHub: OAuth without OpenID Connect. Who it is, is asked of its API, and known by the numeric id alone."""

from typing import Any

from clawdbox.accounts.login_providers.model import Client, DeviceCode, Person, ProviderFailed
from clawdbox.accounts.login_providers.rules import GITHUB
from clawdbox.accounts.login_providers.wire import oauth

_AUTHORITY = "github"
_METHOD = "client_secret_post"


class GitHub:
    """GitHub itself, or a GitHub Enterprise Server at an address of its own."""

    def __init__(self, client: Client, way: oauth.Ways, *, loopback: bool) -> None:
        self._client = client
        self._way = way
        self._loopback = loopback
        self._token_url = f"{client.issuer}/login/oauth/access_token"
        own = client.issuer == GITHUB
        self._api = "https://api.github.com" if own else f"{client.issuer}/api/v3"
        self._authority = _AUTHORITY if own else client.issuer

    async def authorize_url(self, redirect_uri: str, state: str, verifier: str, *, anew: bool) -> str:
        more = {"prompt": "select_account"} if anew else {}
        endpoint = f"{self._client.issuer}/login/oauth/authorize"
        async with oauth.client(self._client, self._way, _METHOD) as made:
            return oauth.authorize_url(made, endpoint, redirect_uri, state, verifier, **more)

    async def finish(self, redirect_uri: str, code: str, verifier: str) -> Person:
        async with oauth.client(self._client, self._way, _METHOD) as made:
            token = await oauth.exchange(made, self._token_url, redirect_uri, code, verifier)
            return await self._person(made, token)

    async def begin_device(self) -> DeviceCode:
        endpoint = f"{self._client.issuer}/login/device/code"
        async with oauth.client(self._client, self._way, "none") as made:
            return await oauth.begin_device(made, endpoint, loopback=self._loopback)

    async def poll_device(self, device_code: str) -> Person:
        async with oauth.client(self._client, self._way, "none") as made:
            token = await oauth.poll_device(made, self._token_url, device_code)
            return await self._person(made, token)

    async def _person(self, made: Any, token: oauth.Answer) -> Person:
        user = await oauth.read(made, f"{self._api}/user")
        if not isinstance(user, dict) or type(user.get("id")) is not int:
            raise ProviderFailed("GitHub did not say who signed in.")
        scopes = [scope for scope in str(token.get("scope") or "").replace(",", " ").split() if scope]
        email = await self._email(made) if {"user:email", "user"} & set(scopes) else None
        return Person(
            authority=self._authority,
            subject=str(user["id"]),
            username=user.get("login") if isinstance(user.get("login"), str) else None,
            name=user.get("name") if isinstance(user.get("name"), str) else None,
            email=email,
            email_verified=email is not None,
            scopes=scopes,
        )

    async def _email(self, made: Any) -> str | None:
        """The address that GitHub has verified and calls the primary one."""
        found = await oauth.read(made, f"{self._api}/user/emails")
        for entry in found if isinstance(found, list) else []:
            if entry.get("primary") is True and entry.get("verified") is True:
                return str(entry["email"])
        return None
