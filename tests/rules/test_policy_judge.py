"""What commands are taken for."""

import pytest

from clawdbox.policy import Class, judge
from tests.rules.policy_table import rows

ROWS = rows()


@pytest.mark.parametrize("section", [*Class, "secret"])
def test_commands_are_what_the_table_says(section: str) -> None:
    told = [(row.command, judge(row.command)) for row in ROWS if row.section == section]
    assert told
    if section == "secret":
        wrong = [(command, judgement) for command, judgement in told if judgement.secret is None]
    else:
        wrong = [(command, one) for command, one in told if (one.klass, one.secret) != (section, None)]
    assert wrong == []
    assert [command for command, judgement in told if not judgement.why] == []


def test_the_table_is_long_and_has_every_class() -> None:
    assert {row.section for row in ROWS} == {*Class, "secret"}
    assert len(ROWS) == len({row.command for row in ROWS}) >= 300


def test_a_sentence_names_the_program_and_what_it_does() -> None:
    judgement = judge("rm -r build")
    assert judgement.why[0] == "It runs `rm`, which deletes files."
    assert judgement.programs == ("rm",)
    assert judgement.cannot_be_undone == "What is deleted is gone: there is no waste basket on a server."


@pytest.mark.parametrize(
    "command, programs",
    [
        ("ls | grep x && df; uptime", ("ls", "grep", "df", "uptime")),
        ("sudo -n timeout 5 systemctl restart nginx", ("sudo", "timeout", "systemctl")),
        ("bash -c 'ls; rm x'", ("bash", "ls", "rm")),
        ("echo $(id) `whoami`", ("echo", "id", "whoami")),
        ("find . -exec rm {} +", ("find", "rm")),
        ("if true; then shutdown now; fi", ("true", "shutdown")),
        ("/usr/bin/ls", ("ls",)),
    ],
)
def test_every_program_is_named(command: str, programs: tuple[str, ...]) -> None:
    assert judge(command).programs == programs


@pytest.mark.parametrize(
    "command, egress",
    [
        ("curl https://example.com", True),
        ("curl localhost/health", False),
        ("dig example.com", True),
        ("git push", True),
        ("cat x | nc example.com 80", True),
        ("echo x > /dev/tcp/192.0.2.1/80", True),
        ("mysql -h localhost -h db.example.com -e 'select 1'", True),
        ("psql -h localhost -h db.example.com -c 'select 1'", True),
        ("psql -c 'select 1' postgresql://x.example.com/x", True),
        ("psql -d 'host=x.example.com' -c 'select 1'", True),
        ("redis-cli -h x.example.com info", True),
        ("pg_isready -h x.example.com", True),
        ("mysqladmin -h x.example.com status", True),
        ("mysqladmin -h localhost status", False),
        ("psql -h /run/postgresql -c 'select 1' app", False),
        ("ls", False),
    ],
)
def test_what_may_send_something_away_says_so(command: str, egress: bool) -> None:
    assert judge(command).egress is egress


@pytest.mark.parametrize(
    "command",
    [
        "env",
        "printenv",
        "ps auxe",
        "ps ep1",
        "ps eww1",
        "ps axewwp1",
        "docker inspect web",
        "git config --list",
        "grep -rh . /srv/app",
        "rg --hidden password /srv/app",
        "diff -r /srv/app /srv/old",
        "tar -c -f - /srv/app",
        "zip -r - /srv/app",
    ],
)
def test_what_shows_passwords_often_says_so(command: str) -> None:
    assert judge(command).credentials


@pytest.mark.parametrize(
    "command", ["grep -rin error /var/log/nginx", "cp -r /srv/a /srv/b", "ps aux", "ps -ef"]
)
def test_what_shows_none_does_not_say_so(command: str) -> None:
    assert not judge(command).credentials
