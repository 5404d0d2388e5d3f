"""What the specification asks of the flow, the security model, the phases and the breakdown is in the documents."""

import re

import pytest

from tests.docs import markdown
from tests.docs.planning import OURS, tables
from tests.house.tree import ROOT

FLOW, SECURITY, PHASES, BREAKDOWN = OURS

TITLES = {
    "01-product-ux-flow.md": "Product & UX Flow Specification",
    "02-data-model.md": "Data Model & Schema Draft",
    "03-api-surface.md": "API Surface Draft",
    "04-security-model.md": "Security Model & Threat Model",
    "05-execution-architecture.md": "Execution Architecture",
    "06-phased-implementation.md": "Phased Implementation Plan",
    "07-engineering-breakdown.md": "PR-Ready Engineering Breakdown",
}

# document, level, heading → what stands under it, in the specification's own words and figures
SECTIONS: list[tuple[str, int, str, list[str]]] = [
    (FLOW, 2, "1.1 User Journeys", ["GitHub", "Start Session", "Long-press"]),
    (FLOW, 3, "First-time setup", ["OAuth", "keypair", "public key", "onboarding"]),
    (FLOW, 3, "Add SSH connection", ["host, user, port, label", "install command", "save or retry", "draft"]),
    (FLOW, 3, "Test connection", ["spinner", "diagnostic"]),
    (
        FLOW,
        3,
        "Start agent session",
        ["session id and URL", "chat opens", "`agent_session_id`", "`chat_url`"],
    ),
    (FLOW, 3, "Reconnect session", ["foreground", "expired", "restart"]),
    (FLOW, 3, "Remove connection", ["confirm", "authorized_keys", "deleted"]),
    (
        FLOW,
        2,
        "1.2 Mobile-First UX Constraints",
        [
            "44px",
            "One-thumb",
            "QR code",
            "share sheet",
            "Biometric",
            "Face ID",
            "foreground",
            "Push",
            "Phase 2",
        ],
    ),
    (FLOW, 2, "1.3 Error & Edge-Case Flows", []),
    (FLOW, 3, "OAuth and login", ["OAuth fails", "token expired"]),
    (FLOW, 3, "Keypair", ["keypair generation fails", "revoked or deleted key"]),
    (FLOW, 3, "SSH", ["host unreachable", "connection refused", "authentication failed", "host key changed"]),
    (FLOW, 3, "Sessions", ["session timeout", "server crash mid-session", "concurrent session limit"]),
    (FLOW, 3, "Rate limits", ["rate limits hit"]),
    (FLOW, 3, "Network and box", ["network loss during session"]),
    (
        SECURITY,
        2,
        "4.1 Key Management Strategy",
        [
            "crypto.generateKeyPair('ed25519')",
            "never user-controlled entropy",
            "AES-256-GCM",
            "HKDF",
            "KEK",
            "AWS KMS",
            "GCP KMS",
            "environment variable",
            "dual-key",
            "7 days",
            "`revoked_at`",
            "60 seconds",
        ],
    ),
    (
        SECURITY,
        2,
        "4.2 Host Key Verification Policy",
        ["TOFU", "`ssh_connections.host_key_fingerprint`", "409", "re-pin", "StrictHostKeyChecking=no"],
    ),
    (
        SECURITY,
        2,
        "4.3 Password Handling Policy",
        [
            "no password SSH auth in v1",
            "Phase 2",
            "AES-256-GCM",
            "never logged",
            "never returned",
            "max 90 days",
            "entered anew",
        ],
    ),
    (
        SECURITY,
        2,
        "4.4 OAuth Token/Session Hardening",
        [
            "32-byte CSPRNG",
            "HttpOnly",
            "PKCE",
            "code_challenge",
            "SHA-256 hash only",
            "30 days",
            "20/hour",
            "10 failed",
            "nonces",
            "idempotency keys on session start",
        ],
    ),
    (
        SECURITY,
        2,
        "4.5 Audit Logging & Incident Response",
        [
            "API errors",
            "append-only",
            "`audit_log`",
            "90 days hot",
            "S3 or GCS",
            "1 year",
            ">5 failed auth in 10 min",
            "unknown host key",
        ],
    ),
    (SECURITY, 2, "4.6 Threat Model Table", []),
    (PHASES, 2, "Phase 0 — Foundation (Weeks 1-2)", ["no SSH yet", "Acceptance criteria", "GitHub", "/me"]),
    (
        PHASES,
        2,
        "Phase 1 — Key Provisioning + Connection Management (Weeks 3-5)",
        ["Acceptance criteria", "test succeeds"],
    ),
    (PHASES, 2, "Phase 2 — Session Lifecycle (Weeks 6-8)", ["Acceptance criteria", "session cleans up"]),
    (
        PHASES,
        2,
        "Phase 3 — Hardening + Migration (Weeks 9-11)",
        ["Acceptance criteria", "old flow deprecated"],
    ),
    (PHASES, 2, "Migration Strategy from SSH-First Flow", ["Phase 0-2", "banner", "Phase 3+", "ephemeral"]),
    (PHASES, 2, "Testing Plan", []),
    (BREAKDOWN, 2, "Epic Map", []),
    (
        BREAKDOWN,
        2,
        "Dependency Map (ASCII)",
        ["[parallel, API-mocked first]", "[Phase 3, after core complete]"],
    ),
    (BREAKDOWN, 2, "Total Estimate", ["~107", "128", "~11 weeks", "~18-20 weeks"]),
    (BREAKDOWN, 2, "Risks & Mitigations", []),
]

# document, first cells of the heading → the first cells of its rows
ROWS: list[tuple[str, tuple[str, ...], list[str]]] = [
    (
        SECURITY,
        ("Threat", "Vector", "Mitigation"),
        [
            "Private key theft",
            "Session hijack",
            "MITM / host key swap",
            "OAuth token abuse",
            "Brute force API",
            "Replay attack",
            "SSH key misuse",
            "Concurrent session abuse",
        ],
    ),
    (PHASES, ("Level", "Tool"), ["Unit", "Integration", "E2E", "Manual", "Security"]),
    (
        BREAKDOWN,
        ("Risk", "Probability", "Impact", "Mitigation (specification)"),
        [
            "SSH ControlMaster on server OS varies",
            "Key encryption KMS integration delays",
            "Mobile OAuth WebView restrictions (iOS)",
            "Host key TOFU UX confusion",
            "Session orphan leak (ControlMaster)",
            "GitHub OAuth rate limits",
            "DB migration conflicts",
        ],
    ),
]

# the deliverables that the specification lists, phase by phase
DELIVERABLES = {
    "Phase 0": 5,
    "Phase 1": 7,
    "Phase 2": 6,
    "Phase 3": 5,
}

# epic → its title, how long, what it waits for, and the points of its issues
EPICS: dict[int, tuple[str, str, str, dict[int, int]]] = {
    1: ("Auth & Account System", "~1 week", "DB setup", {1: 3, 2: 5, 3: 3, 4: 1}),
    2: ("Key Provisioning", "~1 week", "Epic 1", {5: 5, 6: 3, 7: 2, 8: 2}),
    3: ("SSH Connection Management", "~1.5 weeks", "Epic 2", {9: 5, 10: 8, 11: 3, 12: 2}),
    4: ("Session Lifecycle", "~2 weeks", "Epic 3", {13: 13, 14: 5, 15: 3, 16: 5}),
    5: ("Mobile UI", "~3 weeks, parallel", "Epics 1-4", {17: 5, 18: 5, 19: 5, 20: 8, 21: 3}),
    6: ("Security & Hardening", "~1.5 weeks", "Epics 1-5", {22: 3, 23: 5, 24: 5, 25: 3, 26: 5}),
    7: ("Migration & Deprecation", "~1 week", "Epics 1-6", {27: 2, 28: 3, 29: 8}),
}


def issues() -> list[dict[str, str]]:
    text = markdown.planning(BREAKDOWN)
    return [
        row
        for table in tables(text)
        if table.heading[:3] == ("Issue", "Title", "Points")
        for row in table.records()
    ]


@pytest.mark.parametrize("name, title", TITLES.items())
def test_each_document_bears_its_title_and_the_index_has_a_line_for_it(name: str, title: str) -> None:
    assert markdown.planning(name).splitlines()[0] == f"# {title}"
    index = [row for row in markdown.rows(markdown.planning("README.md")) if f"]({name})" in row[0]]
    assert [row[0] for row in index] == [f"[{name[:2]} {title}]({name})"]
    assert len(index[0][1]) > 20


@pytest.mark.parametrize("name, level, heading, words", SECTIONS, ids=lambda value: str(value)[:40])
def test_a_section_of_the_specification_is_there_with_what_it_asks_for(
    name: str, level: int, heading: str, words: list[str]
) -> None:
    found = markdown.sections(markdown.planning(name), level)
    assert heading in found
    assert len(found[heading].split()) > 30, "a heading alone is no section"
    assert [word for word in words if word.lower() not in found[heading].lower()] == []


@pytest.mark.parametrize("name, heading, first", ROWS, ids=lambda value: str(value)[:40])
def test_a_table_of_the_specification_has_all_its_rows(
    name: str, heading: tuple[str, ...], first: list[str]
) -> None:
    rows = markdown.table(markdown.planning(name), *heading)
    assert [row[0] for row in rows] == first
    assert [row for row in rows if not all(row)] == [], "an empty cell says nothing"


@pytest.mark.parametrize(
    "journey", ["First-time setup", "Add SSH connection", "Start agent session", "Reconnect session"]
)
def test_a_journey_is_drawn_as_a_sequence(journey: str) -> None:
    text = markdown.sections(markdown.planning(FLOW), 3)[journey]
    assert any(fence.text.startswith("sequenceDiagram") for fence in markdown.fences(text, "mermaid"))


@pytest.mark.parametrize("name", OURS)
def test_no_message_of_a_sequence_is_cut_short(name: str) -> None:
    """Mermaid takes `;` for the end of a statement and `#` for a comment."""
    drawn = [fence.text for fence in markdown.fences(markdown.planning(name), "mermaid")]
    lines = [line for text in drawn if text.startswith("sequenceDiagram") for line in text.splitlines()]
    assert [line for line in lines if ";" in line or "#" in line] == []


@pytest.mark.parametrize("phase, count", DELIVERABLES.items())
def test_a_phase_has_all_its_deliverables(phase: str, count: int) -> None:
    found = markdown.sections(markdown.planning(PHASES), 2)
    (text,) = (text for heading, text in found.items() if heading.startswith(f"{phase} —"))
    (table,) = tables(text)
    assert len(table.rows) == count
    assert "**Goal:**" in text


def test_the_count_of_deliverables_is_that_of_the_tables() -> None:
    text = markdown.planning(PHASES)
    states = [
        row["status"].split(" in ")[0]
        for table in tables(text)
        if table.heading[0] == "deliverable (specification)"
        for row in table.records()
    ]
    printed = {row[0]: int(row[1]) for row in markdown.table(text, "status", "deliverables")}
    counted = {state: states.count(state) for state in ("built", "partly", "planned")}
    assert printed == {**counted, "all": len(states)}


@pytest.mark.parametrize("epic", EPICS)
def test_an_epic_has_its_issues_with_their_points(epic: int) -> None:
    title, weeks, waits_for, points = EPICS[epic]
    text = markdown.sections(markdown.planning(BREAKDOWN), 3)[f"Epic {epic}: {title}"]
    assert weeks in text
    assert f"Depends on: {waits_for}" in text
    (table,) = tables(text)
    assert {int(row["issue"]): int(row["points"]) for row in table.records()} == points
    assert [row for row in table.rows if not all(row)] == []


def test_the_map_of_epics_sums_the_points_of_their_issues() -> None:
    rows = markdown.table(markdown.planning(BREAKDOWN), "Epic", "Phase")
    printed = {int(row[0][1]): (row[2], int(row[4])) for row in rows}
    assert printed == {epic: (weeks, sum(points.values())) for epic, (_, weeks, _, points) in EPICS.items()}


def test_the_sum_of_all_points_is_printed_beside_the_specifications_own() -> None:
    total = sum(int(row["points"]) for row in issues())
    assert len(issues()) == 29
    (row,) = (
        row for row in markdown.table(markdown.planning(BREAKDOWN), "figure") if row[0] == "all 29 issues"
    )
    assert row == ["all 29 issues", "Total: ~107 story points", f"{total} points"]
    assert total - 107 == sum(EPICS[6][3].values()), "the document says that Epic 6 is what is missing"


def test_points_by_status_are_those_of_the_issues() -> None:
    printed = {
        row[0]: (int(row[1]), int(row[2]))
        for row in markdown.table(markdown.planning(BREAKDOWN), "Status", "Issues")
    }
    for status, figures in printed.items():
        chosen = [row for row in issues() if status == "all" or row["status"].split(" in ")[0] == status]
        assert (len(chosen), sum(int(row["points"]) for row in chosen)) == figures, status


def test_the_longest_chain_is_computed_right() -> None:
    chain = [sum(EPICS[epic][3].values()) for epic in (1, 2, 3, 4, 6, 7)]
    assert f"{' + '.join(map(str, chain))} = {sum(chain)} points" in " ".join(
        markdown.planning(BREAKDOWN).split()
    )


@pytest.mark.parametrize("name", ["README.md", *TITLES])
def test_nothing_is_left_to_be_written(name: str) -> None:
    found = re.findall(
        r"\b(?:TBD|TODO|FIXME|XXX|lorem ipsum|to be determined|to be decided)\b",
        markdown.planning(name),
        re.IGNORECASE,
    )
    assert found == []


def test_no_planning_document_lies_beside_the_index() -> None:
    files = {file.name for file in (ROOT / "docs" / "planning").iterdir()}
    assert files == {"README.md", *TITLES}
