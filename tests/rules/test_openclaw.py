"""What is decided about an OpenClaw gateway: addresses, own commands, what was said, how a turn stands."""

import shlex
import subprocess
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clawdbox import net
from clawdbox.agents.model import Context
from clawdbox.agents.runtimes.openclaw import frames
from clawdbox.agents.runtimes.openclaw.frames import ApprovalRequest, Challenge, Failure, Malformed
from clawdbox.agents.runtimes.openclaw.model import Look, State
from clawdbox.agents.runtimes.openclaw.rules import (
    addresses,
    context,
    gateways,
    patience,
    questions,
    socket,
    speech,
    standing,
    tools,
)
from clawdbox.agents.runtimes.openclaw.rules.context import Reach
from clawdbox.agents.runtimes.openclaw.rules.speech import Said
from clawdbox.agents.runtimes.openclaw.rules.standing import Course
from clawdbox.agents.runtimes.openclaw.wire import device
from clawdbox.agents.runtimes.port import Step, TurnLost
from clawdbox.errors import Conflict, Invalid, Upstream
from clawdbox.ssh.rules.control import Request, Use

ABOUT = Context("c", "nas.lan", 22, "ann", "k", "s")
BEFORE = context.prefix("/run/box/c-0123", ABOUT)


class TestAddresses:
    @pytest.mark.parametrize(
        "text, url",
        [
            ("ws://127.0.0.1:18789", "ws://127.0.0.1:18789"),
            (" ws://localhost ", "ws://localhost:18789"),
            ("wss://Claw.Example.org", "wss://claw.example.org:443"),
            ("wss://claw.example.org/gw/", "wss://claw.example.org:443/gw/"),
            ("ws://[::1]:9", "ws://[::1]:9"),
            ("WS://127.0.0.1/", "ws://127.0.0.1:18789"),
        ],
    )
    def test_an_address_is_kept_in_one_form(self, text: str, url: str) -> None:
        assert addresses.parse(text).url == url

    @pytest.mark.parametrize(
        "text",
        [
            "", "127.0.0.1:18789", "http://127.0.0.1:18789", "ws://", "ws://a b", "ws://nas.lan:0", "ws://nas.lan:99999",
            "ws://token@nas.lan", "ws://nas.lan/?token=x", "ws://nas.lan/?gatewayUrl=ws://evil", "ws://nas.lan/#x",
            "ws://nas.lan/%2e%2e", "ws://2130706433", "ws://0x7f.1", "wss://nas\n.lan", "ws://nas.lan\x00",
            "ws://" + "a" * 600,
        ],
    )  # fmt: skip
    def test_what_is_no_address_is_refused(self, text: str) -> None:
        with pytest.raises(Invalid) as refused:
            addresses.parse(text)
        assert refused.value.field == "url"

    @pytest.mark.parametrize(
        "ip, port, encrypted, allowed",
        [
            ("127.0.0.1", 18789, False, True),
            ("::1", 18789, False, True),
            ("::ffff:127.0.0.1", 18789, False, True),
            ("192.168.1.20", 18789, False, True),
            ("10.0.0.1", 1, False, True),
            ("100.101.102.103", 18789, False, True),
            ("fd00::1", 18789, False, True),
            ("203.0.113.7", 443, True, True),
            ("8.8.8.8", 443, True, True),
            ("8.8.8.8", 18789, False, False),
            ("2001:4860:4860::8888", 18789, False, False),
            ("127.0.0.1", 8022, False, False),
            ("::ffff:127.0.0.1", 8022, True, False),
            ("169.254.169.254", 80, True, False),
            ("fe80::1", 80, True, False),
            ("100.100.100.200", 80, True, False),
            ("0.0.0.0", 80, True, False),
            ("224.0.0.1", 80, True, False),
            ("255.255.255.255", 80, True, False),
        ],
    )
    def test_the_own_port_and_what_is_no_machine_are_never_dialled(
        self, ip: str, port: int, encrypted: bool, allowed: bool
    ) -> None:
        verdict = net.gateway_address_verdict(ip, port, 8022, encrypted=encrypted)
        assert (verdict is None) == allowed

    def test_a_refused_address_is_refused_when_it_is_saved_too(self) -> None:
        for url in (
            "ws://8.8.8.8:18789",
            "ws://127.0.0.1:8022",
            "ws://localhost:8022",
            "wss://169.254.169.254",
        ):
            with pytest.raises(Invalid) as refused:
                addresses.check_dialable(addresses.parse(url), 8022)
            assert refused.value.code == "address_refused"
        addresses.check_dialable(addresses.parse("ws://127.0.0.1:18789"), 8022)
        addresses.check_dialable(addresses.parse("wss://claw.example.org"), 8022)

    @pytest.mark.parametrize(
        "host, beside",
        [
            ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("gw.localhost", True),
            ("::ffff:127.0.0.1", True), ("203.0.113.9", False), ("nas.lan", False), ("localhost.example.org", False),
        ],
    )  # fmt: skip
    def test_only_this_machine_is_beside_the_box(self, host: str, beside: bool) -> None:
        assert addresses.is_beside(host) is beside


class TestOwnCommands:
    @pytest.mark.parametrize(
        "rest",
        [
            "'uptime'", "'df -h; rm -rf /'", "'echo \"$HOME\" `id`'", "'it'\\''s'", "'a\nb'", '"uptime -p"', "uptime",
            "systemctl status nginx", "cat /etc/os-release", '"ls; whoami"',
        ],
    )  # fmt: skip
    def test_one_word_for_the_socket_needs_no_answer_at_the_gateway(self, rest: str) -> None:
        assert context.is_own_command(f"{BEFORE} {rest}", BEFORE)

    @pytest.mark.parametrize(
        "command",
        [
            "uptime", BEFORE, f"{BEFORE} ", f" {BEFORE} 'uptime'", f"{BEFORE}  'uptime'", f"{BEFORE} uptime; rm -rf ~",
            f"{BEFORE} 'a' ; 'b'", f"{BEFORE} 'a' 'b'", f'{BEFORE} "$(rm -rf ~)"', f'{BEFORE} "`id`"', f'{BEFORE} "a\\"b"',
            f"{BEFORE} 'a'$(id)", f"{BEFORE} uptime > /etc/passwd", f"{BEFORE} uptime &", f"{BEFORE} a | sh",
            f"{BEFORE} $(id)", f"{BEFORE} ~/x", f"{BEFORE} *", f"{BEFORE} a\nid", f"{BEFORE} 'a'\nid", f"{BEFORE} -t 'sh'",
            f"{BEFORE} -L 1:a:1", f"{BEFORE} {{a,b}}", f"{BEFORE} 'a", f"env {BEFORE} 'a'", f"{BEFORE} uptime\ta",
            f"{BEFORE} 'a'\\'", f"{BEFORE} \u2018a\u2019", f'{BEFORE} "a!b"',
            BEFORE.replace("ProxyCommand=false", "ProxyCommand=evil") + " 'a'", f"{BEFORE} '-S/tmp/b'", f'{BEFORE} "-S/tmp/b"',
            f"{BEFORE} '-vvvE/path'", f"{BEFORE} '-D1080'", f"{BEFORE} '-'", BEFORE.removesuffix(" --") + " 'a'",
        ],
    )  # fmt: skip
    def test_anything_else_is_asked_about(self, command: str) -> None:
        assert not context.is_own_command(command, BEFORE)

    def test_nothing_is_own_without_a_socket(self) -> None:
        assert not context.is_own_command(f"{BEFORE} 'uptime'", None)
        assert not context.is_own_command("", "")

    @given(st.text(alphabet="'\"$`\\ ;|&<>\n!*?~{}()#ab-", max_size=12))
    @example("'a'\\''b'")
    def test_the_local_shell_makes_exactly_one_argument_list_of_it(self, rest: str) -> None:
        """Whatever passes is run by a real shell, with a program in place of ssh that shows what it was given."""
        if not context.is_own_command(f"{BEFORE} {rest}", BEFORE):
            return
        shown = subprocess.run(
            ["bash", "-c", f"ssh() {{ printf '%s\\0' \"$@\"; }}; {BEFORE} {rest}"],
            capture_output=True, check=True,
        )  # fmt: skip
        words = shown.stdout.split(b"\0")[:-1]
        assert shown.stderr == b""
        assert words[: len(shlex.split(BEFORE)) - 1] == [word.encode() for word in shlex.split(BEFORE)[1:]]

    def test_the_prefix_rides_the_socket_or_fails(self) -> None:
        words = shlex.split(context.prefix("/tmp/a b/c-0", msgspec.structs.replace(ABOUT, username="a\\b@c")))
        assert words == [
            "ssh", "-F", "none", "-S", "/tmp/a b/c-0", "-o", "BatchMode=yes", "-o", "ProxyCommand=false", "a\\b@c@nas.lan", "--",
        ]  # fmt: skip

    def test_a_turn_hands_over_the_context_of_document_05(self) -> None:
        said = context.message("why?", ABOUT, Reach(BEFORE))
        assert said.startswith(context.BEGIN)
        assert said.endswith("\n\nwhy?")
        assert BEFORE in said
        about = msgspec.json.decode(said.splitlines()[1])
        assert about == {
            "connection_id": "c", "host": "nas.lan", "port": 22, "username": "ann", "keypair_id": "k",
            "session_lease_id": "s",
        }  # fmt: skip

    def test_one_that_may_not_act_is_told_why(self) -> None:
        said = context.message("why?", ABOUT, Reach(None, "This gateway runs elsewhere."))
        assert "This gateway runs elsewhere." in said
        assert "ssh" not in said


class TestTheSocket:
    @pytest.mark.parametrize("use", [use for use in Use if use is not Use.COMMAND])
    def test_everything_but_a_command_is_refused_with_a_reason(self, use: Use) -> None:
        reason = socket.refusal(Request(use, "sftp" if use is Use.SUBSYSTEM else None))
        assert reason
        assert "connection" not in reason

    def test_a_command_is_judged_unless_nobody_could(self) -> None:
        assert socket.refusal(Request(Use.COMMAND, "uptime")) is None
        assert socket.refusal(Request(Use.COMMAND, "uptime", pty=True))
        assert socket.refusal(Request(Use.COMMAND, "echo \\xff", exact=False))
        assert socket.refusal(Request(Use.COMMAND, ""))


class TestQuestions:
    def ask(self, **more: Any) -> str | None:
        request = ApprovalRequest(**{"command": f"{BEFORE} 'uptime'", "host": "gateway", **more})
        return questions.unasked(request, Reach(BEFORE))

    def test_what_only_hands_a_command_to_the_socket_is_let_through(self) -> None:
        assert self.ask() == questions.ALLOW

    @pytest.mark.parametrize(
        "more",
        [{"command": "uptime"}, {"host": "node"}, {"env": {"A": "b"}}, {"env_keys": ("A",)}],
    )
    def test_anything_else_is_a_persons(self, more: dict[str, Any]) -> None:
        assert self.ask(**more) is None

    def test_a_gateway_that_may_only_talk_runs_nothing(self) -> None:
        assert (
            questions.unasked(ApprovalRequest(command="uptime"), Reach(None, "elsewhere")) == questions.DENY
        )

    def test_the_policy_of_servers_is_not_asked_about_another_machine(self) -> None:
        request = ApprovalRequest(command="rm x", cwd="/srv", warning_text="careful")
        asked = questions.question(frames.ExecApproval("a1", request))
        assert (asked.command, asked.directory, asked.call_id) == (None, "/srv", "exec:a1")
        assert asked.detail.splitlines() == ["rm x", "in /srv", "careful"]
        assert [option.id for option in asked.options] == ["allow-once", "deny"]


class TestSpeech:
    def say(self, *answers: str, run: str = "r") -> str:
        said, text = Said(run), ""
        for answer in answers:
            new, said = speech.more(said, answer)
            text += new
        return text

    @pytest.mark.parametrize(
        "answers, text",
        [
            (("Hel", "Hello", "Hello wor", "Hello world."), "Hello world."),
            (("Hello ", "Hello  ", "Hello world "), "Hello world"),
            (("Hello world.", "Hello", "Hello world."), "Hello world."),
            (("One.", "One. \n\nTwo."), "One. \n\nTwo."),
            (("Two.", "Aside.\n\nTwo. Three."), "Two. Three."),
            (("One thing.", "Quite another."), "One thing.\n\nQuite another."),
            (("", "  ", "\n"), ""),
        ],
    )
    def test_nothing_is_said_twice_and_nothing_left_out(self, answers: tuple[str, ...], text: str) -> None:
        assert self.say(*answers) == text

    def test_what_came_in_pieces_fits_what_comes_whole(self) -> None:
        said = Said("r")
        for delta in ("Hel", "lo ", "wor", "ld. "):
            said = speech.append(said, delta)
        assert speech.more(said, "Hello world. And more.") == ("And more.", speech.append(said, "And more."))
        assert speech.more(said, "Hello world.")[0] == ""

    @given(st.text(max_size=300), st.data())
    def test_it_goes_on_after_a_restart_wherever_that_was(self, answer: str, data: st.DataObject) -> None:
        cut = data.draw(st.integers(0, len(answer)))
        first, _ = speech.more(Said("r"), answer[:cut])
        second, _ = speech.more(speech.append(Said("r"), first), answer)
        assert "".join((first + second).split()) == "".join(answer.split())

    @pytest.mark.parametrize(
        "text, count, rest",
        [("", 0, ""), ("a b c", 0, "a b c"), ("a b c", 1, " b c"), ("a b c", 3, ""), ("a b c", 9, "")],
    )
    def test_what_an_earlier_run_said_is_counted_off(self, text: str, count: int, rest: str) -> None:
        assert speech.after(text, count) == rest
        assert speech.length(text) == len("".join(text.split()))


def row(role: str, text: str = "", **more: Any) -> frames.Message:
    marks = {"runId": more.pop("run")} if "run" in more else {}
    raw = {"role": role, "content": [{"type": "text", "text": text}], "__openclaw": marks, **more}
    return msgspec.convert(raw, frames.Message)


ASKED = row("user", "hi", idempotencyKey="t:user")
EARLIER = [
    row("user", "before", idempotencyKey="s:user"),
    row("assistant", "old", run="s", stopReason="stop"),
]
TAKEN_UP = row("user", "[System] Your previous turn was interrupted", idempotencyKey="x:user")


def info(**more: Any) -> dict[str, Any]:
    return {"sessionInfo": {"status": "done", "hasActiveRun": False, "activeRunIds": [], **more}}


class TestStanding:
    @pytest.mark.parametrize(
        "rows, more, course, run, answer",
        [
            ([], {}, Course.UNSENT, None, ""),
            (EARLIER, info(lastRunId="s"), Course.UNSENT, None, ""),
            ([*EARLIER, ASKED], info(status="running", activeRunIds=["t"], hasActiveRun=True), Course.RUNNING, "t", ""),
            (
                [*EARLIER, ASKED],
                {**info(status="running", hasActiveRun=True, activeRunIds=None), "inFlightRun": {"runId": "t", "text": "so f"}},
                Course.RUNNING, "t", "so f",
            ),
            (EARLIER, {**info(lastRunId="s"), "inputReceipts": [{"runId": "t", "state": "pending"}]}, Course.CUT_OFF, "t", ""),
            ([ASKED, row("assistant", "yes", run="t", stopReason="stop")], info(lastRunId="t"), Course.DONE, "t", "yes"),
            (
                [ASKED, row("assistant", "look", run="t"), row("assistant", "", run="t", stopReason="toolUse"),
                 row("toolResult", "x", run="t"), row("assistant", "yes ", run="t", stopReason="stop")],
                info(lastRunId="t"), Course.DONE, "t", "look\n\nyes",
            ),
            (
                [ASKED, row("assistant", "", run="t", stopReason="toolUse"), row("toolResult", "x", run="t")],
                info(status="running"), Course.CUT_OFF, "t", "",
            ),
            (
                [ASKED, row("assistant", "half", run="t", stopReason="stop", openclawAbort={"aborted": True})],
                info(status="killed", lastRunId="t"), Course.ABORTED, "t", "half",
            ),
            ([ASKED, row("assistant", "It broke.", run="t", stopReason="error")], info(status="failed"), Course.FAILED, "t", ""),
            ([ASKED], info(status="failed", lastRunId="t"), Course.FAILED, "t", ""),
            ([ASKED], info(status="running", lastRunId="s"), Course.CUT_OFF, "t", ""),
            ([ASKED], info(status="running", activeRunIds=["x"], hasActiveRun=True), Course.RUNNING, "x", ""),
            ([ASKED, TAKEN_UP], info(status="running", activeRunIds=["x"], hasActiveRun=True), Course.RUNNING, "x", ""),
            (
                [ASKED, TAKEN_UP, row("assistant", "again", run="x", stopReason="stop")],
                info(lastRunId="x"), Course.DONE, "x", "again",
            ),
            (
                [ASKED, row("assistant", "yes", run="t", stopReason="stop"), row("user", "else", idempotencyKey="o:user"),
                 row("assistant", "other", run="o", stopReason="stop")],
                info(lastRunId="o"), Course.DONE, "t", "yes",
            ),
            (
                [ASKED, row("assistant", "yes", run="t", stopReason="stop"), row("user", "else", idempotencyKey="o:user")],
                info(activeRunIds=["o"], hasActiveRun=True, lastRunId="t"), Course.DONE, "t", "yes",
            ),
        ],
    )  # fmt: skip
    def test_how_a_turn_stands(
        self, rows: list[frames.Message], more: dict[str, Any], course: Course, run: str | None, answer: str
    ) -> None:
        now = standing.of("t", rows, msgspec.convert(more, frames.History))
        assert (now.course, now.run, now.answer) == (course, run, answer)

    def test_what_went_wrong_is_told(self) -> None:
        rows = [ASKED, row("assistant", "It broke.", run="t", stopReason="error")]
        assert standing.of("t", rows, frames.History()).error == "It broke."

    def test_tokens_and_cost_are_the_sum_of_the_turn(self) -> None:
        used = {"input": 10, "output": 2, "cost": {"total": 0.25}}
        rows = [
            *EARLIER,
            ASKED,
            row("assistant", "a", run="t", usage=used),
            row("assistant", "b", run="t", usage=used),
        ]
        now = standing.of("t", rows, frames.History())
        assert (now.input_tokens, now.output_tokens, now.cost_usd) == (20, 4, 0.5)
        free = [ASKED, row("assistant", "a", run="t", usage={"input": 1, "output": 1, "cost": {"total": 0}})]
        assert standing.of("t", free, frames.History()).cost_usd is None
        assert standing.of("t", [ASKED], frames.History()).input_tokens is None


class TestPatience:
    @pytest.mark.parametrize(
        "look, waited, sent, kind",
        [
            (Look(State.REFUSED, "No."), 0.0, False, Conflict),
            (Look(State.REFUSED, "No."), 0.0, True, TurnLost),
            (Look(State.UNREACHABLE, "No."), 19.0, False, None),
            (Look(State.UNREACHABLE, "No."), 20.0, False, Upstream),
            (Look(State.UNREACHABLE, "No."), 599.0, True, None),
            (Look(State.UNREACHABLE, "No."), 600.0, True, TurnLost),
            (Look(State.PAIRING, "No."), 299.0, False, None),
            (Look(State.PAIRING, "No."), 300.0, False, Conflict),
        ],
    )
    def test_it_has_an_end(self, look: Look, waited: float, sent: bool, kind: type[Exception] | None) -> None:
        if kind is None:
            patience.check(look, waited, sent=sent)
        else:
            with pytest.raises(kind):
                patience.check(look, waited, sent=sent)

    def test_attempts_come_further_and_further_apart(self) -> None:
        delays = [patience.delay_s(attempt) for attempt in range(10)]
        assert delays == sorted(delays)
        assert delays[-1] == 15.0


class TestGateways:
    @pytest.mark.parametrize(
        "failure, state, request_id",
        [
            (
                Failure("NOT_PAIRED", "x", {"code": "PAIRING_REQUIRED", "requestId": "a-1"}),
                State.PAIRING,
                "a-1",
            ),
            (
                Failure("NOT_PAIRED", "x", {"code": "PAIRING_REQUIRED", "requestId": "a; rm -rf ~"}),
                State.PAIRING,
                None,
            ),
            (
                Failure("NOT_PAIRED", "x", {"code": "PAIRING_REQUIRED", "requestId": "-x"}),
                State.PAIRING,
                None,
            ),
            (Failure("NOT_PAIRED", "x", {"code": "PAIRING_REQUIRED"}), State.PAIRING, None),
            (Failure("UNAVAILABLE", "starting", retryable=True), State.UNREACHABLE, None),
            (Failure("INVALID_REQUEST", "no", {"code": "AUTH_TOKEN_MISMATCH"}), State.REFUSED, None),
            (Failure("", ""), State.REFUSED, None),
        ],
    )
    def test_what_a_refusal_means(self, failure: Failure, state: State, request_id: str | None) -> None:
        look = gateways.look_at(failure)
        assert (look.state, look.pairing_request_id) == (state, request_id)
        assert look.problem

    def test_foreign_words_stay_on_one_line_and_short(self) -> None:
        look = gateways.look_at(Failure("X", "a\x1b[31m\nb\u202e" + "c" * 5000))
        assert look.problem
        assert look.problem.isprintable()
        assert len(look.problem) < 400

    @pytest.mark.parametrize("secret", ["", " a", "a ", "a\nb", "a" * 513])
    def test_a_secret_is_one_plain_line(self, secret: str) -> None:
        with pytest.raises(Invalid):
            gateways.check_secret(secret, "token")


class TestFrames:
    @pytest.mark.parametrize(
        "text",
        [
            "", "{", "[]", "null", '"x"', "{}", '{"type":"res"}', '{"type":"res","id":1,"ok":true}',
            '{"type":"event","event":"x","seq":"one"}', '{"type":"what","id":"1"}', '{"type":"req","id":"1","method":"x"}',
            '{"type":"req","id":"1","method":"x","params":{}}', "[" * 200_000, b"\x00", b'{"type":"event","event":"x"}',
        ],
    )  # fmt: skip
    def test_garbage_is_no_frame(self, text: str | bytes) -> None:
        with pytest.raises(Malformed):
            frames.read(text)

    def test_what_is_unknown_in_a_frame_is_left_alone(self) -> None:
        read = frames.read('{"type":"event","event":"x","payload":{"a":[1]},"stateVersion":{},"new":1}')
        assert isinstance(read, frames.Event)
        assert bytes(read.payload) == b'{"a":[1]}'

    @pytest.mark.parametrize(
        "raw",
        [b"null", b"[]", b'{"nonce":"12345678"}', b'{"nonce":1,"ts":1}', b'{"nonce":"12345678","ts":"x"}'],
    )
    def test_garbage_in_a_payload_is_found(self, raw: bytes) -> None:
        with pytest.raises(Malformed):
            frames.payload(raw, Challenge)

    @pytest.mark.parametrize(
        "challenge",
        [Challenge("", 1), Challenge("short", 1), Challenge("12345678|operator", 1), Challenge("1234 5678", 1),
         Challenge("x" * 257, 1), Challenge("12345678", -1)],
    )  # fmt: skip
    def test_nothing_is_signed_that_could_mean_something_else(self, challenge: Challenge) -> None:
        with pytest.raises(Malformed):
            device.Device.make().proof(challenge, "t")


class TestTools:
    def test_a_command_for_the_server_is_shown_without_its_prefix(self) -> None:
        start = {
            "phase": "start",
            "name": "exec",
            "toolCallId": "1",
            "args": {"command": f"{BEFORE} 'uptime'"},
        }
        call = tools.call(start, {}, BEFORE)
        assert call is not None
        assert (call.title, call.kind, call.status) == ("on the server: 'uptime'", "execute", "in_progress")
        done = {
            "phase": "result",
            "name": "exec",
            "toolCallId": "1",
            "isError": True,
            "result": {"content": [{"text": "no"}]},
        }
        ended = tools.call(done, {"1": call.title}, BEFORE)
        assert ended is not None
        assert (ended.title, ended.status, ended.detail) == (call.title, "failed", "no")

    @pytest.mark.parametrize(
        "data", [{}, {"phase": "update", "toolCallId": "1"}, {"phase": "start", "toolCallId": 7}]
    )
    def test_what_is_no_call_is_left_out(self, data: dict[str, Any]) -> None:
        assert tools.call(data, {}, None) is None

    def test_a_long_result_keeps_its_head_and_tail(self) -> None:
        long = {
            "phase": "result",
            "name": "read",
            "toolCallId": "1",
            "result": {"content": [{"text": "a" * 9000 + "z"}]},
        }
        call = tools.call(long, {}, None)
        assert call is not None
        assert call.detail.endswith("z")
        assert "are left out" in call.detail
        assert len(call.detail) < 4100

    def test_a_plan_is_made_of_what_can_be_read(self) -> None:
        rows = ["one", {"text": "two", "status": "completed"}, {"step": "three", "status": "odd"}, 4, {}]
        assert tools.steps({"steps": rows}) == [Step("one"), Step("two", "completed"), Step("three")]
        assert tools.steps({"steps": "x"}) == []
