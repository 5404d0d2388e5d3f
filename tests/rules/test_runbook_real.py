"""The probes of the runbook as they really run: over a file system made for them, and with BusyBox alone."""

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from clawdbox.agents.runtimes.port import Card, Row, Status
from clawdbox.agents.runtimes.runbook import backups, certificates, containers, diagnose, health, logs
from clawdbox.agents.runtimes.runbook.recipe import Recipe, sections
from tests.waiting import eventually_sync

PLACES = ("/etc/", "/var/log/", "/var/lib/caddy", "/run/systemd/", "/timeshift/", "/.snapshots/")


@pytest.fixture(params=["tools of this machine", "busybox"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """What PATH is: with BusyBox there is no openssl, no Docker and no systemd, as on a small server."""
    folder = tmp_path / "bin"
    folder.mkdir()
    if request.param != "busybox":
        return f"{folder}:/usr/bin:/bin"
    busybox = shutil.which("busybox")
    assert busybox, "No busybox: `make test-deps` installs it, or says how."
    subprocess.run([busybox, "--install", "-s", str(folder)], check=True)
    return str(folder)


def ask(recipe: Recipe, root: Path, path: str) -> Card:
    """Its places lie below `root`, and the tools of root are not looked for elsewhere."""
    command = recipe.command.replace(":/usr/local/sbin:/usr/sbin:/sbin", "")
    for place in PLACES:
        command = re.sub(rf"(?<![\w.]){re.escape(place)}", f"{root}{place}", command)
    shell = shutil.which("sh", path=path)
    assert shell
    done = subprocess.run(
        [shell, "-c", command],
        env={"PATH": path, "HOME": str(root / "home")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    found = sections(done.stdout)
    assert (found.complete, done.stderr) == (True, "")
    return recipe.read(found)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    "recipe",
    [containers.RECIPE, certificates.RECIPE, logs.RECIPE, backups.RECIPE, diagnose.RECIPE, health.RECIPE],
    ids=lambda recipe: recipe.name,
)
def test_on_a_bare_server_each_says_what_is_not_there(recipe: Recipe, tmp_path: Path, path: str) -> None:
    card = ask(recipe, tmp_path / "empty", path)
    assert card.summary
    if recipe in (containers.RECIPE, certificates.RECIPE, logs.RECIPE):
        assert card.status is Status.INFO


def test_a_log_file_is_counted_by_program_and_day(tmp_path: Path, path: str) -> None:
    now = datetime.now().astimezone()
    old = now - timedelta(days=5)
    lines = [
        *(f"{now:%b %e %H:%M:%S} host nginx[{n}]: connect() failed, error {100 + n}" for n in range(12)),
        f"{now:%b %e %H:%M:%S} host nginx[7]: started, all is well",
        f"{now:%Y-%m-%dT%H:%M:%S}.123456+00:00 host app[99]: fatal: out of cheese",
        f"{old:%b %e %H:%M:%S} host oldapp[1]: error of last week",
        f"{now:%b %e %H:%M:%S} host daemon.err chronyd[5]: no socket",
    ]
    write(tmp_path / "var/log/syslog", "\n".join([*lines, ""]))
    failed = (
        f"{now:%b %e %H:%M:%S} host sshd[123]: Failed password for root from 203.0.113.9 port 4711 ssh2\n"
    )
    write(tmp_path / "var/log/auth.log", failed * 3)
    card = ask(logs.RECIPE, tmp_path, path)
    assert card.rows[0] == Row("Failed logins", "3 attempts, most from 203.0.113.9", Status.INFO)
    assert card.rows[1] == Row("nginx", "12 × connect() failed, error N", Status.WARN)
    assert {row.label: row.value for row in card.rows[2:4]} == {
        "app": "fatal: out of cheese",
        "chronyd": "no socket",
    }
    assert "oldapp" not in str(card.rows)


def test_traces_of_backups_are_found_with_their_age(tmp_path: Path, path: str) -> None:
    root, home = tmp_path, tmp_path / "home"
    write(home / ".cache/restic/abcd/snapshots/12/1234", "")
    write(home / ".config/borg/security/abcd/manifest-timestamp", "2026-11-27T03:00:12.123456")
    write(root / "etc/rsnapshot.conf", f"snapshot_root\t{root}/snapshots/\n")
    write(root / "snapshots/daily.0/x", "")
    write(root / "etc/cron.d/nightly", "0 3 * * * root restic backup /srv\n")
    write(root / "etc/cron.daily/dpkg", "# backup of the database\n")
    card = ask(backups.RECIPE, root, path)
    assert {row.label for row in card.rows if row.value == "0 min ago"} == {"restic", "borg", "rsnapshot"}
    assert Row("Planned by cron", f"{root}/etc/cron.d/nightly") in card.rows
    assert card.summary == "The newest is 0 min old (restic)."


@pytest.fixture
def signed(tmp_path: Path) -> tuple[Path, Path]:
    """(certificate, key) of a name that is good for ninety days, as openssl made it."""
    key, cert = tmp_path / "key.pem", tmp_path / "etc/ssl/site.pem"
    cert.parent.mkdir(parents=True)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
         "-out", cert, "-days", "90", "-subj", "/C=DE/O=Example/CN=site.example.org"],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


@pytest.fixture
def served(signed: tuple[Path, Path]) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    cert, key = signed
    command = [
        "openssl",
        "s_server",
        "-accept",
        f"127.0.0.1:{port}",
        "-cert",
        str(cert),
        "-key",
        str(key),
        "-quiet",
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:

        def answers() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        eventually_sync(answers, what="a server that speaks TLS")
        yield port
        server.kill()


def test_certificates_are_read_from_a_configuration_and_from_a_port(
    tmp_path: Path, signed: tuple[Path, Path], served: int
) -> None:
    cert, _ = signed
    quoted = f'SSLCertificateFile "{cert}"\n'
    write(tmp_path / "etc/nginx/sites-enabled/site", f"server {{\n  ssl_certificate {cert};\n}}\n")
    write(tmp_path / "etc/apache2/site.conf", quoted + f"  SSLCertificateFile {tmp_path}/etc/ssl/gone.pem\n")
    probe = {**certificates.RECIPE.probe}
    probe["ports"] = probe["ports"].replace(" 10250", f" 10250 {served}")
    recipe = Recipe("certificates", "", "", (), probe, certificates.read)
    card = ask(recipe, tmp_path, "/usr/bin:/bin")
    gone, site = sorted(card.rows, key=lambda row: row.label)
    assert gone == Row("Missing", f"{tmp_path}/etc/ssl/gone.pem, which a service names", Status.WARN)
    assert (site.label, site.status) == ("site.example.org", Status.OK)
    assert re.fullmatch(rf"(89|90) days left · port {served}", site.value)
