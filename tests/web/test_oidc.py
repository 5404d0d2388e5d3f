"""Signing in with a real identity provider: npm's oidc-provider, whose pages are filled in by script."""

import os
import re
import subprocess
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest

from clawdbox.accounts.login_providers.rules import nonce_of
from tests.agents.programs import installed, npm_command
from tests.web.served import Client, Make, Served

LOCK = Path(__file__).parent / "npm_oidc"
pytestmark = pytest.mark.xdist_group("oidc-provider")


class IdentityProvider:
    """`authorize` goes there as a person's browser does, and comes back with where it was sent."""

    def __init__(self, callback: str) -> None:
        modules = installed(LOCK, "oidc-provider")
        node = Path(npm_command()[0]).resolve().parent
        found = node / "node" if (node / "node").exists() else Path("node")
        path = f"{node}:{os.environ['PATH']}"
        self.process = subprocess.Popen(
            [str(found), str(LOCK / "provider.mjs"), str(modules), callback],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ | {"PATH": path},
        )  # fmt: skip
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert said.startswith("issuer "), said
        self.issuer = said.split()[1]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    async def authorize(self, url: str, name: str, *, deny: bool = False) -> dict[str, str]:
        async with httpx.AsyncClient(trust_env=False, base_url=self.issuer) as browser:
            answer = await browser.get(url)
            for _ in range(12):
                if answer.is_redirect:
                    url = urljoin(str(answer.url), answer.headers["location"])
                    if "/callback" in url:
                        return {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()}
                    answer = await browser.get(url)
                    continue
                assert answer.status_code == 200, answer.text
                action, form = _form(answer.text)
                if deny:
                    answer = await browser.get(f"{answer.url}/abort")
                    continue
                if form["prompt"] == "login":
                    form |= {"login": name, "password": "any"}
                answer = await browser.post(action, data=form)
        raise AssertionError("the provider never sent the browser back")


def _form(page: str) -> tuple[str, dict[str, str]]:
    action = re.search(r'<form[^>]* action="([^"]+)"', page)
    assert action, page
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page)
    return unescape(action[1]), {name: unescape(value) for name, value in hidden}


@pytest.fixture
async def served(make: Make) -> Served:
    return await make(login_provider_loopback=True, rate_oauth_start_per_minute=1000)


@pytest.fixture
def provider(served: Served) -> Iterator[IdentityProvider]:
    made = IdentityProvider(f"{served.origin}/api/v1/auth/oauth/home/callback")
    yield made
    made.close()


@pytest.fixture
async def owner(served: Served, provider: IdentityProvider) -> Client:
    client = await served.browser()
    await served.box.store.write(lambda tx: served.box.accounts.verify_login(tx, client.login_id, "test"))
    await add(client, "home", provider.issuer)
    return client


async def add(owner: Client, slug: str, issuer: str) -> None:
    body: dict[str, Any] = {
        "kind": "oidc",
        "slug": slug,
        "label": "Home",
        "client_id": "clawdbox",
        "issuer": issuer,
    }
    body |= {"client_secret": "canary-oidc-secret", "device_flow": True}
    answer = await owner.post("/login-providers", body)
    assert answer.status_code == 201, answer.text


async def start(client: Client, slug: str = "home", **more: Any) -> str:
    answer = await client.post(f"/auth/oauth/{slug}/start", more)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["redirect_url"])


async def back(client: Client, query: dict[str, str], slug: str = "home") -> Any:
    return await client.get(f"/auth/oauth/{slug}/callback", params=query)


async def through(client: Client, provider: IdentityProvider, name: str, **more: Any) -> Any:
    return await back(client, await provider.authorize(await start(client, **more), name))


async def test_a_person_of_the_provider_signs_in_once_linked(
    served: Served, owner: Client, provider: IdentityProvider
) -> None:
    answer = await through(owner, provider, "ann", purpose="link")
    assert answer.json() == {"purpose": "link", "signed_in": None}, answer.text
    other = await served.stranger()
    other.csrf = (await through(other, provider, "ann")).json()["signed_in"]["csrf_token"]
    me = (await other.get("/auth/me")).json()
    assert (me["account"]["id"], me["login"]["method"]) == (served.box.owner.id, "oidc")
    identity = (await owner.get("/identities")).json()["identities"][0]
    assert (identity["provider"], identity["username"]) == (provider.issuer, "ann")
    third = await served.stranger()
    assert (await through(third, provider, "bob")).json()["code"] == "signup_refused"
    again = await through(other, provider, "ann", purpose="step_up")  # prompt=login, max_age=0, auth_time
    assert again.json() == {"purpose": "step_up", "signed_in": None}, again.text
    mismatch = await through(other, provider, "bob", purpose="step_up")
    assert (mismatch.status_code, mismatch.json()["code"]) == (403, "identity_mismatch")


async def test_codes_states_nonces_and_issuers_do_not_travel(
    served: Served, owner: Client, stranger: Client, provider: IdentityProvider
) -> None:
    """A denial, a used code, a nonce of another flow, a code under another provider, an answer by another issuer."""
    await owner.patch(
        "/sign-up",
        {
            "mode": "allow_list",
            "allowed": [{"provider": "home", "match": "email", "value": "ann@example.org"}],
        },
    )
    denied = await provider.authorize(await start(stranger), "ann", deny=True)
    assert (await back(stranger, denied)).json()["code"] == "oauth_denied"

    query = await provider.authorize(await start(stranger), "ann")
    assert query["iss"] == provider.issuer
    slipped = await back(stranger, {**query, "iss": "https://evil.example"})
    assert slipped.json()["code"] == "oauth_state_invalid"

    url = await start(stranger)
    verifier = stranger.http.cookies["clawdbox_oauth"].split(".")[1]
    assert f"nonce={nonce_of(verifier)}" in url
    replayed = url.replace(nonce_of(verifier), nonce_of("another"))
    answer = await back(stranger, await provider.authorize(replayed, "ann"))
    assert (answer.status_code, answer.json()["code"]) == (502, "oauth_provider_failed")

    query = await provider.authorize(await start(stranger), "ann")
    assert (await back(stranger, query)).status_code == 200
    state = parse_qs(urlsplit(await start(stranger)).query)["state"][0]
    used = await back(stranger, {**query, "state": state})
    assert (used.status_code, used.json()["code"]) == (401, "oauth_state_invalid")

    await add(owner, "second", provider.issuer)
    query = await provider.authorize(await start(stranger), "ann")
    assert (await back(stranger, query, "second")).json()["code"] == "oauth_state_invalid"


async def test_an_address_that_the_provider_has_not_verified_is_no_address(
    owner: Client, stranger: Client, provider: IdentityProvider
) -> None:
    allowed = [{"provider": "home", "match": "email", "value": "unverified@example.org"}]
    await owner.patch("/sign-up", {"mode": "allow_list", "allowed": allowed})
    answer = await through(stranger, provider, "unverified")
    assert (answer.status_code, answer.json()["code"]) == (403, "signup_refused")


async def test_the_same_subject_at_two_issuers_is_two_people(
    served: Served, owner: Client, stranger: Client, provider: IdentityProvider
) -> None:
    await through(owner, provider, "ann", purpose="link")
    second = IdentityProvider(f"{served.origin}/api/v1/auth/oauth/second/callback")
    try:
        await add(owner, "second", second.issuer)
        query = await second.authorize(await start(stranger, "second"), "ann")
        answer = await back(stranger, query, "second")
    finally:
        second.close()
    assert (answer.status_code, answer.json()["code"]) == (403, "signup_refused")


async def test_an_issuer_is_compared_exactly(
    owner: Client, stranger: Client, provider: IdentityProvider
) -> None:
    await add(owner, "slash", provider.issuer + "/")
    answer = await stranger.post("/auth/oauth/slash/start", {})
    assert (answer.status_code, answer.json()["code"]) == (502, "oauth_provider_failed")
    assert "which is not the issuer here" in answer.json()["detail"]
