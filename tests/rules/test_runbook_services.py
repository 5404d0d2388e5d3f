"""Which services have failed, read from systemd, OpenRC and launchd."""

import pytest

from clawdbox.agents.runtimes.port import Row, Status
from clawdbox.agents.runtimes.runbook import services
from clawdbox.agents.runtimes.runbook.recipe import Sections
from clawdbox.agents.runtimes.runbook.services import Services

DEBIAN = """\
manager systemd
state degraded
running 21
nginx.service                loaded failed failed A high performance web server and a reverse proxy server
certbot.timer                not-found failed failed certbot.timer
"""
OLD_SYSTEMD = """\
manager systemd
state degraded
running 30
● rsyslog.service loaded failed failed System Logging Service
"""
FEDORA = """\
manager systemd
state running
running 34
"""
NO_SYSTEMCTL_ANSWER = """\
manager systemd
state
running 0
"""
ALPINE = """\
manager openrc
 nginx                                                             [  crashed  ]
 crond                                                             [  crashed  ]
"""
ALPINE_FINE = "manager openrc\n"
MACOS = """\
manager launchd
PID\tStatus\tLabel
-\t0\tcom.apple.SafariHistoryServiceAgent
531\t0\tcom.apple.Finder
-\t78\tcom.apple.something
-\t-9\tcom.apple.other
-\t127\thomebrew.mxcl.postgresql@14
612\t-15\torg.example.running
"""


@pytest.mark.parametrize(
    "text, found",
    [
        (
            DEBIAN,
            Services(
                "systemd",
                [
                    ("nginx.service", "A high performance web server and a reverse proxy server"),
                    ("certbot.timer", "certbot.timer"),
                ],
                21,
                "degraded",
            ),
        ),
        (OLD_SYSTEMD, Services("systemd", [("rsyslog.service", "System Logging Service")], 30, "degraded")),
        (FEDORA, Services("systemd", [], 34, "running")),
        (NO_SYSTEMCTL_ANSWER, None),
        (ALPINE, Services("openrc", [("nginx", "crashed"), ("crond", "crashed")])),
        (ALPINE_FINE, Services("openrc", [])),
        (MACOS, Services("launchd", [("homebrew.mxcl.postgresql@14", "ended with status 127")])),
        ("manager none\n", None),
        ("", None),
    ],
    ids=["debian", "old", "fedora", "silent", "alpine", "alpine fine", "macos", "none", "nothing"],
)
def test_services(text: str, found: Services | None) -> None:
    assert services.services(text.splitlines()) == found


def test_the_card_offers_the_logs_of_what_failed() -> None:
    card = services.read(Sections({"services": DEBIAN.splitlines()}, complete=True))
    assert (card.status, card.summary) == (Status.BAD, "2 services have failed.")
    assert card.rows[-1] == Row("systemd", "degraded")
    assert [item.text for item in services.further(card)] == [
        "$ journalctl -u nginx.service -n 50 --no-pager",
        "$ journalctl -u certbot.timer -n 50 --no-pager",
    ]


def test_many_failures_are_counted() -> None:
    lines = ["manager systemd", *(f"a{number}.service loaded failed failed A" for number in range(40))]
    card = services.read(Sections({"services": lines}, complete=True))
    assert card.summary == "40 services have failed."
    assert card.rows[-1] == Row("…", "and 20 more rows")


@pytest.mark.parametrize(
    "text, value, status",
    [
        (DEBIAN, "2 failed: nginx.service, certbot.timer", Status.BAD),
        (FEDORA, "none failed, 34 running", Status.OK),
        (ALPINE_FINE, "none failed", Status.OK),
        ("", "unknown: no systemd, OpenRC or launchd answered", Status.INFO),
    ],
)
def test_all_services_in_one_row(text: str, value: str, status: Status) -> None:
    assert services.row(text.splitlines()) == Row("Services", value, status)


def test_systemd_that_says_nothing_is_unknown_not_well() -> None:
    card = services.read(Sections({"services": NO_SYSTEMCTL_ANSWER.splitlines()}, complete=True))
    assert card.status is Status.INFO
