"""The scripted model server, judged by the clients that these services publish themselves."""

import threading
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest

from tests.agents.model_server.parts import Cut, Fault, Gate, Ping, Refusal, Stall, Think, Tool, reply
from tests.agents.model_server.script import Script, with_tools
from tests.agents.model_server.server import ModelServer

KEY = "sk-of-the-test"
CALL = Tool("run", {"command": "df -h", "reason": "How full are the disks, and which one is the fullest?"})
RUN: Any = {"name": "run", "description": "Run it", "input_schema": {"type": "object", "properties": {}}}
RUN_CHAT: Any = {"type": "function", "function": {"name": "run", "parameters": {"type": "object"}}}
RUN_RESPONSES: Any = {"type": "function", "name": "run", "parameters": {"type": "object"}, "strict": False}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(key=KEY) as server:
        yield server


@pytest.fixture
def claude(server: ModelServer) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=server.anthropic_url, api_key=KEY, max_retries=0) as client:
        yield client


@pytest.fixture
def gpt(server: ModelServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.openai_url, api_key=KEY, max_retries=0) as client:
        yield client


def user(text: str) -> Any:
    return {"role": "user", "content": text}


def test_messages_stream_thoughts_text_and_a_tool_call(
    server: ModelServer, claude: anthropic.Anthropic
) -> None:
    server.answers = Script(reply(Think("Let me"), Think(" see."), "I ", Ping(), "look.", CALL))
    asking: Any = {"model": "m", "max_tokens": 99, "messages": [user("Disks?")], "tools": [RUN]}
    with claude.messages.stream(**asking) as stream:
        kinds = [event.type for event in stream]
        message = stream.get_final_message()
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use"]
    thinking, text, call = (block.model_dump() for block in message.content)
    assert (thinking["thinking"], thinking["signature"] != "", text["text"]) == (
        "Let me see.",
        True,
        "I look.",
    )
    assert (call["name"], call["input"]) == ("run", CALL.arguments)
    assert message.stop_reason == "tool_use"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (11, 7)
    assert (kinds[0], kinds[-1]) == ("message_start", "message_stop")
    assert (server.asked[0].said, server.asked[0].tools) == ("Disks?", ["run"])


def test_chat_completions_stream_text_thoughts_tool_calls_and_usage(
    server: ModelServer, gpt: openai.OpenAI
) -> None:
    server.answers = Script(reply(Think("Hm."), "I ", "look.", CALL, Tool("run", {"command": "free"})))
    asking: Any = {"model": "m", "messages": [user("Disks?")], "tools": [RUN_CHAT]}
    with gpt.chat.completions.stream(**asking, stream_options={"include_usage": True}) as stream:
        thoughts = "".join(
            getattr(event.chunk.choices[0].delta, "reasoning_content", None) or ""
            for event in stream
            if event.type == "chunk" and event.chunk.choices
        )
        whole = stream.get_final_completion()
    choice = whole.choices[0]
    calls = choice.message.tool_calls or []
    assert (thoughts, choice.message.content, choice.finish_reason) == ("Hm.", "I look.", "tool_calls")
    assert [call.function.arguments for call in calls] == [CALL.json, '{"command":"free"}']
    assert whole.usage
    assert (whole.usage.prompt_tokens, whole.usage.total_tokens) == (11, 18)
    assert (server.asked[0].said, server.asked[0].tools) == ("Disks?", ["run"])


def test_responses_stream_thoughts_text_and_a_tool_call(server: ModelServer, gpt: openai.OpenAI) -> None:
    server.answers = Script(reply(Think("Hm."), "I ", "look.", CALL))
    asking: Any = {"model": "m", "input": "Disks?", "tools": [RUN_RESPONSES]}
    with gpt.responses.stream(**asking) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        whole = stream.get_final_response()
    assert deltas == ["I ", "look."]
    assert [item.type for item in whole.output] == ["reasoning", "message", "function_call"]
    call = whole.output[2].model_dump()
    assert (whole.output_text, call["name"], call["arguments"]) == ("I look.", "run", CALL.json)
    assert whole.usage
    assert (whole.usage.input_tokens, whole.usage.output_tokens) == (11, 7)
    assert (server.asked[0].said, server.asked[0].tools) == ("Disks?", ["run"])


def test_answers_that_are_not_streamed_are_the_same(
    server: ModelServer, claude: anthropic.Anthropic, gpt: openai.OpenAI
) -> None:
    server.answers = lambda asked: reply(Think("Hm."), "I look.", CALL)
    message = claude.messages.create(model="m", max_tokens=9, messages=[user("Disks?")])
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use"]
    chat = gpt.chat.completions.create(model="m", messages=[user("Disks?")]).choices[0]
    assert (chat.message.content, chat.finish_reason) == ("I look.", "tool_calls")
    whole = gpt.responses.create(model="m", input="Disks?")
    assert [item.type for item in whole.output] == ["reasoning", "message", "function_call"]
    assert claude.messages.count_tokens(model="m", messages=[user("Disks?")]).input_tokens > 0


def test_results_of_tools_are_read_out_of_every_protocol(
    server: ModelServer, claude: anthropic.Anthropic, gpt: openai.OpenAI
) -> None:
    server.answers = lambda asked: reply("Done.")
    result = {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "9%"}]}
    use = {"type": "tool_use", "id": "c1", "name": "run", "input": {}}
    turns: Any = [
        user("Disks?"),
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result]},
    ]
    claude.messages.create(model="m", max_tokens=9, messages=turns)
    call = {"id": "c1", "type": "function", "function": {"name": "run", "arguments": "{}"}}
    chat: Any = [user("Disks?"), {"role": "assistant", "tool_calls": [call]}]
    answered: Any = {"role": "tool", "tool_call_id": "c1", "content": "9%"}
    gpt.chat.completions.create(model="m", messages=[*chat, answered])
    called: Any = {"type": "function_call", "call_id": "c1", "name": "run", "arguments": "{}"}
    output: Any = {"type": "function_call_output", "call_id": "c1", "output": "9%"}
    gpt.responses.create(model="m", input=[user("Disks?"), called, output])
    assert [asked.results for asked in server.asked] == [{"c1": "9%"}] * 3
    assert [asked.said for asked in server.asked] == ["Disks?"] * 3
    assert b"Disks?" in server.bodies


def test_it_is_found_by_a_client_that_asks_first(
    server: ModelServer, claude: anthropic.Anthropic, gpt: openai.OpenAI
) -> None:
    assert httpx.head(server.anthropic_url, trust_env=False).status_code == 200
    assert [model.id for model in claude.models.list()] == ["scripted-1"]
    assert [model.id for model in gpt.models.list()] == ["scripted-1"]
    server.answers = Script("Hello.")
    message = claude.beta.messages.create(
        model="m", max_tokens=9, messages=[user("Hi")], extra_query={"beta": "true"}
    )
    assert message.content[0].model_dump()["text"] == "Hello."
    assert ("POST", "/v1/messages?beta=true") in server.heads


@pytest.mark.parametrize(
    "status,expected,theirs",
    [
        (401, anthropic.AuthenticationError, openai.AuthenticationError),
        (429, anthropic.RateLimitError, openai.RateLimitError),
        (500, anthropic.InternalServerError, openai.InternalServerError),
        (529, anthropic.APIStatusError, openai.APIStatusError),
    ],
)
def test_a_refusal_is_the_error_that_the_clients_know(
    server: ModelServer,
    claude: anthropic.Anthropic,
    gpt: openai.OpenAI,
    status: int,
    expected: type[anthropic.APIStatusError],
    theirs: type[openai.APIStatusError],
) -> None:
    server.answers = lambda asked: Refusal(status, "Not now.", retry_after="7")
    with pytest.raises(expected, match="Not now") as caught:
        claude.messages.create(model="m", max_tokens=9, messages=[user("Hi")])
    assert (caught.value.status_code, caught.value.response.headers["retry-after"]) == (status, "7")
    with pytest.raises(theirs, match="Not now") as other:
        gpt.chat.completions.create(model="m", messages=[user("Hi")])
    assert (other.value.status_code, other.value.response.headers["retry-after"]) == (status, "7")


def test_a_wrong_key_is_refused_and_said_back(server: ModelServer) -> None:
    with (
        openai.OpenAI(base_url=server.openai_url, api_key="sk-wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError, match="sk-wrong"),
    ):
        client.chat.completions.create(model="m", messages=[user("Hi")])


def test_a_request_beyond_the_window_is_too_long(server: ModelServer, gpt: openai.OpenAI) -> None:
    server.window = 500
    with pytest.raises(openai.BadRequestError, match="maximum context length") as caught:
        gpt.chat.completions.create(model="m", messages=[user("x" * 600)])
    assert caught.value.code == "context_length_exceeded"


def test_a_fault_in_the_middle_is_raised_by_the_clients(
    server: ModelServer, claude: anthropic.Anthropic, gpt: openai.OpenAI
) -> None:
    server.answers = lambda asked: reply("I ", Fault())
    with (
        pytest.raises(anthropic.APIStatusError, match="Overloaded"),
        claude.messages.stream(model="m", max_tokens=9, messages=[user("Hi")]) as stream,
    ):
        stream.until_done()
    with pytest.raises(openai.APIError, match="Overloaded"):
        list(gpt.chat.completions.create(model="m", messages=[user("Hi")], stream=True))


def test_a_cut_stream_breaks_off(server: ModelServer, gpt: openai.OpenAI) -> None:
    server.answers = Script(reply("I ", Cut()))
    seen: list[str] = []
    with pytest.raises(openai.APIConnectionError):  # noqa: PT012 - what came before it counts, too
        for chunk in gpt.chat.completions.create(model="m", messages=[user("Hi")], stream=True):
            seen.append(chunk.choices[0].delta.content or "")  # noqa: PERF401
    assert "".join(seen) == "I "
    assert not server.asked[0].gone.is_set()


def test_a_gate_holds_back_what_stands_behind_it(server: ModelServer, gpt: openai.OpenAI) -> None:
    gate = Gate()
    server.answers = Script(reply("first", gate, "second"))
    seen: list[str] = []
    first = threading.Event()

    def read() -> None:
        for chunk in gpt.chat.completions.create(model="m", messages=[user("Hi")], stream=True):
            seen.append(chunk.choices[0].delta.content or "")
            if seen[-1]:
                first.set()

    reader = threading.Thread(target=read)
    reader.start()
    gate.until_reached()
    assert first.wait(10)
    assert "".join(seen) == "first"
    gate.open()
    reader.join(10)
    assert "".join(seen) == "firstsecond"
    assert server.asked[0].first_sent is not None


def test_a_client_that_hangs_up_in_a_stall_is_noticed(server: ModelServer, gpt: openai.OpenAI) -> None:
    server.answers = Script(reply("first", Stall()))
    stream = gpt.chat.completions.create(model="m", messages=[user("Hi")], stream=True)
    next(iter(stream))
    stream.close()
    gpt.close()
    assert server.asked[0].gone.wait(10)


def test_a_stall_ends_with_the_server() -> None:
    broken: list[httpx.HTTPError] = []

    def ask(url: str) -> None:
        try:
            httpx.post(f"{url}/responses", json={}, timeout=30, trust_env=False)
        except httpx.HTTPError as error:
            broken.append(error)

    with ModelServer(Script(reply(Stall()))) as server:
        asking = threading.Thread(target=ask, args=(server.openai_url,))
        asking.start()
        server.until_asked(1)
    asking.join(10)
    assert len(broken) == 1


def test_a_script_answers_in_order_and_leaves_out_what_is_asked_on_the_side(
    server: ModelServer, gpt: openai.OpenAI
) -> None:
    script = server.answers = Script("one", "two", when=with_tools, aside=reply("A title"))
    ask = gpt.chat.completions.create
    assert ask(model="m", messages=[user("a")], tools=[RUN_CHAT]).choices[0].message.content == "one"
    assert ask(model="m", messages=[user("Title?")]).choices[0].message.content == "A title"
    assert ask(model="m", messages=[user("b")], tools=[RUN_CHAT]).choices[0].message.content == "two"
    with pytest.raises(openai.BadRequestError, match="no further answer"):
        ask(model="m", messages=[user("c")], tools=[RUN_CHAT])
    assert (script.left, len(script.beyond)) == (0, 1)


def test_a_huge_answer_comes_whole(server: ModelServer, claude: anthropic.Anthropic) -> None:
    server.answers = Script(reply(*["x" * 1000] * 500))
    with claude.messages.stream(model="m", max_tokens=9, messages=[user("Hi")]) as stream:
        assert stream.get_final_text() == "x" * 500_000
