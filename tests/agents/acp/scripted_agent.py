"""A tiny agent that speaks the Agent Client Protocol, whose every step a message writes: a JSON list of steps.

Run on the server by a test: `python3 scripted_agent.py FOLDER`. What it did stands in FOLDER, so that a test can count.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

Json = dict[str, Any]
STUBBORN = (
    "import signal, time; signal.signal(15, 1); signal.signal(1, 1); print(flush=True); time.sleep(600)"
)
OPTIONS = [
    {"optionId": "always", "name": "Always", "kind": "allow_always"},
    {"optionId": "yes", "name": "Allow", "kind": "allow_once"},
    {"optionId": "no", "name": "Reject", "kind": "reject_once"},
]


def say(message: Json) -> None:
    raw(json.dumps({"jsonrpc": "2.0", **message}))


def raw(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Agent:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.session = ""
        self.cancelled = False
        self.requests = 0
        self.steps: dict[str, Any] = {
            "text": self.text,
            "count": self.count,
            "ask": self.ask,
            "wait": self.wait,
            "raw": raw,
            "long": self.long,
            "stubborn": self.stubborn,
            "hang": self.hang,
            "die": lambda: os.kill(os.getpid(), signal.SIGKILL),
            "cost": self.cost,
            "plan": self.plan,
            "think": lambda words: self.chunk("agent_thought_chunk", words),
            "strange": lambda: self.update(sessionUpdate="from_the_future", nonsense=[1, 2]),
            "until_cancelled": self.until_cancelled,
        }

    def note(self, name: str, text: str) -> None:
        with (self.folder / name).open("a") as file:
            file.write(f"{text}\n")

    def heard(self) -> Json:
        line = sys.stdin.readline()
        if not line:
            sys.exit(0)
        self.note("heard", line.strip())
        message: Json = json.loads(line)
        self.cancelled = self.cancelled or message.get("method") == "session/cancel"
        return message

    def update(self, **fields: Any) -> None:
        say({"method": "session/update", "params": {"sessionId": self.session, "update": fields}})

    # steps

    def chunk(self, kind: str, words: str, message: str = "m1") -> None:
        self.update(sessionUpdate=kind, content={"type": "text", "text": words}, messageId=message)

    def text(self, words: str, message: str = "m1") -> None:
        self.chunk("agent_message_chunk", words, message)

    def count(self, most: int, pause_at: int = -1) -> None:
        """Numbers, a line each; behind `pause_at` it waits for the test."""
        for number in range(most):
            self.text(f"<{number}>\n")
            if number == pause_at:
                self.wait("go")

    def wait(self, name: str) -> None:
        self.note("waits", name)
        while not (self.folder / name).exists():
            time.sleep(0.02)

    def long(self, mebibytes: int) -> None:
        for _ in range(mebibytes):
            sys.stdout.write("x" * 1024 * 1024)
        raw("")

    def stubborn(self) -> None:
        """It ignores every signal that can be ignored, and so does its child, which has left its group."""
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        child = subprocess.Popen(
            [sys.executable, "-c", STUBBORN], start_new_session=True, stdout=subprocess.PIPE
        )
        assert child.stdout
        child.stdout.readline()
        self.note("pids", f"{os.getpid()} {child.pid}")

    def hang(self) -> None:
        self.note("hangs", "yes")
        time.sleep(600)

    def cost(self, amount: float) -> None:
        told = {"amount": amount, "currency": "USD"}
        self.update(sessionUpdate="usage_update", used=10, size=100, cost=told)

    def plan(self, *steps: str) -> None:
        entries = [{"content": one, "status": "pending", "priority": "low"} for one in steps]
        self.update(sessionUpdate="plan", entries=entries)

    def until_cancelled(self) -> None:
        while not self.cancelled:
            self.heard()

    def ask(self, *commands: str) -> None:
        """All of them at once; then those run that were allowed."""
        asked = {self.request(f"call-{index}", command): (f"call-{index}", command)
                 for index, command in enumerate(commands)}  # fmt: skip
        answers: dict[int, str] = {}
        while asked.keys() - answers.keys():
            message = self.heard()
            if "method" not in message and message.get("id") in asked:
                outcome = message["result"]["outcome"]
                answers[message["id"]] = outcome.get("optionId", outcome["outcome"])
        for number, (call_id, command) in asked.items():
            self.run(call_id, command, answers[number])

    def request(self, call_id: str, command: str) -> int:
        self.requests += 1
        given = {"command": command, "description": "as the message says"}
        call = {"toolCallId": call_id, "title": command, "kind": "execute", "rawInput": given}
        self.update(sessionUpdate="tool_call", toolCallId=call_id, title=command, kind="execute")
        params = {"sessionId": self.session, "toolCall": call, "options": OPTIONS}
        say({"id": self.requests, "method": "session/request_permission", "params": params})
        return self.requests

    def run(self, call_id: str, command: str, answer: str) -> None:
        status = "failed"
        if answer == "yes":
            self.note("ran", command)
            done = subprocess.run(["sh", "-c", command], stdout=subprocess.DEVNULL, check=False)
            status = "completed" if done.returncode == 0 else "failed"
        self.update(sessionUpdate="tool_call_update", toolCallId=call_id, status=status)
        self.text(f"[{command}: {answer}]", "m2")

    # requests

    def answer(self, message: Json) -> Json:
        params = message.get("params") or {}
        method = message["method"]
        result: Json = {}
        if method == "initialize":
            result = {"protocolVersion": 1, "agentCapabilities": {"loadSession": True}}
        elif method == "session/new":
            if (self.folder / "signed_out").exists():
                return {"error": {"code": -32000, "message": "Authentication required"}}
            result = self.begin()
        elif method == "session/load":
            self.session = params["sessionId"]
            self.text("replayed")
        elif method == "session/set_mode":
            self.note("modes", params["modeId"])
        elif method == "session/prompt":
            result = {"stopReason": self.prompted(params["prompt"][0]["text"])}
        else:
            return {"error": {"code": -32601, "message": "Method not found"}}
        return {"result": result}

    def begin(self) -> Json:
        self.session = f"session-{os.getpid()}"
        modes = [{"id": "auto", "name": "Auto"}, {"id": "ask", "name": "Ask"}]
        return {"sessionId": self.session, "modes": {"currentModeId": "auto", "availableModes": modes}}

    def prompted(self, text: str) -> str:
        self.cancelled, stop = False, "end_turn"
        self.note("prompts", text)
        for name, *rest in json.loads(text):
            if name == "stop":
                stop = rest[0]
            else:
                self.steps[name](*rest)
        return "cancelled" if self.cancelled else stop

    def serve(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.note("started", str(os.getpid()))
        while True:
            message = self.heard()
            if "method" in message and "id" in message:
                say({"id": message["id"], **self.answer(message)})


if __name__ == "__main__":
    Agent(Path(sys.argv[1])).serve()
