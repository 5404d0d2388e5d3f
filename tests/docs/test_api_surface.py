"""docs/planning/03-api-surface.md says what the API does: no endpoint missing, none invented, no example of another shape."""

import json
import re
from copy import deepcopy
from functools import cache
from http import HTTPStatus
from typing import Any, get_args

import jsonschema_rs
import msgspec
import pytest
from litestar.handlers import HTTPRouteHandler

from clawdbox.settings import Settings
from clawdbox.ssh.rules.connections import HOST_KEY_CAUSES, result_of
from clawdbox.ssh.wire.model import Cause
from clawdbox.web import sockets
from clawdbox.web.live import Heard
from clawdbox.web.problems import BY_CODE, WHEN
from tests.docs import markdown, sources
from tests.docs.markdown import Fence
from tests.house.tree import ROOT

NAME = "03-api-surface.md"
TEXT = markdown.planning(NAME)
ENDPOINTS = {
    title.strip("`"): body for title, body in markdown.sections(TEXT, 3).items() if " /" in title.strip("`")
}
FACTS = {
    name: {row[0]: row[1] for row in markdown.table(body.strip(), "")} for name, body in ENDPOINTS.items()
}
PLANNED = {name for name, facts in FACTS.items() if facts["Status"].startswith("not built yet")}
BUILT = sorted(set(ENDPOINTS) - PLANNED)
OVER_HTTP = sorted(name for name in BUILT if not name.startswith("WEBSOCKET"))
# Answers that the description of an operation leaves out.
UNTOLD = {("GET /health", 503)}
FROM_ANY = {500, 503, 504, 421, 431}


# the list of endpoints


def test_every_endpoint_of_the_box_is_documented_and_no_other_is_called_built() -> None:
    assert set(BUILT) == set(sources.handlers())
    assert {name for name in BUILT if not name.startswith("WEBSOCKET")} == set(sources.operations())


def test_no_endpoint_is_still_to_come() -> None:
    assert set() == PLANNED


@pytest.mark.parametrize("name", sorted(ENDPOINTS))
def test_an_endpoint_has_every_fact(name: str) -> None:
    wanted = {"Status", "Authentication", "Rate limit", "Idempotency"}
    assert wanted | ({"Answers"} if not name.startswith("WEBSOCKET") else set()) <= set(FACTS[name])
    assert all(FACTS[name].values())


# facts


@pytest.mark.parametrize("name", BUILT)
def test_who_may_call_it(name: str) -> None:
    handler, told = sources.handlers()[name], FACTS[name]["Authentication"]
    if handler.opt.get("public"):
        assert told.startswith("none")
        return
    unsafe = isinstance(handler, HTTPRouteHandler) and not handler.http_methods <= {"GET"}
    right = "any role" if not unsafe or handler.opt.get("viewer") else "owner"
    assert told.startswith(f"login, {right}")


@pytest.mark.parametrize("name", BUILT)
def test_how_often(name: str) -> None:
    assert set(re.findall(r"\d+/(?:minute|hour)", FACTS[name]["Rate limit"])) == sources.rates(
        sources.handlers()[name]
    )


@pytest.mark.parametrize("name", OVER_HTTP)
def test_what_a_repetition_does(name: str) -> None:
    handler, told = sources.handlers()[name], FACTS[name]["Idempotency"]
    if name.startswith("GET "):
        assert told.startswith("Safe")
    elif handler.opt.get("public"):
        assert told.startswith("No key is taken")
    elif handler.opt.get("once") is False:
        assert told.startswith("Never stored")
    else:
        assert told.startswith("`Idempotency-Key`")


def test_the_table_of_rates_is_that_of_the_settings() -> None:
    settings, seen = Settings(), set()
    for _what, _specified, ours, _key, setting in markdown.table(TEXT, "what", "specified", "in the box"):
        if not setting:
            assert ours == "not built yet"
            continue
        name = setting.strip("`")
        seen.add(name)
        assert ours.strip("`") == f"{getattr(settings, name)}/{name.rpartition('_')[2]}"
    assert seen == {name for name in Settings.__struct_fields__ if name.startswith("rate_")}


@pytest.mark.parametrize("name", OVER_HTTP)
def test_its_answers_and_refusals_are_those_of_the_description(name: str) -> None:
    statuses = {int(status) for status in sources.operations()[name]["responses"]}
    answers = {int(status) for status in re.findall(r"`(\d{3})`", FACTS[name]["Answers"])}
    assert {status for status in answers if status < 400} == {status for status in statuses if status < 400}
    told = refusals(name)
    assert {code: status for code, status in told.items() if sources.problem_codes()[code] != status} == {}
    outside = (answers | set(told.values())) - statuses - FROM_ANY
    assert {(name, status) for status in outside} <= UNTOLD


@pytest.mark.parametrize("name", OVER_HTTP)
def test_every_code_that_the_description_names_for_it_is_told(name: str) -> None:
    said = {
        code
        for status, response in sources.operations()[name]["responses"].items()
        if response["description"] != WHEN.get(int(status)) and int(status) >= 400
        for code in markdown.codes(response["description"])
        if code in sources.problem_codes()
    }
    assert said <= set(refusals(name)) | usual_codes()


def refusals(name: str) -> dict[str, int]:
    pairs = [text.split() for text in markdown.codes(FACTS[name].get("Refusals", ""))]
    return {code: int(status) for status, code in pairs}


def usual_codes() -> set[str]:
    return {
        text.split()[1] for row in markdown.table(TEXT, "answer", "when") for text in markdown.codes(row[0])
    }


# examples


def examples(kind: str) -> list[tuple[str, Fence]]:
    return [
        (name, fence)
        for name in OVER_HTTP
        for fence in markdown.fences(ENDPOINTS[name], "json")
        if fence.words[:1] == (kind,)
    ]


def example_name(value: object) -> str:
    return f"{value.words[-1]}:{value.line}" if isinstance(value, Fence) else str(value)


@pytest.mark.parametrize("name, fence", examples("request"), ids=example_name)
def test_a_request_is_one_that_the_box_takes(name: str, fence: Fence) -> None:
    schema = sources.operations()[name]["requestBody"]["content"]["application/json"]["schema"]
    check(schema, fence)


@pytest.mark.parametrize("name, fence", examples("response"), ids=example_name)
def test_a_response_has_the_shape_that_is_promised(name: str, fence: Fence) -> None:
    status = int(fence.words[1])
    response = sources.operations()[name]["responses"][str(status)]
    if status >= 400:
        check_problem(json.loads(fence.text), status)
        check(response["content"]["application/problem+json"]["schema"], fence)
    else:
        check(response["content"]["application/json"]["schema"], fence)


@pytest.mark.parametrize("name", OVER_HTTP)
def test_every_endpoint_has_its_examples(name: str) -> None:
    operation = sources.operations()[name]
    shown = [fence.words for fence in markdown.fences(ENDPOINTS[name], "json")]
    if name != "GET /metrics":
        good = {
            status
            for status, answer in operation["responses"].items()
            if int(status) < 400 and "application/json" in answer.get("content", {"application/json": {}})
        }
        assert good <= {words[1] for words in shown if words[0] == "response"}
    assert ("request",) in shown or "requestBody" not in operation
    assert all(words[0] in ("request", "response") for words in shown)


def test_the_problem_shown_first_is_one() -> None:
    (fence,) = [fence for fence in markdown.fences(TEXT, "json") if fence.words == ("problem",)]
    body = json.loads(fence.text)
    check_problem(body, body["status"])
    check({"$ref": "#/components/schemas/ProblemBody"}, fence)


def check_problem(body: dict[str, Any], status: int) -> None:
    assert body["status"] == status == sources.problem_codes()[body["code"]]
    assert body["type"] == f"urn:clawdbox:problem:{body['code']}"
    assert body["title"] in (HTTPStatus(status).phrase, "Unprocessable Content")


def check(schema: dict[str, Any], fence: Fence) -> None:
    """Against the schema, and with no member that it does not know: the description allows those, a document must not."""
    whole = {**schema, "components": strict_components()}
    validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
    assert [error.message for error in validator.iter_errors(json.loads(fence.text))] == []


@cache
def strict_components() -> dict[str, Any]:
    components: dict[str, Any] = deepcopy(sources.openapi()["components"])
    for name, schema in components["schemas"].items():
        if "properties" in schema and name != "ProblemBody":
            schema["additionalProperties"] = False
    return components


def test_an_example_that_drifted_is_found() -> None:
    reference = {"$ref": "#/components/schemas/Health"}
    for text in ('{"status": "ok"}', '{"status":"ok","active_sessions":0,"db":"ok","version":"1","more":1}'):
        with pytest.raises(AssertionError):
            check(reference, Fence("json", (), text, 1))


# sockets


@pytest.mark.parametrize(
    "name, shape",
    [
        ("WEBSOCKET /api/v1/events/live", "EventView"),
        ("WEBSOCKET /api/v1/conversations/{conversation_id}/live", "ConversationEventView"),
    ],
)
def test_the_frames_of_a_feed(name: str, shape: str) -> None:
    ready, event = (json.loads(fence.text) for fence in markdown.fences(ENDPOINTS[name], "json"))
    assert set(ready) == {"type", "last_seq"}
    assert set(event) == {"type", "event"}
    frame = Fence("json", (), json.dumps(event["event"]), 0)
    check({"$ref": f"#/components/schemas/{shape}"}, frame)


def test_the_frames_of_a_terminal() -> None:
    body = ENDPOINTS["WEBSOCKET /api/v1/sessions/{session_id}/terminals/{terminal_id}/attach"]
    frames: dict[str, dict[str, dict[str, Any]]] = {"box": {}, "client": {}}
    for sender, frame, _meaning in markdown.table(body, "from", "frame"):
        if not frame.startswith("binary"):
            message = json.loads(markdown.codes(frame)[0])
            frames[sender][message["type"]] = message
    source = (ROOT / "clawdbox/web/attach.py").read_text()
    assert set(frames["box"]) == set(re.findall(r'\.say\("(\w+)"', source))
    assert set(frames["client"]) == set(re.findall(r'heard\.type == "(\w+)"', source))
    for message in frames["client"].values():
        assert set(message) <= set(Heard.__struct_fields__)
        msgspec.convert(message, Heard)


def test_the_close_codes() -> None:
    told = {int(markdown.codes(row[0])[0]) for row in markdown.table(TEXT, "code", "meaning")}
    assert told == {value for value in vars(sockets).values() if isinstance(value, int)}


# tables


def test_every_error_code_and_its_status() -> None:
    told = {
        markdown.codes(code)[0]: int(status)
        for status, code, _when in markdown.table(TEXT, "status", "code", "when")
    }
    assert told == sources.problem_codes()
    assert set(BY_CODE) <= set(told)


def test_the_usual_refusals_have_their_statuses() -> None:
    for row in markdown.table(TEXT, "answer", "when"):
        for text in markdown.codes(row[0]):
            status, code = text.split()
            assert sources.problem_codes()[code] == int(status)


def test_the_causes_of_a_failed_test() -> None:
    rows = markdown.table(ENDPOINTS["POST /api/v1/connections/{connection_id}/test"], "`result`", "`cause`")
    told = {cause: result for result, causes in rows for cause in markdown.codes(causes) if cause != "null"}
    assert set(told) == set(get_args(Cause))
    for cause, result in told.items():
        wanted = "409" if cause in HOST_KEY_CAUSES else f"`{result_of(cause)}`"
        assert result.startswith(wanted)


def test_actions_and_event_types_are_names_of_the_code() -> None:
    actions = [name for row in markdown.table(TEXT, "`action` of") for name in markdown.codes(row[0])]
    types = [name for row in markdown.table(TEXT, "event type") for name in markdown.codes(row[0])]
    made = {"account.enable", "account.disable", "account.enabled", "account.disabled"}
    made |= {f"session.{status}" for status in ("pending", "active", "closed", "error")}
    made |= {f"host_key.{what}" for what in ("unknown", "changed")}
    assert actions
    assert types
    assert set(actions) | set(types) <= sources.texts() | made


def test_conversation_events_are_names_of_the_code() -> None:
    body = ENDPOINTS["GET /api/v1/conversations/{conversation_id}/events"]
    types = {markdown.codes(row[0])[0] for row in markdown.table(body, "`type`", "`payload`")}
    agents = "".join(file.read_text() for file in (ROOT / "clawdbox/agents").rglob("*.py"))
    calls = r"(?:\.add\(|\._words\(|\.append\(\s*tx,\s*[\w.]+,\s*[\w.]+,)"
    written = set(re.findall(rf'{calls}\s*"([a-z.]+)"', agents))
    assert types == written
