"""Which containers run, read from Docker and Podman."""

import pytest

from clawdbox.agents.runtimes.port import Row, Status
from clawdbox.agents.runtimes.runbook import containers
from clawdbox.agents.runtimes.runbook.recipe import sections

DEBIAN_IN_TROUBLE = """\
@@may
yes
@@containers
engine docker
c|web|Up 3 days (healthy)|nginx:1.25
c|api|Up 2 hours (unhealthy)|ghcr.io/example/api:2.1
c|worker|Restarting (1) 12 seconds ago|ghcr.io/example/worker:2.1
c|db|Up 5 weeks|postgres:12.3
c|migrate|Exited (0) 5 weeks ago|ghcr.io/example/api:2.1
c|old|Exited (137) 3 months ago|redis
c|cron|Exited (2) 4 hours ago|ghcr.io/example/cron:1
c|once|Exited (1) 2 days ago|alpine
exit 0
i|/web|0|false|always
i|/api|0|false|unless-stopped
i|/worker|418|false|always
i|/db|4|false|always
i|/migrate|0|false|no
i|/old|0|false|unless-stopped
i|/cron|5|false|on-failure
i|/once|0|false|no
asked
@@images
nginx:1.25|5 months ago
postgres:12.3|6 years ago
redis:latest|3 weeks ago
left-over:1|9 years ago
@@end
"""
PODMAN = """\
@@may
@@containers
engine podman
c|caddy|Up 3 hours (healthy)|docker.io/library/caddy:2
c|job|Exited (0) 2 days ago|docker.io/library/alpine:latest
exit 0
i|caddy|0|false|
i|job|0|false|
asked
@@images
docker.io/library/caddy:2|6 weeks ago
@@end
"""
DENIED = "@@may\nno\n@@containers\nengine docker\nexit 1\nasked\n@@images\n@@end\n"
STOPPED_SERVICE = "@@may\n@@containers\nengine docker\nexit 1\nasked\n@@images\n@@end\n"
EMPTY = "@@may\nyes\n@@containers\nengine docker\nexit 0\nasked\n@@images\n@@end\n"
NONE = "@@may\n@@containers\nasked\n@@images\n@@end\n"
OUT_OF_MEMORY = """\
@@containers
engine docker
c|java|Exited (137) 2 minutes ago|tomcat:9
exit 0
i|/java|3|true|no
asked
@@end
"""


def test_what_is_wrong_comes_first_and_what_somebody_stopped_is_not_wrong() -> None:
    card = containers.read(sections(DEBIAN_IN_TROUBLE))
    assert card.status is Status.BAD
    assert card.summary == "5 containers need a look: api, worker, db."
    assert card.rows == (
        Row("docker", "3 running, 5 not"),
        Row("api", "unhealthy, up 2 hours", Status.BAD),
        Row("worker", "keeps restarting, 418 restarts so far", Status.BAD),
        Row("cron", "ended with 2, 4 hours ago", Status.BAD),
        Row("db", "up 5 weeks, 4 restarts so far", Status.WARN),
        Row("once", "ended with 1, 2 days ago", Status.WARN),
        Row("web", "up 3 days (healthy)", Status.OK),
        Row("migrate", "ended well 5 weeks ago", Status.INFO),
        Row("old", "stopped 3 months ago", Status.INFO),
        Row("Oldest image", "postgres:12.3, 6 years", Status.WARN),
    )
    assert [item.text for item in containers.further(card)] == [
        "$ docker logs --tail 50 api",
        "$ docker logs --tail 50 worker",
    ]


@pytest.mark.parametrize(
    "text, status, summary",
    [
        (PODMAN, Status.OK, "1 running, 1 not (podman)."),
        (DENIED, Status.INFO, "Containers could not be asked for."),
        (STOPPED_SERVICE, Status.INFO, "Containers could not be asked for."),
        (EMPTY, Status.INFO, "0 running, 0 not (docker)."),
        (NONE, Status.INFO, "There is no Docker and no Podman here."),
        ("@@end\n", Status.INFO, "Could not be read."),
        (OUT_OF_MEMORY, Status.BAD, "1 container needs a look: java."),
    ],
    ids=["podman", "denied", "stopped", "empty", "none", "nothing", "memory"],
)
def test_the_card(text: str, status: Status, summary: str) -> None:
    card = containers.read(sections(text))
    assert (card.status, card.summary) == (status, summary)


def test_who_may_not_ask_docker_is_told_why() -> None:
    (row,) = containers.read(sections(DENIED)).rows
    assert row.value == "there, but this user may not ask it (it is not in the group docker)"
    (row,) = containers.read(sections(STOPPED_SERVICE)).rows
    assert row.value == "installed, but it does not answer: its service may be off"


@pytest.mark.parametrize(
    "text, row",
    [
        (
            DEBIAN_IN_TROUBLE,
            Row("Containers", "api unhealthy, up 2 hours; 4 more", Status.BAD),
        ),
        (PODMAN, Row("Containers", "1 running, 1 not", Status.OK)),
        (OUT_OF_MEMORY, Row("Containers", "java killed: it used more memory than it may", Status.BAD)),
        (NONE, None),
        (DENIED, None),
        (EMPTY, None),
    ],
)
def test_all_containers_in_one_row(text: str, row: Row | None) -> None:
    assert containers.row(sections(text).of("containers")) == row


@pytest.mark.parametrize(
    "since, status",
    [
        ("About an hour ago", Status.INFO),
        ("2 weeks ago", Status.INFO),
        ("5 months ago", Status.INFO),
        ("7 months ago", Status.WARN),
        ("3 years ago", Status.WARN),
    ],
)
def test_an_image_grows_old_and_never_bad(since: str, status: Status) -> None:
    row = containers.oldest_image([f"a:1|{since}"], {"a:1"})
    assert row is not None
    assert row.status is status
