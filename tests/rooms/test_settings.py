"""Settings: which source wins, and that a bad one is named before anything starts."""

from pathlib import Path
from typing import Any

import pytest

from clawdbox.errors import StartRefused
from clawdbox.settings import Settings, load


def test_the_defaults_are_the_specification_s(tmp_path: Path) -> None:
    found = load(tmp_path, {}, {})
    assert found == Settings()
    assert (found.connect_timeout_s, found.test_timeout_s, found.request_timeout_s) == (10, 15, 30)
    assert (found.keepalive_interval_s, found.keepalive_count) == (30, 3)
    assert (found.idle_timeout_s, found.grace_s, found.heartbeat_dead_s, found.janitor_interval_s) == (
        1800,
        300,
        120,
        60,
    )
    assert (found.login_ttl_s, found.pairing_code_ttl_s, found.max_leases) == (30 * 86400, 600, 5)
    assert (found.exec_timeout_s, found.exec_timeout_max_s) == (25, 600)
    assert (found.rate_test_per_minute, found.rate_session_start_per_hour) == (5, 10)
    assert (found.host, found.port, found.allow_loopback, found.demo) == ("127.0.0.1", 8022, False, False)


def test_a_flag_beats_the_environment_beats_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('port = 1\nhost = "file"\nmax_leases = 1\n')
    environment = {"CLAWDBOX_PORT": "2", "CLAWDBOX_HOST": "environment", "PORT": "9"}
    found = load(tmp_path, {"port": 3, "host": None}, environment)
    assert (found.port, found.host, found.max_leases) == (3, "environment", 1)


def test_the_environment_speaks_text(tmp_path: Path) -> None:
    environment = {
        "CLAWDBOX_ALLOW_LOOPBACK": "1",
        "CLAWDBOX_GRACE_S": "1.5",
        "CLAWDBOX_ALLOWED_HOSTS": " box.lan, 192.168.1.5 ,",
        "CLAWDBOX_TRUSTED_PROXIES": "",
    }
    found = load(tmp_path, {}, environment)
    assert (found.allow_loopback, found.grace_s) == (True, 1.5)
    assert (found.allowed_hosts, found.trusted_proxies) == (["box.lan", "192.168.1.5"], [])


@pytest.mark.parametrize(
    "name, value",
    [("port", "70000"), ("port", "-1"), ("port", "ssh"), ("grace_s", "0"), ("grace_s", "-1"), ("grace_s", "nan"),
     ("grace_s", "inf"), ("grace_s", "1e99"), ("max_leases", "0"), ("rate_test_per_minute", "0"), ("demo", "maybe")],
)  # fmt: skip
def test_a_bad_value_is_refused_and_its_source_named(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(StartRefused) as refused:
        load(tmp_path, {}, {f"CLAWDBOX_{name.upper()}": value})
    assert (refused.value.code, refused.value.exit_code) == ("settings_invalid", 78)
    assert "the environment" in refused.value.message
    assert name in refused.value.message


@pytest.mark.parametrize(
    "content",
    [b"port = ", b"prot = 8022", b'port = "x"', b"\xff\xfe", b"grace_s = nan", b"grace_s = inf", b"[port]"],
)
def test_a_bad_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.toml").write_bytes(content)
    with pytest.raises(StartRefused) as refused:
        load(tmp_path, {}, {})
    assert "config.toml" in refused.value.message


def test_a_bad_flag_is_refused(tmp_path: Path) -> None:
    flags: dict[str, Any] = {"port": 65536}
    with pytest.raises(StartRefused, match="command line"):
        load(tmp_path, flags, {})
