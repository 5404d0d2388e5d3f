"""What must hold for every route, with cases made from the router itself."""

from datetime import timedelta

import httpx
import pytest

from clawdbox.events.model import SYSTEM
from tests.web.routes import ABSENT, Route, all_routes, http_routes, socket_routes
from tests.web.served import Client, Make, Served, code_of


@pytest.fixture
async def served(make: Make) -> Served:
    return await make(rate_failed_login_per_minute=100_000, rate_request_per_minute=100_000)


async def ask(client: Client, route: Route, **more: object) -> httpx.Response:
    return await client.ask(route.method, route.at(), json=route.body, **more)


async def close_code(client: Client, path: str, **headers: str) -> int | None:
    async with client.socket(path, **headers) as socket:
        return await code_of(socket)


def test_the_routes_are_those_of_the_contract() -> None:
    assert sorted(map(str, all_routes())) == sorted(CONTRACT)


async def test_nobody_gets_in_without_a_login(stranger: Client) -> None:
    answers = {str(route): await ask(stranger, route) for route in http_routes()}
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(answers, 401)
    assert len({answer.text for answer in answers.values()}) == 1
    assert next(iter(answers.values())).json()["code"] == "login_required"


async def ended_clients(served: Served) -> dict[str, Client]:
    expired = await served.script(expires_in=timedelta(seconds=-1))
    revoked = await served.script()
    await served.box.accounts.revoke_login(SYSTEM, served.box.owner.id, revoked.login_id)
    account = await served.account()
    disabled = await served.script(account)
    await served.box.accounts.set_active(SYSTEM, account.id, False)
    unknown = await served.stranger()
    unknown.headers = {"authorization": "Bearer nobody-has-this"}
    cookie = await served.browser()
    await served.box.accounts.revoke_login(SYSTEM, served.box.owner.id, cookie.login_id)
    return {
        "expired": expired,
        "revoked": revoked,
        "disabled": disabled,
        "unknown": unknown,
        "cookie": cookie,
    }


async def test_a_login_that_has_ended_opens_no_route(served: Served) -> None:
    for name, client in (await ended_clients(served)).items():
        answers = {str(route): (await ask(client, route)).status_code for route in http_routes()}
        assert answers == dict.fromkeys(answers, 401), name


async def test_a_token_for_metrics_opens_no_other_route(served: Served) -> None:
    script = await served.script(scope="metrics")
    answers = {str(route): (await ask(script, route)).json()["code"] for route in http_routes()}
    assert answers == dict.fromkeys(answers, "scope_forbidden")


async def test_every_change_that_rides_on_the_cookie_needs_the_nonce(phone: Client) -> None:
    phone.csrf = None
    answers = {str(route): (await ask(phone, route)).json()["code"] for route in http_routes(unsafe=True)}
    assert answers == dict.fromkeys(answers, "csrf_missing")


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "file://"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
    ids=lambda headers: " ".join(headers.values()),
)
async def test_another_sites_page_changes_nothing(
    phone: Client, script: Client, stranger: Client, headers: dict[str, str]
) -> None:
    for client in (phone, script, stranger):
        for route in all_routes():
            if route.method in ("POST", "PATCH", "DELETE"):
                answer = await ask(client, route, headers=headers)
                assert (answer.status_code, answer.json()["code"]) == (403, "origin_refused"), route


async def test_no_route_tells_an_id_that_is_none_from_one_that_is_not_there(phone: Client) -> None:
    routes = [route for route in http_routes() if route.parameters]
    assert len(routes) > 12
    bodies = set()
    for route in routes:
        for value in (
            ABSENT,
            "1",
            "x" * 300,
            "019B9D3C-4A10-7C3E-9D56-0D2F6A1B2C3D",
        ):
            path = route.path.format(**dict.fromkeys(route.parameters, value))
            answer = await phone.ask(route.method, path, json=route.body)
            assert answer.status_code == 404, (route, value)
            bodies.add(answer.text)
    assert len(bodies) == 1


class TestSockets:
    async def test_nobody_listens_without_a_login(self, stranger: Client) -> None:
        codes = {str(route): await close_code(stranger, route.at()) for route in socket_routes()}
        assert len(codes) == 4
        assert codes == dict.fromkeys(codes, 4401)

    async def test_a_login_that_has_ended_opens_no_socket(self, served: Served) -> None:
        for name, client in (await ended_clients(served)).items():
            codes = {str(route): await close_code(client, route.at()) for route in socket_routes()}
            assert codes == dict.fromkeys(codes, 4401), name

    async def test_a_token_for_metrics_opens_no_socket(self, served: Served) -> None:
        script = await served.script(scope="metrics")
        codes = {str(route): await close_code(script, route.at()) for route in socket_routes()}
        assert codes == dict.fromkeys(codes, 4403)

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", ""])
    async def test_a_cookie_is_heard_from_this_sites_pages_only(self, phone: Client, origin: str) -> None:
        codes = {str(route): await close_code(phone, route.at(), origin=origin) for route in socket_routes()}
        assert codes == dict.fromkeys(codes, 4403)

    async def test_a_script_needs_no_origin_but_may_have_no_foreign_one(self, script: Client) -> None:
        async with script.socket("/api/v1/events/live") as socket:
            assert '"ready"' in str(await socket.recv())
        assert await close_code(script, "/api/v1/events/live", origin="https://evil.example") == 4403

    async def test_what_is_not_there_and_what_is_no_id_are_unknown(self, phone: Client) -> None:
        for route in socket_routes():
            if route.parameters:
                assert await close_code(phone, route.at()) == 4404
                assert (
                    await close_code(phone, route.path.format(**dict.fromkeys(route.parameters, "1"))) == 4404
                )


CONTRACT = """
POST /api/v1/auth/pair
GET /api/v1/auth/methods
POST /api/v1/auth/oauth/{slug}/start
GET /api/v1/auth/oauth/{slug}/callback
POST /api/v1/auth/oauth/{slug}/device
POST /api/v1/auth/oauth/{slug}/device/{flow}
POST /api/v1/auth/invitation
GET /api/v1/identities
DELETE /api/v1/identities/{identity_id}
GET /api/v1/login-providers
POST /api/v1/login-providers
DELETE /api/v1/login-providers/{provider_id}
GET /api/v1/accounts
PATCH /api/v1/accounts/{account_id}
GET /api/v1/sign-up
PATCH /api/v1/sign-up
GET /api/v1/invitations
POST /api/v1/invitations
DELETE /api/v1/invitations/{invitation_id}
GET /api/v1/auth/me
DELETE /api/v1/auth/session
GET /api/v1/logins
DELETE /api/v1/logins
DELETE /api/v1/logins/{login_id}
POST /api/v1/pairing-codes
POST /api/v1/auth/pairing-requests
POST /api/v1/auth/pairing-requests/claim
GET /api/v1/pairing-requests
POST /api/v1/pairing-requests/{request_id}/confirm
POST /api/v1/pairing-requests/{request_id}/refuse
GET /api/v1/passkeys
POST /api/v1/passkeys/options
POST /api/v1/passkeys
PATCH /api/v1/passkeys/{passkey_id}
DELETE /api/v1/passkeys/{passkey_id}
POST /api/v1/auth/passkey/options
POST /api/v1/auth/passkey
POST /api/v1/auth/step-up/passkey/options
POST /api/v1/auth/step-up/passkey
POST /api/v1/auth/step-up/terminal
GET /api/v1/recovery-codes
POST /api/v1/recovery-codes
POST /api/v1/auth/recovery-code
POST /api/v1/recovery-words
POST /api/v1/recovery-words/confirm
GET /api/v1/keys
POST /api/v1/keys
GET /api/v1/keys/{keypair_id}/install-command
DELETE /api/v1/keys/{keypair_id}
POST /api/v1/keys/{keypair_id}/rotate
GET /api/v1/keys/{keypair_id}/rotation
POST /api/v1/keys/{keypair_id}/rotation/retry
DELETE /api/v1/keys/{keypair_id}/rotation
GET /api/v1/connections
POST /api/v1/connections
GET /api/v1/connections/{connection_id}
PATCH /api/v1/connections/{connection_id}
DELETE /api/v1/connections/{connection_id}
POST /api/v1/connections/{connection_id}/test
GET /api/v1/connections/{connection_id}/conversation
GET /api/v1/connections/{connection_id}/conversations
POST /api/v1/connections/{connection_id}/conversations
GET /api/v1/connections/{connection_id}/runtimes
GET /api/v1/connections/{connection_id}/code-agents
PATCH /api/v1/conversations/{conversation_id}
DELETE /api/v1/conversations/{conversation_id}
GET /api/v1/conversations/search
GET /api/v1/conversations/{conversation_id}/export
GET /api/v1/reverts
GET /api/v1/connections/{connection_id}/reverts
POST /api/v1/reverts/{revert_id}/confirm
GET /api/v1/approvals
GET /api/v1/approvals/{approval_id}
POST /api/v1/approvals/{approval_id}/answer
GET /api/v1/approval-grants
DELETE /api/v1/approval-grants/{grant_id}
POST /api/v1/sessions/{session_id}/stop-agents
POST /api/v1/agents/stop
POST /api/v1/connections/import/preview
POST /api/v1/connections/import
GET /api/v1/host-authorities
POST /api/v1/host-authorities
DELETE /api/v1/host-authorities/{authority_id}
GET /api/v1/connections/{connection_id}/control-socket
PATCH /api/v1/connections/{connection_id}/control-socket
POST /api/v1/sessions
GET /api/v1/sessions
GET /api/v1/sessions/{session_id}
DELETE /api/v1/sessions/{session_id}
POST /api/v1/sessions/{session_id}/exec
POST /api/v1/sessions/{session_id}/terminals
GET /api/v1/sessions/{session_id}/terminals
DELETE /api/v1/sessions/{session_id}/terminals/{terminal_id}
WEBSOCKET /api/v1/sessions/{session_id}/terminals/{terminal_id}/attach
POST /api/v1/sessions/{session_id}/terminals/{terminal_id}/recording
POST /api/v1/sessions/{session_id}/forwards
GET /api/v1/sessions/{session_id}/forwards
DELETE /api/v1/sessions/{session_id}/forwards/{forward_id}
POST /api/v1/sessions/{session_id}/forwards/{forward_id}/open
POST /api/v1/sessions/{session_id}/listening
GET /api/v1/recordings
GET /api/v1/recordings/{recording_id}
PATCH /api/v1/recordings/{recording_id}
POST /api/v1/recordings/{recording_id}/stop
DELETE /api/v1/recordings/{recording_id}
GET /api/v1/recordings/{recording_id}/cast
GET /api/v1/recording-policy
PATCH /api/v1/recording-policy
GET /api/v1/sessions/{session_id}/files
GET /api/v1/sessions/{session_id}/files/entry
POST /api/v1/sessions/{session_id}/files/folders
POST /api/v1/sessions/{session_id}/files/move
POST /api/v1/sessions/{session_id}/files/permissions
GET /api/v1/sessions/{session_id}/files/text
POST /api/v1/sessions/{session_id}/files/text
GET /api/v1/sessions/{session_id}/files/content
POST /api/v1/sessions/{session_id}/files/uploads
GET /api/v1/sessions/{session_id}/files/uploads
PATCH /api/v1/sessions/{session_id}/files/uploads/{upload_id}
POST /api/v1/sessions/{session_id}/files/uploads/{upload_id}/finish
DELETE /api/v1/sessions/{session_id}/files/uploads/{upload_id}
POST /api/v1/sessions/{session_id}/files/removals
GET /api/v1/sessions/{session_id}/files/removals/{removal_id}
POST /api/v1/sessions/{session_id}/files/removals/{removal_id}/confirm
DELETE /api/v1/sessions/{session_id}/files/removals/{removal_id}
GET /api/v1/connections/{connection_id}/kept-terminals
DELETE /api/v1/connections/{connection_id}/kept-terminals/{kept_id}
GET /api/v1/sessions/{session_id}/facts
GET /api/v1/sessions/{session_id}/stats
POST /api/v1/sessions/{session_id}/shell-start
WEBSOCKET /api/v1/sessions/{session_id}/stats/live
POST /api/v1/fleet-runs
GET /api/v1/fleet-runs
GET /api/v1/fleet-runs/{fleet_run_id}
GET /api/v1/fleet-runs/{fleet_run_id}/answers/{answer_id}
POST /api/v1/fleet-runs/{fleet_run_id}/cancel
GET /api/v1/model-providers
POST /api/v1/model-providers
PATCH /api/v1/model-providers/{provider_id}
DELETE /api/v1/model-providers/{provider_id}
POST /api/v1/model-providers/{provider_id}/test
GET /api/v1/snippets
POST /api/v1/snippets
POST /api/v1/snippets/preview
GET /api/v1/snippets/{snippet_id}
PATCH /api/v1/snippets/{snippet_id}
DELETE /api/v1/snippets/{snippet_id}
GET /api/v1/conversations/{conversation_id}
GET /api/v1/conversations/{conversation_id}/events
POST /api/v1/conversations/{conversation_id}/turns
POST /api/v1/conversations/{conversation_id}/turns/{turn_id}/cancel
WEBSOCKET /api/v1/conversations/{conversation_id}/live
GET /api/v1/openclaw-gateways
POST /api/v1/openclaw-gateways
PATCH /api/v1/openclaw-gateways/{gateway_id}
DELETE /api/v1/openclaw-gateways/{gateway_id}
POST /api/v1/openclaw-gateways/{gateway_id}/test
GET /api/v1/events
WEBSOCKET /api/v1/events/live
GET /api/v1/audit
GET /api/v1/audit/export
GET /api/v1/incidents
POST /api/v1/incidents/{incident_id}/seen
GET /api/v1/notifications/channels
POST /api/v1/notifications/channels
PATCH /api/v1/notifications/channels/{channel_id}
DELETE /api/v1/notifications/channels/{channel_id}
POST /api/v1/notifications/channels/{channel_id}/test
GET /api/v1/notifications/deliveries
GET /api/v1/notifications/vapid
GET /api/v1/account/settings
PATCH /api/v1/account/settings
""".strip().splitlines()
