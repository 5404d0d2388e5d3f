"""OpenID Connect, by discovery: the issuer exactly, the ID token's signature, its nonce, and userinfo."""

import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import KeySet

from clawdbox.accounts.login_providers.model import Client, DeviceCode, Person, ProviderFailed
from clawdbox.accounts.login_providers.rules import address_allowed, nonce_of
from clawdbox.accounts.login_providers.wire import oauth

# Signatures alone that only the provider can make: with `none` or HS256 anybody, or every client, could.
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
_KEY_TYPES = ("RSA", "EC")
_LEEWAY_S = 60
_DISCOVERY = "/.well-known/openid-configuration"
Now = Callable[[], datetime]
Metadata = dict[str, Any]


class Oidc:
    def __init__(self, client: Client, way: oauth.Ways, now: Now, *, loopback: bool) -> None:
        self._client = client
        self._way = way
        self._now = now
        self._loopback = loopback

    async def authorize_url(self, redirect_uri: str, state: str, verifier: str, *, anew: bool) -> str:
        """`anew`: the provider must ask who is there, and say when it did."""
        more = {"prompt": "login", "max_age": "0"} if anew else {}
        async with oauth.client(self._client, self._way, "none") as made:
            metadata = await self._discover(made)
            endpoint = self._endpoint(metadata, "authorization_endpoint")
            nonce = nonce_of(verifier)
            return oauth.authorize_url(made, endpoint, redirect_uri, state, verifier, nonce=nonce, **more)

    async def finish(self, redirect_uri: str, code: str, verifier: str) -> Person:
        metadata = await self._metadata()
        async with oauth.client(self._client, self._way, _method(metadata)) as made:
            endpoint = self._endpoint(metadata, "token_endpoint")
            token = await oauth.exchange(made, endpoint, redirect_uri, code, verifier)
            return await self._person(made, metadata, token, nonce_of(verifier))

    async def begin_device(self) -> DeviceCode:
        metadata = await self._metadata()
        async with oauth.client(self._client, self._way, _method(metadata)) as made:
            endpoint = self._endpoint(metadata, "device_authorization_endpoint")
            return await oauth.begin_device(made, endpoint, loopback=self._loopback)

    async def poll_device(self, device_code: str) -> Person:
        metadata = await self._metadata()
        async with oauth.client(self._client, self._way, _method(metadata)) as made:
            endpoint = self._endpoint(metadata, "token_endpoint")
            token = await oauth.poll_device(made, endpoint, device_code)
            return await self._person(made, metadata, token, None)

    async def check(self) -> None:
        """Whether the issuer answers as one, for who sets it up."""
        await self._metadata()

    async def _metadata(self) -> Metadata:
        async with oauth.client(self._client, self._way, "none") as made:
            return await self._discover(made)

    async def _discover(self, made: Any) -> Metadata:
        metadata = await oauth.read(made, self._client.issuer.rstrip("/") + _DISCOVERY, token=False)
        if not isinstance(metadata, dict) or metadata.get("issuer") != self._client.issuer:
            named = metadata.get("issuer") if isinstance(metadata, dict) else None
            raise ProviderFailed(
                f"The provider calls itself {str(named)[:200]!r}, which is not the issuer here."
            )
        return metadata

    def _endpoint(self, metadata: Metadata, name: str) -> str:
        url = metadata.get(name)
        if not isinstance(url, str) or not address_allowed(url, loopback=self._loopback):
            raise ProviderFailed(f"The provider names no {name} that the box would use.")
        return url

    async def _person(self, made: Any, metadata: Metadata, token: oauth.Answer, nonce: str | None) -> Person:
        claims = await self._claims(made, metadata, token, nonce)
        if "userinfo_endpoint" in metadata:
            told = await oauth.read(made, self._endpoint(metadata, "userinfo_endpoint"))
            if not isinstance(told, dict) or told.get("sub") != claims["sub"]:
                raise ProviderFailed("The provider speaks of two different people.")
            about = {**claims, **told}
        else:
            about = claims
        auth_time = claims.get("auth_time")
        return Person(
            authority=self._client.issuer,
            subject=claims["sub"],
            username=_word(about, "preferred_username"),
            name=_word(about, "name"),
            email=_word(about, "email"),
            email_verified=about.get("email_verified") is True,
            scopes=str(token.get("scope") or " ".join(self._client.scopes)).split(),
            signed_in_at=datetime.fromtimestamp(auth_time, UTC) if isinstance(auth_time, int) else None,
        )

    async def _claims(
        self, made: Any, metadata: Metadata, token: oauth.Answer, nonce: str | None
    ) -> dict[str, Any]:
        """OpenID Connect Core, 3.1.3.7."""
        found = await oauth.read(made, self._endpoint(metadata, "jwks_uri"), token=False)
        keys = [key for key in found["keys"] if key.get("kty") in _KEY_TYPES and key.get("use") != "enc"]
        wanted: dict[str, Any] = {
            "iss": {"essential": True, "value": self._client.issuer},
            "aud": {"essential": True, "value": self._client.client_id},
            "exp": {"essential": True},
            "sub": {"essential": True},
        }
        if nonce is not None:
            wanted["nonce"] = {"essential": True, "value": nonce}
        moment = int(self._now().timestamp())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SecurityWarning)  # of a short key: the provider's own choice
                decoded = jwt.decode(
                    token["id_token"], KeySet.import_key_set({"keys": keys}), algorithms=_ALGORITHMS
                )
            jwt.JWTClaimsRegistry(now=moment, leeway=_LEEWAY_S, **wanted).validate(decoded.claims)
        except (JoseError, ValueError, KeyError, TypeError):
            raise ProviderFailed("The provider's ID token does not hold.") from None
        claims = decoded.claims
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if (several or "azp" in claims) and claims.get("azp") != self._client.client_id:
            raise ProviderFailed("The provider's ID token is meant for another client.")
        if not isinstance(claims["sub"], str) or not claims["sub"] or len(claims["sub"]) > 255:
            raise ProviderFailed("The provider's ID token does not hold.")
        return claims


def _method(metadata: Metadata) -> str:
    """How this client proves to be it: by header where nothing else is said (Discovery 1.0, 3)."""
    offered = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    return "client_secret_basic" if "client_secret_basic" in offered else "client_secret_post"


def _word(about: dict[str, Any], name: str) -> str | None:
    value = about.get(name)
    return value if isinstance(value, str) and value else None
