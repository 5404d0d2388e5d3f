"""The way to a model's provider: which addresses are asked, what is sent there, and what is not taken."""

import http.server
import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import httpx2
import pytest

from clawdbox.agents.model_providers.model import Endpoint, Kind
from clawdbox.agents.runtimes.model.engine import Engine
from clawdbox.agents.runtimes.model.failures import Cause, Failure
from clawdbox.errors import Upstream
from clawdbox.vault import Secret
from tests.agents.model_server.parts import Think, Tool, reply
from tests.agents.model_server.script import Script
from tests.agents.model_server.server import ModelServer
from tests.agents.models import KEY, World, endpoint_of

pytestmark = pytest.mark.xdist_group("model")


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(key=KEY) as server:
        yield server


@pytest.fixture(params=list(Kind))
def kind(request: pytest.FixtureRequest) -> Kind:
    known: Kind = request.param
    return known


class Odd(http.server.BaseHTTPRequestHandler):
    """Answers each path in a way that no model would."""

    seen: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.seen.append(self.path)
        self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path.startswith("/away"):
            self.send_response(307)
            self.send_header("location", "http://169.254.169.254/latest/meta-data")
            self.send_header("content-length", "0")
            self.end_headers()
        elif self.path.startswith("/zipped"):
            self.send_response(200)
            self.send_header("content-encoding", "gzip")
            self.send_header("content-length", "4")
            self.end_headers()
            self.wfile.write(b"\x1f\x8b\x08\x00")
        elif self.path.startswith("/page"):
            self.send_response(502)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", "44")
            self.end_headers()
            self.wfile.write(b"<html><body>a page of the router</body></html>"[:44])
        else:
            self._endless()

    def _endless(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"data: " + b" " * 1_000_000)
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its parent's word
        """Nothing."""


@pytest.fixture
def odd() -> Iterator[str]:
    Odd.seen.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Odd)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def at(url: str, kind: Kind = Kind.OPENAI) -> World:
    return World(Endpoint("My model", kind, url, "m", Secret(KEY.encode())))


async def test_the_key_goes_into_its_header_and_nothing_of_the_machine_goes_along(
    server: ModelServer, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_ORG_ID"):
        monkeypatch.setenv(name, "of-the-box-itself")
    monkeypatch.setenv(
        "ANTHROPIC_CUSTOM_HEADERS", "X-Leak: of-the-box-itself\nAuthorization: of-the-box-itself"
    )
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    server.answers = Script("Hello.")
    await World(endpoint_of(server, kind)).turn()
    headers = server.asked[0].headers
    assert KEY in (headers.get("authorization", "").removeprefix("Bearer "), headers.get("x-api-key"))
    assert "of-the-box-itself" not in str(headers)
    assert not [name for name in headers if name.startswith("x-stainless")]
    assert headers["user-agent"].startswith("clawdbox/")
    assert KEY.encode() not in server.bodies


async def test_without_a_key_none_is_sent(server: ModelServer, kind: Kind) -> None:
    server.key = None
    server.answers = Script("Hello.")
    await World(endpoint_of(server, kind, None)).turn()
    assert not {"authorization", "x-api-key"} & set(server.asked[0].headers)


async def test_a_missing_key_is_said_as_such(server: ModelServer, kind: Kind) -> None:
    with pytest.raises(Upstream, match="wants a key and has none here"):
        await World(endpoint_of(server, kind, None)).turn()


async def test_names_are_looked_up_and_the_first_address_that_answers_is_asked(server: ModelServer) -> None:
    server.answers = Script("Hello.")
    hands = await at(f"http://localhost:{server.port}/v1").turn()
    assert hands.text == "Hello."
    assert server.asked[0].headers["host"] == f"localhost:{server.port}"


@pytest.mark.parametrize(
    "address,why",
    [
        ("169.254.169.254", "link-local"),
        ("0.0.0.0", "leads back to this box"),
        ("100.100.100.200", "credentials of its machines"),
        ("93.184.216.34", "write https"),
    ],
)
async def test_addresses_are_judged_after_the_look_up(
    monkeypatch: pytest.MonkeyPatch, address: str, why: str
) -> None:
    import asyncio

    async def finds(*args: Any, **more: Any) -> Any:
        return [(2, 1, 6, "", (address, 80))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", finds, raising=False)
    with pytest.raises(Upstream, match=why) as caught:
        await at("http://models.example/v1").turn()
    assert caught.value.code == "model_address_refused"


async def test_the_port_of_the_box_itself_is_not_asked(server: ModelServer) -> None:
    world = World(endpoint_of(server, Kind.OPENAI))
    world.own_port = server.port
    with pytest.raises(Upstream, match="own address and port"):
        await world.turn()
    assert server.heads == []


async def test_nobody_is_followed_elsewhere(odd: str, kind: Kind) -> None:
    with pytest.raises(Upstream, match="follows nobody") as caught:
        await at(f"{odd}/away", kind).turn()
    assert caught.value.code == "model_address_refused"
    assert len(Odd.seen) == 1


async def test_a_packed_answer_is_not_unpacked(odd: str) -> None:
    with pytest.raises(Upstream, match="encoding that was not asked for"):
        await at(f"{odd}/zipped").turn()


async def test_an_endless_answer_ends(odd: str, kind: Kind) -> None:
    with pytest.raises(Upstream, match="longer than the box takes"):
        await at(f"{odd}/endless", kind).turn()


async def test_a_page_of_something_else_is_not_quoted(odd: str) -> None:
    with pytest.raises(Upstream, match=r"cannot answer now \(HTTP 502\)") as caught:
        await at(f"{odd}/page").turn()
    assert "router" not in caught.value.message


async def test_responses_is_spoken_too_and_nothing_is_kept_there(server: ModelServer) -> None:
    server.answers = Script(reply(Think("Hm."), "I look.", Tool("run", {"command": "df", "reason": "r"})))
    world = World(endpoint_of(server, Kind.OPENAI))
    heard: list[str] = []

    class Ear:
        async def opened(self) -> None:
            heard.append("opened")

        async def text(self, text: str, *, first: bool) -> None:
            heard.append(text)

        async def thought(self, text: str) -> None:
            heard.append(text)

    await world.engines.libraries()
    assert world.engines._trust
    async with Engine(world.at, lambda: None, world.engines._trust, 10, responses=True) as engine:
        response = await engine.ask([], "You are", Ear())
    assert heard == ["opened", "Hm.", "I look."]
    assert [call.tool_name for call in response.tool_calls] == ["run"]
    body = server.asked[0].body
    assert (server.asked[0].face, body["store"], body["instructions"]) == ("responses", False, "You are")


async def test_a_price_is_known_for_known_addresses_alone(server: ModelServer) -> None:
    server.answers = lambda asked: reply("Hello.", input_tokens=1_000_000, output_tokens=0)
    world = World(endpoint_of(server, Kind.OPENAI, model="gpt-4o"))

    class Deaf:
        async def opened(self) -> None: ...
        async def text(self, text: str, *, first: bool) -> None: ...
        async def thought(self, text: str) -> None: ...

    async with await world.engines.open(world.at) as engine:
        response = await engine.ask([], "", Deaf())
        assert engine.cost_usd(response) is None
        there = Endpoint("OpenAI", Kind.OPENAI, "https://api.openai.com/v1", "gpt-4o")
        async with await world.engines.open(there) as known:
            cost = known.cost_usd(response)
    assert cost is not None
    assert 0 < cost < 10


async def test_a_probe_says_what_answered_and_which_models_there_are(server: ModelServer, kind: Kind) -> None:
    server.models = ("scripted-1", "scripted-2")
    server.answers = Script("yes")
    world = World(endpoint_of(server, kind))
    verdict = await world.engines.probe(world.at)
    assert (verdict.ok, verdict.message, verdict.listed) == (True, "scripted-1 answered.", True)
    assert verdict.models == ("scripted-1", "scripted-2")
    assert verdict.first_ms
    assert server.asked[0].tools == ["run", "read_file", "write_file"]


async def test_a_probe_tells_the_truth_about_a_wrong_key_and_a_missing_model(
    server: ModelServer, kind: Kind
) -> None:
    wrong = World(endpoint_of(server, kind, "sk-not-the-right-one"))
    verdict = await wrong.engines.probe(wrong.at)
    assert (verdict.ok, verdict.code, verdict.models) == (False, "model_key_refused", ())
    assert "sk-not" not in verdict.message
    server.answers = Script("yes")
    other = World(endpoint_of(server, kind, model="unlisted"))
    assert (await other.engines.probe(other.at)).listed is False


def test_a_failure_of_ours_is_found_under_what_the_libraries_make_of_it() -> None:
    from clawdbox.agents.runtimes.model.engine import _own

    ours = Failure(Cause.ADDRESS, why="no")
    theirs = httpx2.ConnectError("wrapped")
    theirs.__cause__ = ours
    assert _own(theirs) is ours
