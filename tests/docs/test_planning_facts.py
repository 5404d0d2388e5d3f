"""What the planning documents say of the code is what the code says."""

import re
from types import SimpleNamespace

import pytest

from clawdbox.settings import Settings
from tests.docs import markdown, sources
from tests.docs.planning import (
    OURS,
    Table,
    audited,
    blank,
    constant,
    diagrams,
    number,
    plain,
    quoted,
    said,
    tables,
)
from tests.house.tree import ROOT

FLOW, SECURITY, PHASES, BREAKDOWN = OURS
ALL = [(name, table) for name in OURS for table in tables(markdown.planning(name))]
NUMBERS = [(name, row) for name, table in ALL if table.heading[0] == "Setting" for row in table.records()]
STATES = [(name, table) for name, table in ALL if table.compared_with]
DRAWN = [(name, *diagram) for name in OURS for diagram in diagrams(markdown.planning(name))]
SENTENCES = [
    (name, sentence)
    for name, table in ALL
    for column in ("what the person sees", "next step")
    for cell in table.column(column) or []
    for sentence in quoted(cell)
]
STATUS = re.compile(
    r"built|partly|not planned|planned in \*(?:Engine|Agents|Trust)\*|built; .+|built with pairing; .+"
)
PATH = re.compile(r"(?:clawdbox|ui|tests|docs|packaging|bench)/")


def paths(text: str) -> list[str]:
    return [code for code in markdown.codes(text) if PATH.match(code)]


@pytest.mark.parametrize(
    "name, row", NUMBERS, ids=lambda value: value if isinstance(value, str) else value["setting"]
)
def test_a_number_is_that_of_the_settings_or_of_the_rules(name: str, row: dict[str, str]) -> None:
    (setting,) = markdown.codes(row["setting"])
    (printed,) = markdown.codes(row["ours"])
    value, window = number(printed)
    assert value == plain(constant(setting)), name
    if setting.startswith("rate_"):
        assert setting.endswith(f"_per_{window}")
    else:
        assert not window


def test_the_security_model_names_every_rate_and_every_end_of_a_login() -> None:
    named = {code for name, row in NUMBERS if name == SECURITY for code in markdown.codes(row["setting"])}
    wanted = {field for field in Settings.__struct_fields__ if field.startswith("rate_") or "_ttl_" in field}
    assert wanted - named == set()


@pytest.mark.parametrize("name, table", STATES, ids=lambda value: getattr(value, "compared_with", value))
def test_a_table_of_states_is_that_of_the_rules(name: str, table: Table) -> None:
    printed = {
        markdown.codes(row["state"])[0]: frozenset(markdown.codes(row["may become"]))
        for row in table.records()
    }
    assert table.compared_with is not None
    assert printed == _edges(table.compared_with), name


@pytest.mark.parametrize("name, rules, source", DRAWN, ids=lambda value: str(value)[:60])
def test_a_diagram_of_states_is_that_of_the_rules(name: str, rules: str, source: str) -> None:
    drawn = re.findall(r"^ *(\S+) --> (\S+?)(?::.*)?$", source, re.MULTILINE)
    edges = _edges(rules)
    assert {(a, b) for a, b in drawn if "[*]" not in (a, b)} == {
        (a, b) for a, ends in edges.items() for b in ends
    }, name
    assert {a for a, b in drawn if b == "[*]"} == {a for a, ends in edges.items() if not ends}
    assert len([b for a, b in drawn if a == "[*]"]) == 1


def _edges(rules: str) -> dict[str, frozenset[str]]:
    return {str(state): frozenset(map(str, ends)) for state, ends in constant(rules).items()}


def test_lease_and_key_are_drawn_and_key_and_master_are_tabled() -> None:
    assert {rules.rsplit(".", 2)[1] for _, rules, _ in DRAWN} == {"leases", "rules"}
    assert {table.compared_with for _, table in STATES} == {
        "clawdbox.keys.rules.TRANSITIONS",
        "clawdbox.ssh.rules.leases.MASTER_TRANSITIONS",
    }


@pytest.mark.parametrize("name, sentence", SENTENCES, ids=lambda value: value[:50])
def test_a_sentence_that_a_person_is_said_to_see_is_in_the_code(name: str, sentence: str) -> None:
    wanted = blank(sentence)
    assert len(re.sub(r"‹›|\W", "", wanted)) >= 10, "too little to find it by"
    assert wanted in said(), name


def test_many_sentences_are_quoted_and_an_invented_one_is_not_found() -> None:
    assert len(SENTENCES) > 60
    assert blank("The box is on holiday. Try again next week.") not in said()
    assert quoted("a “b “c” d” e “f”") == ["b “c” d", "f"]


def test_every_code_in_a_column_of_codes_is_one_of_the_code() -> None:
    app = "\n".join(file.read_text() for file in (ROOT / "ui/src").rglob("*.*") if file.is_file())
    unknown = [
        (name, code)
        for name, table in ALL
        for row in table.records()
        if "code" in row and not row.get("status", "").startswith("planned")
        for code in markdown.codes(row["code"])
        if code not in sources.texts() and f"'{code}'" not in app
    ]
    assert unknown == []


def test_every_cause_of_a_failed_dial_has_its_row() -> None:
    from typing import get_args

    from clawdbox.ssh.wire.model import Cause

    text = markdown.sections(markdown.planning(FLOW), 3)["SSH"]
    told = {
        code for table in tables(text) for cell in table.column("code") or [] for code in markdown.codes(cell)
    }
    assert set(get_args(Cause)) - told == set()


def test_the_audit_actions_are_those_that_can_be_written() -> None:
    rows = markdown.table(markdown.planning(SECURITY), "Action", "when")
    told = {code for row in rows for code in markdown.codes(row[0])}
    assert audited() - told == set(), "an action without its row"
    assert told - sources.texts() == set(), "a row for what no code writes"
    assert len(audited()) > 20


def test_a_status_is_one_of_the_words_that_the_index_explains() -> None:
    wrong = [
        (name, cell)
        for name, table in ALL
        for cell in table.column("status") or []
        if table.heading[:2] not in (("status", "deliverables of phases 0 to 3"), ("Status", "Issues"))
        if not STATUS.fullmatch(cell)
    ]
    assert wrong == []


def test_what_is_built_names_where_and_what_is_planned_names_nothing() -> None:
    wrong = []
    for name, table in ALL:
        for row in table.records():
            if "status" not in row or not ("where" in row or table.heading[0] == "point"):
                continue
            found = paths(row.get("where") or row["ours"])
            missing = [path for path in found if not (ROOT / path).exists()]
            if missing or bool(found) != (row["status"] in ("built", "partly")):
                wrong.append((name, next(iter(row.values())), row["status"], missing))
    assert wrong == []


def test_what_stands_in_the_security_headers_is_sent() -> None:
    from clawdbox.web.guards import CSP, SECURITY_HEADERS

    text = markdown.planning(SECURITY)
    (row,) = (row for row in markdown.table(text, "measure", "value") if row[0] == "headers of answers")
    policy = next(code for code in markdown.codes(row[1]) if "default-src" in code)
    assert [part for part in policy.split("; ") if part not in CSP.split("; ")] == []
    assert ("'unsafe-inline'" in text) == ("'unsafe-inline'" in CSP)
    assert b"x-content-type-options" in dict(SECURITY_HEADERS)


def test_the_labels_of_derived_keys_are_the_vaults() -> None:
    from clawdbox.vault.rules.derive import Label

    text = markdown.sections(markdown.planning(SECURITY), 3)["Hierarchy"]
    named = set(re.findall(r"clawdbox/[\w-]+/v1", text))
    assert named == {label.value for label in Label} - {Label.SLOT.value}


def test_the_example_of_a_keyring_has_the_fields_of_the_file() -> None:
    import msgspec

    from clawdbox.vault.model import HostSlot, KeyEntry, KeyringFile

    text = markdown.sections(markdown.planning(SECURITY), 3)["Hierarchy"]
    (fence,) = markdown.fences(text, "json")
    example = msgspec.json.decode(fence.text)
    assert tuple(example) == KeyringFile.__struct_fields__
    assert tuple(example["keys"][0]) == KeyEntry.__struct_fields__
    assert tuple(example["keys"][0]["slots"][0]) == ("type", *HostSlot.__struct_fields__)


def test_the_pages_and_buttons_that_the_flow_names_exist() -> None:
    text = markdown.planning(FLOW)
    app = " ".join("\n".join(file.read_text() for file in (ROOT / "ui/src").rglob("*.svelte")).split())
    pages = re.findall(r"^(/[a-z]*(?:/\{id\})?)(?= )", markdown.fences(text, "")[0].text, re.MULTILINE)
    routes = (ROOT / "ui/src/logic/routes.ts").read_text()
    assert pages
    assert [page for page in pages if page.split("/")[1] and page.split("/")[1] not in routes] == []
    bold = {
        name
        for word in re.findall(r"\*\*([^*]+)\*\*", text)
        for name in word.split(" → ")
        if not word.endswith((".", ":"))
    }
    assert len(bold - NO_BUTTONS) > 25
    assert sorted(name for name in bold - NO_BUTTONS if name not in app) == []


# In bold, but words of the text, or what a later milestone brings.
NO_BUTTONS = {
    "Try again",
    "Sign in with GitHub",
    "With GitHub",
    "conversation",
    "draft",
    "lease",
    "master",
    "once",
}


# what a document says, and the line of the source that makes it so
ASIDES = [
    (
        FLOW,
        "ping every 30 s, silence of 45 s counts as dead",
        "clawdbox/web/live.py",
        "ping_every: float = 30.0",
    ),
    (
        FLOW,
        "ping every 30 s, silence of 45 s counts as dead",
        "clawdbox/web/live.py",
        "dead_after: float = 45.0",
    ),
    (FLOW, "ping every 30 s, silence of 45 s counts as dead", "ui/src/live.ts", "const silence = 45_000"),
    (FLOW, "without one in 5 s", "ui/src/live.ts", "const doubt = 5_000"),
    (FLOW, "retries after 0.5 s, doubling to 15 s", "ui/src/logic/backoff.ts", "const first = 500"),
    (FLOW, "retries after 0.5 s, doubling to 15 s", "ui/src/logic/backoff.ts", "const longest = 15_000"),
    (FLOW, "no answer in 40 s", "ui/src/api.ts", "const patience = 40_000"),
    (FLOW, "1 min to 24 h in Settings", "clawdbox/accounts/rules.py", "IDLE_TIMEOUT_RANGE = (60, 86_400)"),
    (FLOW, "1 to 50 in Settings", "clawdbox/accounts/rules.py", "MAX_LEASES_RANGE = (1, 50)"),
    (FLOW, "every button at least 44 px high", "ui/src/style/forms.css", "button { min-height: 44px;"),
    (FLOW, "fields 48 px", "ui/src/style/tokens.css", "--touch: 48px;"),
    (
        SECURITY,
        "at most 120 rows a minute",
        "clawdbox/web/limits.py",
        "self.audited_strangers = Window(120, 60)",
    ),
    (SECURITY, "one row a minute", "clawdbox/web/limits.py", "self.audited_haste = Window(1, 60)"),
    (SECURITY, "IPv6 counts by /64", "clawdbox/web/limits.py", "ip_network((address, 64)"),
    (SECURITY, "90 days by default", "clawdbox/cli/token.py", 'default="90d"'),
]


@pytest.mark.parametrize("name, words, file, line", ASIDES, ids=lambda value: value[:30])
def test_a_figure_that_is_told_in_passing_is_that_of_the_source(
    name: str, words: str, file: str, line: str
) -> None:
    assert words in " ".join(markdown.planning(name).split())
    assert line in (ROOT / file).read_text()


def test_the_helpers_find_what_they_are_for() -> None:
    text = "<!-- transitions: a.B -->\n| state | may become |\n|---|---|\n| `x` | `y`, `z` |\n\n| Setting |\n|---|\n| `k` |\n"
    first, second = tables(text)
    assert (first.compared_with, second.compared_with) == ("a.B", None)
    assert first.column("May become") == ["`y`, `z`"]
    assert number("30 days") == (2_592_000, "")
    assert number("5/minute") == (5, "minute")
    assert diagrams("<!-- diagram: a.B -->\n```mermaid\nstateDiagram-v2\n```\n") == [
        ("a.B", "stateDiagram-v2\n")
    ]
    with pytest.raises(AssertionError):
        plain(SimpleNamespace())
