"""Another account, and a viewer, at every route of the API with the ids of real objects (cases 17 and 18).

The cases come from the router, so a route that is added is tried without anybody thinking of it; an id that is
added to a path has to be made here.
"""

import asyncio
from datetime import timedelta

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from clawdbox.accounts.login_providers.model import Person
from clawdbox.approvals.model import Asked, Kind
from clawdbox.events import IncidentKind
from clawdbox.events.model import SYSTEM
from clawdbox.events.sql import incidents
from clawdbox.ids import new_id
from clawdbox.store import Tx
from tests.ssh.sshd import Sshd
from tests.web.routes import ABSENT, BODIES, Route, http_routes, socket_routes
from tests.web.served import Client, Json, Make, Served, code_of, new_connection
from tests.web.servers import connect_to, open_terminal, start_session

pytestmark = pytest.mark.sshd
Ids = dict[str, str]
# What any viewer may change: their own logins, and what changes nothing.
_OPEN_TO_VIEWERS = frozenset(
    {
        "sign_out",
        "revoke_login",
        "revoke_other_logins",
        "make_pairing_code",
        "confirm_pairing_request",
        "refuse_pairing_request",
        "begin_passkey",
        "add_passkey",
        "rename_passkey",
        "remove_passkey",
        "begin_passkey_step_up",
        "step_up_with_passkey",
        "begin_terminal_step_up",
        "renew_recovery_codes",
        "preview_snippet",
        "unlink_identity",
    }
)
# They are not about an account's own things: whoever is no owner is told so, whatever the path names.
_OWNERS_ALONE = frozenset({"remove_login_provider", "change_account", "withdraw_invitation"})


@pytest.fixture
async def served(make: Make) -> Served:
    limits = {
        "rate_test_per_minute": 100,
        "rate_session_start_per_hour": 100,
        "rate_request_per_minute": 10_000,
    }
    return await make(allow_loopback=True, rate_failed_login_per_minute=10_000, **limits)


async def made(client: Client, path: str, body: Json | None = None) -> Json:
    answer = await client.post(path, body)
    assert answer.status_code in (200, 201, 202), (path, answer.text)
    found: Json = answer.json()
    return found


async def everything(served: Served, client: Client, sshd: Sshd) -> Ids:
    """One living object of each kind that a path can name."""
    session = await start_session(client, sshd)
    at = f"/sessions/{session['id']}"
    terminal = await open_terminal(client, session)
    kept = await open_terminal(client, session, keep_alive=True)
    recording = await made(client, f"{at}/terminals/{terminal['id']}/recording")
    forward = await made(client, f"{at}/forwards", {"kind": "web", "target_port": sshd.port})
    (sshd.home / "old").write_text("old")
    upload = await made(client, f"{at}/files/uploads", {"path": f"{sshd.home}/new", "size": 3})
    removal = await made(client, f"{at}/files/removals", {"path": f"{sshd.home}/old"})
    snippet = await made(client, "/snippets", {"label": "a", "command": "true"})
    run = await made(client, "/fleet-runs", {"command": "true", "connection_ids": [session["connection_id"]]})
    key = (await client.get("/keys")).json()["keypairs"][0]
    authority = await made(
        client, "/host-authorities", {"public_key": key["public_key"], "patterns": "*.lan"}
    )
    conversation = (await client.get(f"/connections/{session['connection_id']}/conversation")).json()
    conversation_id = conversation["conversation"]["id"]
    turn = await made(client, f"/conversations/{conversation_id}/turns", {"text": "help"})
    provider = await made(client, "/model-providers", dict(BODIES["create_model_provider"]))
    gateway = await made(client, "/openclaw-gateways", dict(BODIES["add_gateway"]))
    channel = await made(client, "/notifications/channels", dict(BODIES["add_notify_channel"]))
    passkey_id = await passkey(served, (await client.get("/auth/me")).json()["account"]["id"])
    identity_id = await linked(served, client)
    asked = await asking(served, client, session, conversation_id, turn["turn"]["id"])
    return {
        **asked,
        "identity_id": identity_id,
        "provider_id": provider["model_provider"]["id"],
        "gateway_id": gateway["openclaw_gateway"]["id"],
        "channel_id": channel["channel"]["id"],
        "answer_id": run["answers"][0]["id"],
        "authority_id": authority["host_authority"]["id"],
        "connection_id": session["connection_id"],
        "conversation_id": conversation_id,
        "fleet_run_id": run["fleet_run"]["id"],
        "forward_id": forward["forward"]["id"],
        "kept_id": kept["kept_id"],
        "keypair_id": key["id"],
        "login_id": client.login_id,
        "passkey_id": passkey_id,
        "request_id": ABSENT,  # a device that asks to be paired is nobody's until somebody lets it in
        "recording_id": recording["recording"]["id"],
        "removal_id": removal["removal"]["id"],
        "session_id": session["id"],
        "snippet_id": snippet["snippet"]["id"],
        "terminal_id": terminal["id"],
        "turn_id": turn["turn"]["id"],
        "upload_id": upload["upload"]["id"],
    }


async def passkey(served: Served, account_id: str) -> str:
    def change(tx: Tx) -> str:
        passkey_id = new_id(tx.now)
        row = {"id": passkey_id, "account_id": account_id, "credential_id": passkey_id, "public_key": "AA"}
        more = {"sign_count": 0, "rp_id": "box.example.org", "label": "a", "backed_up": False}
        tx.insert("passkeys", {**row, **more, "created_at": tx.now})
        return passkey_id

    return await served.box.store.write(change)


async def linked(served: Served, client: Client) -> str:
    """An identity at a provider, and a person who has just proved to be there."""
    account_id = (await client.get("/auth/me")).json()["account"]["id"]

    def change(tx: Tx) -> str:
        served.box.accounts.verify_login(tx, client.login_id, "test")
        person = Person("github", account_id, "octocat", None, None, False, [])
        return served.box.login_providers.link(tx, SYSTEM, account_id, person).id

    return await served.box.store.write(change)


async def asking(served: Served, client: Client, session: Json, conversation_id: str, turn_id: str) -> Ids:
    """A question that waits, a standing grant and a change that is about to be undone, as an agent brings them about."""
    account_id = (await client.get("/auth/me")).json()["account"]["id"]
    question = Asked(
        account_id=account_id, connection_id=session["connection_id"], session_lease_id=session["id"],
        conversation_id=conversation_id, turn_id=turn_id, call_id="call-1", kind=Kind.COMMAND, title="A step",
        username="ada", klass="change", why=("It changes something.",), command="touch x",
    )  # fmt: skip

    def change(tx: Tx) -> Ids:
        approval, _ = served.box.approvals.ask(tx, question)
        of = {"account_id": account_id, "connection_id": session["connection_id"], "command": "touch x"}
        grant_id, revert_id = new_id(tx.now), new_id(tx.now)
        grant = {
            "id": grant_id,
            "session_lease_id": session["id"],
            "approval_id": approval.id,
            "class": "change",
        }
        tx.insert("approval_grants", {**of, **grant, "digest": "d", "created_at": tx.now})
        revert = {"id": revert_id, "turn_id": turn_id, "what": "the firewall", "state": "armed"}
        tx.insert("reverts", {**of, **revert, "created_at": tx.now, "due_at": tx.now + timedelta(hours=1)})
        kind = IncidentKind.HOST_KEY_CHANGED
        served.box.ledger.incident(tx, SYSTEM, account_id, kind, session["connection_id"], {})
        (incident,) = incidents(tx, account_id, 1, only_open=True)
        return {
            "incident_id": incident.id,
            "approval_id": approval.id,
            "grant_id": grant_id,
            "revert_id": revert_id,
        }

    return await served.box.store.write(change)


async def stands(client: Client, ids: Ids) -> Json:
    """What another account could have changed of it."""
    at = f"/sessions/{ids['session_id']}"
    seen: Json = {}
    for path in (
        f"/connections/{ids['connection_id']}",
        f"/connections/{ids['connection_id']}/control-socket",
        f"/connections/{ids['connection_id']}/kept-terminals",
        "/host-authorities",
        "/keys",
        "/passkeys",
        "/recording-policy",
        "/snippets",
        f"{at}/files/uploads",
        f"{at}/files/removals/{ids['removal_id']}",
        f"/fleet-runs/{ids['fleet_run_id']}",
    ):
        seen[path] = (await client.get(path)).json()
    seen["session"] = (await client.get(at)).json()["session"]["status"]
    seen["terminals"] = [
        (one["id"], one["state"]) for one in (await client.get(f"{at}/terminals")).json()["terminals"]
    ]
    seen["forwards"] = [
        (one["id"], one["state"]) for one in (await client.get(f"{at}/forwards")).json()["forwards"]
    ]
    recording = (await client.get(f"/recordings/{ids['recording_id']}")).json()["recording"]
    seen["recording"] = (recording["state"], recording["title"])
    return seen


def ways(route: Route, theirs: Ids, own: Ids) -> list[Ids]:
    """All ids another's; and each of them alone among those of the own account, behind which it might hide."""
    names = route.parameters
    alone = [{**{name: own[name] for name in names}, name: theirs[name]} for name in names]
    return [{name: theirs[name] for name in names}, *alone]


async def test_no_route_shows_or_changes_what_is_anothers(
    served: Served, phone: Client, sshd: Sshd, stranger: Client
) -> None:
    theirs = await everything(served, phone, sshd)
    other = await served.browser(await served.account())
    own = await everything(served, other, sshd)
    before, mine = await stands(phone, theirs), await stands(other, own)
    nothing = (await other.get(f"/connections/{ABSENT}")).text
    tried = 0
    for route in http_routes():
        if route.name in _OWNERS_ALONE:
            answer = await other.ask(
                route.method, route.at(**dict.fromkeys(route.parameters, ABSENT)), json=route.body
            )
            assert (answer.status_code, answer.json()["code"]) == (403, "role_forbidden"), str(route)
            continue
        for ids in ways(route, theirs, own) if route.parameters else ():
            answer = await other.ask(route.method, route.at(**ids), json=route.body)
            assert (answer.status_code, answer.text) == (404, nothing), (str(route), ids)
            tried += 1
    assert tried > 100
    for route in socket_routes():
        for ids in ways(route, theirs, own) if route.parameters else ():
            async with other.socket(route.at(**ids)) as socket:
                assert await code_of(socket) == 4404, (str(route), ids)
    assert await stands(phone, theirs) == before
    assert await stands(other, own) == mine


async def test_no_body_names_what_is_anothers(served: Served, phone: Client, sshd: Sshd) -> None:
    theirs = await everything(served, phone, sshd)
    other = await served.browser(await served.account())
    own = await connect_to(other, sshd)
    session = (await made(other, "/sessions", {"connection_id": own["id"]}))["session"]
    connection, place = theirs["connection_id"], {"label": "x", "host": "nas.lan", "username": "bob"}
    for path, body in (
        ("/sessions", {"connection_id": connection}),
        ("/connections", {**place, "jump_connection_id": connection}),
        ("/connections", {**place, "keypair_id": theirs["keypair_id"]}),
        ("/fleet-runs", {"command": "true", "connection_ids": [own["id"], connection]}),
        ("/fleet-runs", {"snippet_id": theirs["snippet_id"], "connection_ids": [own["id"]]}),
        (f"/sessions/{session['id']}/terminals", {"kept_id": theirs["kept_id"]}),
    ):
        answer = await other.post(path, body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (path, answer.text)
    draft = await new_connection(other)
    for path, body in (
        (f"/connections/{draft['id']}", {"jump_connection_id": connection}),
        (f"/connections/{draft['id']}", {"keypair_id": theirs["keypair_id"]}),
        ("/recording-policy", {"record": "never", "connection_id": connection}),
    ):
        answer = await other.patch(path, body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (path, answer.text)
    for path in (
        f"/recordings?connection_id={connection}",
        f"/recordings?terminal_id={theirs['terminal_id']}",
    ):
        assert (await other.get(path)).json()["recordings"] == []


async def test_a_viewer_changes_nothing_by_any_route(served: Served, phone: Client, sshd: Sshd) -> None:
    account = await served.account()
    before = await served.browser(account)
    ids = await everything(served, before, sshd)
    seen = await stands(before, ids)
    await served.box.store.write(
        lambda tx: tx.run("UPDATE accounts SET role = 'viewer' WHERE id = ?", (account.id,))
    )
    viewer = await served.browser(account)
    await served.box.store.write(lambda tx: served.box.accounts.verify_login(tx, viewer.login_id, "test"))
    for route in http_routes(unsafe=True):
        if route.name not in _OPEN_TO_VIEWERS:
            answer = await viewer.ask(route.method, route.at(**ids), json=route.body)
            assert (answer.status_code, answer.json()["code"]) == (403, "role_forbidden"), str(route)
    attach = next(route for route in socket_routes() if route.path.endswith("/attach"))
    for frame in ((1).to_bytes(8, "big") + b"exit\n", '{"type":"resize","cols":100,"rows":30,"take":true}'):
        async with viewer.socket(attach.at(**ids)) as socket:
            await socket.send(frame)
            assert await code_of(socket) == 4403
    assert await stands(viewer, ids) == seen


async def heard_out(socket: ClientConnection) -> int | None:
    """How it ended, or None when it goes on: everything that was sent before has been judged."""
    try:
        await socket.send('{"type":"ping"}')
        async with asyncio.timeout(10):
            while '"pong"' not in str(await socket.recv()):
                pass
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 0
    return None


async def test_case_18_a_viewer_says_nothing_on_any_socket(served: Served, phone: Client, sshd: Sshd) -> None:
    """They may look: whatever they say there ends the socket, or is not heard."""
    account = await served.account()
    before = await served.browser(account)
    ids = await everything(served, before, sshd)
    await served.box.store.write(
        lambda tx: tx.run("UPDATE accounts SET role = 'viewer' WHERE id = ?", (account.id,))
    )
    viewer = await served.browser(account)
    seen = await stands(viewer, ids)
    for route in socket_routes():
        for frame in (b"\x00" * 8 + b"exit\n", '{"type":"resize","cols":100,"rows":30,"take":true}'):
            async with viewer.socket(route.at(**ids)) as socket:
                await socket.send(frame)
                assert await heard_out(socket) in (None, 4400, 4403), str(route)
    assert await stands(viewer, ids) == seen
