"""docs/planning/05-execution-architecture.md: its numbers, names and states are those of the code."""

import json
import re
from datetime import UTC, datetime, timedelta
from importlib import import_module

import pytest

from clawdbox.agents.model import Context
from clawdbox.metrics import Metrics
from clawdbox.settings import Settings
from clawdbox.ssh.model import Lease, LeaseStatus, MasterState, MasterView
from clawdbox.ssh.rules.leases import MASTER_TRANSITIONS, Ending, LeaseFacts, Limits, verdict
from clawdbox.ssh.service.masters import FINAL_CAUSES
from clawdbox.web.health import Health
from tests.docs import markdown, sources

TEXT = markdown.planning("05-execution-architecture.md")
PARTS = markdown.sections(TEXT, 2)
NOT_TIMES = {
    "backup_folder",
    "failed_logins_free",
    "audit_hot_days",
    "audit_archive_days",
    "agent_mode",
    "control_sockets",
    "master",
    "host",
    "port",
    "public_url",
    "allowed_hosts",
    "trusted_proxies",
    "allow_loopback",
    "demo",
    "log_level",
    "forward_domain",
    "login_provider_loopback",
    "notify_loopback",
    "notify_plain_http",
    "push_contact",
}
UNITS = {"second": 1, "seconds": 1, "s": 1, "min": 60, "days": 86400}


def test_it_has_the_five_sections_of_the_specification() -> None:
    assert list(PARTS)[1:] == [
        "5.1 Agent Runtime Binding",
        "5.2 Process Model",
        "5.3 Reconnect Semantics",
        "5.4 Timeout Strategy",
        "5.5 Observability Requirements",
    ]


def test_every_time_out_is_its_setting() -> None:
    settings, seen = Settings(), set()
    for what, specified, ours, setting in markdown.table(PARTS["5.4 Timeout Strategy"], "what", "specified"):
        name = setting.strip("`")
        seen.add(name)
        assert float(ours.split()[0]) == getattr(settings, name), what
        number = re.match(r"(\d+) (\w+)", specified)
        if number:
            assert int(number[1]) * UNITS[number[2]] == getattr(settings, name), what
    rates = {name for name in Settings.__struct_fields__ if name.startswith("rate_")}
    assert seen == set(Settings.__struct_fields__) - NOT_TIMES - rates


@pytest.mark.parametrize(
    "row",
    markdown.table(PARTS["5.4 Timeout Strategy"], "what", "value", "where"),
    ids=lambda row: row[2].strip("`"),
)
def test_every_constant_is_its_own(row: list[str]) -> None:
    path = row[2].strip("`").removeprefix("clawdbox.").split(".")
    found: object = import_module("clawdbox")
    dotted = "clawdbox"
    for part in path:
        dotted = f"{dotted}.{part}"
        found = getattr(found, part, None) or import_module(dotted)
        found = found() if isinstance(found, type) else found  # a Struct whose default is meant
    assert found == float(row[1])


def test_the_context_of_a_runtime_is_what_it_is_told() -> None:
    (payload,) = (
        json.loads(fence.text) for fence in markdown.fences(PARTS["5.1 Agent Runtime Binding"], "json")
    )
    assert set(payload) == set(Context.__struct_fields__)


def test_the_states_of_a_master_are_those_of_the_rules() -> None:
    wanted = {
        (str(state), str(after)) for state, following in MASTER_TRANSITIONS.items() for after in following
    }
    part = PARTS["5.2 Process Model"]
    rows = markdown.table(part, "from", "to", "when")
    assert {(markdown.codes(row[0])[0], markdown.codes(row[1])[0]) for row in rows} == wanted
    (diagram,) = markdown.fences(part, "mermaid")
    assert set(re.findall(r"^  (\w+) --> (\w+)", diagram.text, re.MULTILINE)) == wanted


def test_what_ends_a_redial_at_once() -> None:
    match = re.search(r"because of (.+?) ends the lease at once", TEXT, re.DOTALL)
    assert match
    assert set(markdown.codes(match[1])) == FINAL_CAUSES


def test_the_janitors_findings_are_told_in_its_order() -> None:
    """The rule is asked with the worst case first; each finding taken away shows the next."""
    now = datetime(2026, 11, 21, tzinfo=UTC)
    old = now - timedelta(days=1)
    never = dict.fromkeys(Lease.__struct_fields__)
    lease = Lease(**{**never, "id": "l", "status": LeaseStatus.ACTIVE, "created_at": old})  # type: ignore[arg-type]
    lost = MasterView(MasterState.LOST, old, 1, old)
    limits = Limits(timedelta(minutes=30), timedelta(minutes=5), timedelta(minutes=2))
    endings = [
        verdict(LeaseFacts(lease, lost, old, True, False), limits, now),
        verdict(LeaseFacts(lease, lost, old, False, True), limits, now),
        verdict(LeaseFacts(lease, None, old, False, True), limits, now),
        verdict(LeaseFacts(lease, None, now, False, True), limits, now),
    ]
    rows = markdown.table(PARTS["5.2 Process Model"], "finding", "status")
    assert [markdown.codes(row[2])[0] for row in rows] == [reason(ending) for ending in endings]
    for _finding, status, reason_ in rows:
        assert status == ("`error`" if reason_ == "`error`" else "`closed`")


def reason(ending: Ending | None) -> str:
    assert ending
    return str(ending.reason)


def test_the_metrics_are_those_that_are_rendered() -> None:
    metrics = Metrics()
    metrics.request("GET", "/health", 200, 0.1)
    metrics.forward_connected("web", "opened")
    metrics.notified("ntfy", "sent")
    rendered = metrics.render(0).decode()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", rendered, re.MULTILINE))
    told = {}
    for name, kind, labels, _specified, _what in markdown.table(TEXT, "name", "type", "labels"):
        told[name.strip("`")] = kind
        sample = re.search(rf"^{name.strip('`')}(?:_count)?(?:{{(.*)}})? ", rendered, re.MULTILINE)
        assert sample, name
        assert set(re.findall(r'(\w+)="', sample[1] or "")) == set(markdown.codes(labels))
    assert told == kinds


def test_the_alerts_ask_for_metrics_that_there_are() -> None:
    (rules,) = markdown.fences(TEXT, "yaml")
    rendered = Metrics()
    rendered.request("GET", "/health", 200, 0.1)
    rendered.ssh_connected(1.0)
    series = {
        re.split(r"[ {]", line)[0] for line in rendered.render(0).decode().splitlines() if line[0] != "#"
    }
    asked = set(re.findall(r"\b(\w+)(?:\{[^}]*\})?\[15m\]", rules.text))
    assert asked
    assert asked <= series


def test_the_log_events_are_written() -> None:
    told = {row[0].strip("`"): row[1] for row in markdown.table(TEXT, "event", "level", "when")}
    assert {name: sources.logged().get(name) for name in told} == told
    assert {name for name in sources.logged() if name.startswith("ssh.")} <= set(told)


def test_the_health_answer_has_its_fields() -> None:
    shown = [
        json.loads(fence.text) for fence in markdown.fences(PARTS["5.5 Observability Requirements"], "json")
    ]
    assert set(Health.__struct_fields__) in [set(body) for body in shown]
