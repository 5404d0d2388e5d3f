"""Signing in with GitHub: the web flow, the device flow, who may sign up, and what somebody would try."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.web.github_like import GitHubLike
from tests.web.served import Client, Make, Served

PROVIDER = {
    "kind": "github", "label": "GitHub", "client_id": "Iv1.test", "client_secret": "canary-github-secret",
    "device_flow": True,
}  # fmt: skip
HTML = {"accept": "text/html,*/*"}
Query = dict[str, str]


@pytest.fixture
def github() -> Iterator[GitHubLike]:
    with GitHubLike() as server:
        yield server


@pytest.fixture
async def served(make: Make) -> Served:
    return await make(login_provider_loopback=True, rate_oauth_start_per_minute=1000)


@pytest.fixture
async def owner(served: Served, github: GitHubLike) -> Client:
    """Signed in, verified, with GitHub set up."""
    client = await served.browser()
    await verify(served, client)
    answer = await client.post("/login-providers", {**PROVIDER, "issuer": github.address})
    assert answer.status_code == 201, answer.text
    return client


async def verify(served: Served, client: Client) -> None:
    await served.box.store.write(lambda tx: served.box.accounts.verify_login(tx, client.login_id, "test"))


async def start(client: Client, **more: Any) -> Query:
    answer = await client.post("/auth/oauth/github/start", more)
    assert answer.status_code == 200, answer.text
    found = parse_qs(urlsplit(answer.json()["redirect_url"]).query)
    return {name: values[0] for name, values in found.items()}


async def back(client: Client, query: Query, **headers: str) -> Any:
    return await client.get("/auth/oauth/github/callback", params=query, headers=headers)


async def through(client: Client, github: GitHubLike, **more: Any) -> Any:
    asked = await start(client, **more)
    code = github.consent(asked["code_challenge"])
    return await back(client, {"code": code, "state": asked["state"]})


async def allow(owner: Client, **entry: str) -> None:
    body = {"mode": "allow_list", "allowed": [{"provider": "github", **entry}]}
    answer = await owner.patch("/sign-up", body)
    assert answer.status_code == 200, answer.text


async def test_the_address_to_go_to_carries_pkce_a_state_and_the_least_scopes(
    served: Served, owner: Client, stranger: Client
) -> None:
    asked = await start(stranger)
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["code_challenge"]) == 43
    assert len(asked["state"]) == 43  # 32 bytes
    assert asked["scope"] == "read:user user:email"
    assert asked["redirect_uri"] == f"{served.origin}/api/v1/auth/oauth/github/callback"
    again = await start(stranger)
    assert again["state"] != asked["state"]


async def test_the_cookie_is_for_the_way_back_alone(owner: Client, stranger: Client) -> None:
    answer = await stranger.post("/auth/oauth/github/start", {})
    cookie = answer.headers["set-cookie"]
    assert "; HttpOnly; SameSite=Lax" in cookie
    assert "Path=/api/v1/auth/oauth; Max-Age=600" in cookie


async def test_an_unknown_identity_signs_nobody_in(
    owner: Client, stranger: Client, github: GitHubLike
) -> None:
    answer = await through(stranger, github)
    assert (answer.status_code, answer.json()["code"]) == (403, "signup_refused")
    assert (await stranger.get("/auth/me")).status_code == 401


async def test_the_owner_links_github_and_signs_in_by_it_elsewhere(
    served: Served, owner: Client, github: GitHubLike
) -> None:
    linked = await through(owner, github, purpose="link")
    assert linked.json() == {"purpose": "link", "signed_in": None}
    github.user = {**github.user, "login": "renamed", "name": None}
    github.emails = []
    other = await served.stranger()
    done = await through(other, github)
    assert done.status_code == 200, done.text
    me = (await other.get("/auth/me")).json()
    assert me["account"]["id"] == served.box.owner.id
    assert me["login"]["method"] == "github"
    assert me["login"]["verified_at"] is not None
    identities = (await owner.get("/identities")).json()["identities"]
    assert [(one["provider"], one["username"]) for one in identities] == [(github.address, "renamed")]


async def test_no_token_of_the_provider_is_kept(served: Served, owner: Client, github: GitHubLike) -> None:
    await through(owner, github, purpose="link")
    rows = await served.box.store.read(lambda r: r.all("SELECT * FROM oauth_identities"))
    assert [(row["access_token"], row["refresh_token"]) for row in rows] == [(None, None)]
    data = b"".join(path.read_bytes() for path in served.box.data_dir.glob("clawdbox.db*"))
    assert b"gho_canary" not in data
    assert b"canary-github-secret" not in data


async def test_a_browser_that_navigates_goes_on_to_where_it_came_from(
    owner: Client, stranger: Client, github: GitHubLike
) -> None:
    await allow(owner, match="username", value="Octocat")
    asked = await start(stranger, return_to="/settings")
    code = github.consent(asked["code_challenge"])
    crossing = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", **HTML}
    answer = await back(stranger, {"code": code, "state": asked["state"]}, **crossing)
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings")
    me = (await stranger.get("/auth/me")).json()
    assert (me["account"]["display_name"], me["account"]["role"]) == ("The Octocat", "operator")
    assert me["account"]["email"] == "octo@example.org"


@pytest.mark.parametrize(
    "elsewhere",
    ["//evil.example", "/\\evil.example", "javascript:alert(1)", "https://evil.example", "/\t/evil", "x"],
)
async def test_the_way_back_leads_nowhere_else(
    owner: Client, stranger: Client, github: GitHubLike, elsewhere: str
) -> None:
    await allow(owner, match="username", value="octocat")
    asked = await start(stranger, return_to=elsewhere)
    code = github.consent(asked["code_challenge"])
    answer = await back(stranger, {"code": code, "state": asked["state"]}, **HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_a_denial_is_told_and_changes_nothing(owner: Client, stranger: Client) -> None:
    asked = await start(stranger)
    answer = await back(stranger, {"error": "access_denied", "state": asked["state"]})
    assert (answer.status_code, answer.json()["code"]) == (401, "oauth_denied")
    asked = await start(stranger)
    answer = await back(stranger, {"error": "access_denied", "state": asked["state"]}, **HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/pair?failed=oauth_denied")


async def test_a_state_works_once(owner: Client, stranger: Client, github: GitHubLike) -> None:
    asked = await start(stranger)
    ticket = stranger.http.cookies["clawdbox_oauth"]
    code = github.consent(asked["code_challenge"])
    await back(stranger, {"code": code, "state": asked["state"]})
    again = github.consent(asked["code_challenge"], "another")
    answer = await back(stranger, {"code": again, "state": asked["state"]}, cookie=f"clawdbox_oauth={ticket}")
    assert (answer.status_code, answer.json()["code"]) == (401, "oauth_state_invalid")
    assert "another" in github.codes  # the provider was not even asked


async def test_another_browser_s_state_is_refused(
    served: Served, owner: Client, stranger: Client, github: GitHubLike
) -> None:
    """An attacker's own code and state, sent to somebody else's browser (login CSRF)."""
    await allow(owner, match="username", value="octocat")
    victim = await served.stranger()
    asked, _ = await start(stranger), await start(victim)
    code = github.consent(asked["code_challenge"])
    answer = await back(victim, {"code": code, "state": asked["state"]})
    assert (answer.status_code, answer.json()["code"]) == (401, "oauth_state_invalid")


async def test_a_cookie_that_this_box_did_not_write_is_refused(
    owner: Client, stranger: Client, github: GitHubLike
) -> None:
    asked = await start(stranger)
    ticket = stranger.http.cookies["clawdbox_oauth"]
    state, verifier, mac = ticket.split(".")
    stranger.http.cookies.clear()
    for forged in [
        "",
        "a.b",
        f"{state}.{verifier[::-1]}.{mac}",
        f"{state}.{verifier}.",
        f"{ticket}.x",
    ]:
        answer = await back(
            stranger, {"code": "c", "state": asked["state"]}, cookie=f"clawdbox_oauth={forged}"
        )
        assert (answer.status_code, answer.json()["code"]) == (401, "oauth_state_invalid"), forged


async def test_a_state_is_good_for_ten_minutes(
    served: Served, owner: Client, stranger: Client, github: GitHubLike
) -> None:
    asked = await start(stranger)
    code = github.consent(asked["code_challenge"])
    served.turn(601)
    answer = await back(stranger, {"code": code, "state": asked["state"]})
    assert answer.json()["code"] == "oauth_state_invalid"


async def test_a_code_of_another_flow_is_refused_by_its_verifier(
    owner: Client, stranger: Client, github: GitHubLike
) -> None:
    asked = await start(stranger)
    github.consent("somebody-else-s-challenge", "stolen")
    answer = await back(stranger, {"code": "stolen", "state": asked["state"]})
    assert (answer.status_code, answer.json()["code"]) == (401, "oauth_state_invalid")


async def test_a_provider_that_is_too_busy_or_sends_on_is_told_as_such(
    owner: Client, stranger: Client, github: GitHubLike
) -> None:
    github.limited = True
    answer = await through(stranger, github)
    assert (answer.status_code, answer.json()["code"]) == (502, "oauth_provider_failed")
    github.limited, github.redirects = False, True
    answer = await through(stranger, github)
    assert (answer.status_code, answer.json()["code"]) == (502, "oauth_provider_failed")
    assert "follows nobody" in answer.json()["detail"]


async def test_signing_in_gives_a_new_token_each_time(
    served: Served, owner: Client, github: GitHubLike
) -> None:
    """What was planted before is not what is signed in afterwards (session fixation)."""
    await through(owner, github, purpose="link")
    victim = await served.stranger()
    victim.http.cookies.set("clawdbox_login", "planted-by-somebody", domain="127.0.0.1")
    done = await through(victim, github)
    assert "planted-by-somebody" not in done.headers["set-cookie"]
    planted = await served.stranger()
    planted.http.cookies.set("clawdbox_login", "planted-by-somebody")
    assert (await planted.get("/auth/me")).status_code == 401


async def test_a_verified_address_is_on_the_list_and_an_unverified_one_is_not(
    owner: Client, stranger: Client, github: GitHubLike
) -> None:
    await allow(owner, match="email", value="octo@example.org")
    github.emails[0]["verified"] = False
    assert (await through(stranger, github)).json()["code"] == "signup_refused"
    github.emails[0]["verified"] = True
    assert (await through(stranger, github)).status_code == 200


async def test_an_address_is_no_reason_to_be_let_into_an_account(
    served: Served, owner: Client, stranger: Client, github: GitHubLike
) -> None:
    """Somebody else at the provider, with the address of somebody here."""
    await through(owner, github, purpose="link")
    github.user = {**github.user, "id": 999, "login": "mallory"}
    answer = await through(stranger, github)
    assert answer.json()["code"] == "signup_refused"


async def test_an_identity_belongs_to_one_account(served: Served, owner: Client, github: GitHubLike) -> None:
    await through(owner, github, purpose="link")
    other = await served.browser(await served.account())
    await verify(served, other)
    answer = await through(other, github, purpose="link")
    assert (answer.status_code, answer.json()["code"]) == (409, "identity_taken")


async def test_linking_asks_for_a_person_and_for_this_site(
    served: Served, owner: Client, github: GitHubLike
) -> None:
    later = await served.browser()
    answer = await later.post("/auth/oauth/github/start", {"purpose": "link"})
    assert answer.json()["code"] == "step_up_required"
    csrf, later.csrf = later.csrf, None
    answer = await later.post("/auth/oauth/github/start", {"purpose": "step_up"})
    assert answer.json()["code"] == "csrf_missing"
    script = await served.script()
    answer = await script.post("/auth/oauth/github/start", {"purpose": "link"})
    assert answer.json()["code"] == "browser_only"
    nobody = await served.stranger()
    answer = await nobody.post("/auth/oauth/github/start", {"purpose": "link"})
    assert answer.status_code == 401
    assert csrf


async def test_a_provider_proves_who_is_there(served: Served, owner: Client, github: GitHubLike) -> None:
    await through(owner, github, purpose="link")
    later = await served.browser()
    refused = await later.post("/recovery-words")
    assert refused.json()["means"] == ["github", "terminal"]
    assert (await through(later, github, purpose="step_up")).status_code == 200
    assert (await later.post("/recovery-words")).status_code == 200
    third = await served.browser()
    github.user = {**github.user, "id": 999}
    answer = await through(third, github, purpose="step_up")
    assert (answer.status_code, answer.json()["code"]) == (403, "identity_mismatch")


async def test_a_login_that_ended_meanwhile_links_nothing(
    served: Served, owner: Client, github: GitHubLike
) -> None:
    asked = await start(owner, purpose="link")
    code = github.consent(asked["code_challenge"])
    await owner.delete("/auth/session")
    answer = await back(owner, {"code": code, "state": asked["state"]})
    assert answer.json()["code"] == "oauth_state_invalid"
    assert await served.box.login_providers.identities(served.box.owner.id) == []


async def test_a_disabled_account_stays_out(served: Served, owner: Client, github: GitHubLike) -> None:
    await allow(owner, match="username", value="octocat")
    first = await served.stranger()
    account = (await through(first, github)).json()["signed_in"]["account"]
    answer = await owner.patch(f"/accounts/{account['id']}", {"is_active": False})
    assert answer.json()["account"]["is_active"] is False
    assert (await first.get("/auth/me")).status_code == 401
    assert (await through(first, github)).status_code == 401


async def test_the_last_identity_goes_only_knowingly(
    served: Served, owner: Client, github: GitHubLike
) -> None:
    await through(owner, github, purpose="link")
    identity = (await owner.get("/identities")).json()["identities"][0]["id"]
    answer = await owner.delete(f"/identities/{identity}")
    assert (answer.status_code, answer.json()["code"]) == (409, "last_way_in")
    assert (await owner.delete(f"/identities/{identity}?last_way_too=true")).status_code == 200
    assert (await owner.get("/identities")).json() == {"identities": []}


# the device flow


async def begin_device(client: Client) -> dict[str, Any]:
    answer = await client.post("/auth/oauth/github/device", {})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def poll(client: Client, begun: dict[str, Any]) -> Any:
    return await client.post(f"/auth/oauth/github/device/{begun['id']}")


async def test_a_code_typed_in_elsewhere_signs_in(
    served: Served, owner: Client, stranger: Client, github: GitHubLike
) -> None:
    await allow(owner, match="username", value="octocat")
    begun = await begin_device(stranger)
    assert (begun["user_code"], begun["verification_uri"]) == ("WDJB-MJHT", "https://github.com/login/device")
    github.device = ["authorization_pending", "slow_down", None]
    assert (await poll(stranger, begun)).json() == {"state": "pending", "interval_s": 5, "signed_in": None}
    hasty = await poll(stranger, begun)
    assert (hasty.status_code, hasty.json()["code"]) == (429, "rate_limited")
    served.turn(6)
    assert (await poll(stranger, begun)).json()["interval_s"] == 10
    served.turn(8)
    assert (await poll(stranger, begun)).status_code == 429  # it asked for more patience
    served.turn(4)
    done = (await poll(stranger, begun)).json()
    assert (done["state"], done["signed_in"]["account"]["display_name"]) == ("done", "The Octocat")
    assert (await stranger.get("/auth/me")).json()["login"]["method"] == "github"
    served.turn(30)
    assert (await poll(stranger, begun)).status_code == 401


@pytest.mark.parametrize(
    "said, code",
    [("access_denied", "oauth_denied"), ("expired_token", "oauth_expired")],
    ids=["denied", "expired"],
)
async def test_a_code_that_is_refused_ends_its_flow(
    served: Served, owner: Client, stranger: Client, github: GitHubLike, said: str, code: str
) -> None:
    begun = await begin_device(stranger)
    github.device = [said, None]
    answer = await poll(stranger, begun)
    assert (answer.status_code, answer.json()["code"]) == (401, code)
    served.turn(10)
    assert (await poll(stranger, begun)).json()["code"] == "oauth_state_invalid"


async def test_only_the_browser_that_asked_gets_the_login(
    served: Served, owner: Client, stranger: Client, github: GitHubLike
) -> None:
    await allow(owner, match="username", value="octocat")
    begun, other = await begin_device(stranger), await served.stranger()
    assert (await poll(other, begun)).json()["code"] == "oauth_state_invalid"
    await begin_device(other)
    assert (await poll(other, begun)).json()["code"] == "oauth_state_invalid"


# providers, sign-up, invitations


async def test_providers_are_the_owner_s_and_their_secrets_stay_inside(
    served: Served, owner: Client, stranger: Client
) -> None:
    listed = await owner.get("/login-providers")
    assert "canary" not in listed.text
    provider = listed.json()["login_providers"][0]
    assert (provider["has_secret"], provider["slug"]) == (True, "github")
    methods = (await stranger.get("/auth/methods")).json()
    assert methods["providers"] == [
        {"slug": "github", "kind": "github", "label": "GitHub", "web": True, "device": True}
    ]
    other = await served.browser(await served.account())
    await verify(served, other)
    for path in ("/login-providers", "/accounts", "/sign-up", "/invitations"):
        assert (await other.get(path)).json()["code"] == "role_forbidden"
    assert (await other.delete(f"/login-providers/{provider['id']}")).json()["code"] == "role_forbidden"
    assert (await owner.delete(f"/login-providers/{provider['id']}")).status_code == 200
    assert (await stranger.get("/auth/methods")).json()["providers"] == []
    sealed = await served.box.store.read(lambda r: r.value("SELECT client_secret_enc FROM login_providers"))
    assert sealed is None
    answer = await stranger.post("/auth/oauth/github/start", {})
    assert (answer.status_code, answer.json()["code"]) == (404, "login_provider_unknown")


@pytest.mark.parametrize(
    "issuer",
    ["http://auth.example.org", "https://a@b.example", "ftp://x.example", "https://x.example/?q", "x"],
)
async def test_an_issuer_is_an_https_address(owner: Client, issuer: str) -> None:
    body = {"kind": "oidc", "label": "Home", "client_id": "c", "issuer": issuer}
    answer = await owner.post("/login-providers", body)
    assert (answer.status_code, answer.json()["field"]) == (422, "issuer")


async def test_without_the_setting_no_provider_on_this_machine_is_taken(make: Make) -> None:
    served = await make()
    owner = await served.browser()
    await verify(served, owner)
    body = {"kind": "oidc", "label": "Home", "client_id": "c", "issuer": "http://127.0.0.1:9"}
    assert (await owner.post("/login-providers", body)).json()["field"] == "issuer"


async def invite(owner: Client, **more: Any) -> str:
    answer = await owner.post("/invitations", {"label": "Ann", **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["url"]).partition("#")[2]


async def test_an_invitation_makes_one_account(served: Served, owner: Client, stranger: Client) -> None:
    assert (await owner.post("/invitations", {"label": "Ann"})).json()["code"] == "signup_closed"
    await owner.patch("/sign-up", {"mode": "invited"})
    code = await invite(owner, role="viewer")
    body = {"code": code, "display_name": "Ann"}
    done = await stranger.post("/auth/invitation", body)
    assert (done.status_code, done.json()["account"]["role"]) == (201, "viewer")
    assert (await stranger.get("/keys")).json()["keypairs"] != []
    second = await (await served.stranger()).post("/auth/invitation", body)
    assert (second.status_code, second.json()["code"]) == (401, "invitation_invalid")


async def test_an_invitation_ends_and_can_be_withdrawn(
    served: Served, owner: Client, stranger: Client
) -> None:
    await owner.patch("/sign-up", {"mode": "invited"})
    late, gone = await invite(owner, expires_in_s=300), await invite(owner)
    listed = (await owner.get("/invitations")).json()["invitations"]
    assert len(listed) == 2
    for one in listed[:1]:
        assert (await owner.delete(f"/invitations/{one['id']}")).json()["invitation"]["withdrawn_at"]
    served.turn(301)
    for code in (late, gone, "nobody-has-this"):
        answer = await stranger.post("/auth/invitation", {"code": code, "display_name": "Ann"})
        assert answer.json()["code"] == "invitation_invalid"


async def test_an_invitation_may_be_accepted_with_github(
    served: Served, owner: Client, stranger: Client, github: GitHubLike
) -> None:
    await owner.patch("/sign-up", {"mode": "invited"})
    code = await invite(owner)
    answer = await through(stranger, github, invitation=code)
    assert answer.json()["signed_in"]["account"]["display_name"] == "The Octocat"
    github.user = {**github.user, "id": 999}
    refused = await stranger.post("/auth/oauth/github/start", {"invitation": code})
    assert refused.json()["code"] == "invitation_invalid"


async def test_the_last_owner_stays_one(served: Served, owner: Client) -> None:
    mine = f"/accounts/{served.box.owner.id}"
    for change in ({"role": "viewer"}, {"is_active": False}):
        assert (await owner.patch(mine, change)).json()["code"] == "last_owner"
    other = await served.account()
    assert (await owner.patch(f"/accounts/{other.id}", {"role": "owner"})).json()["account"][
        "role"
    ] == "owner"
    assert (await owner.patch(mine, {"role": "operator"})).status_code == 200
    assert (await owner.get("/accounts")).json()["code"] == "role_forbidden"
