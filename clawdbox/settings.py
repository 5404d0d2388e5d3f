"""Every number of the specification, settable by file, environment and flag.

Precedence: flag, then environment (`CLAWDBOX_<NAME>`), then `config.toml` in the data folder, then the default here.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from clawdbox.errors import StartRefused

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=366 * 86400)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)]
Bytes = Annotated[int, msgspec.Meta(ge=1, le=1 << 50)]
Size = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000_000)]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Times are in seconds, sizes in bytes; a rate is a count within its window."""

    host: str = "127.0.0.1"
    port: Port = 8022
    public_url: str | None = None
    allowed_hosts: list[str] = []
    trusted_proxies: list[str] = []
    allow_loopback: bool = False
    demo: bool = False
    log_level: str = "info"

    # Logins (documents 03 and 04)
    login_ttl_s: Seconds = 30 * 86400
    pairing_code_ttl_s: Seconds = 600
    login_provider_loopback: bool = False
    step_up_ttl_s: Seconds = 300

    # SSH (document 05, section 5.4)
    connect_timeout_s: Seconds = 10
    login_timeout_s: Seconds = 15
    test_timeout_s: Seconds = 15
    keepalive_interval_s: Seconds = 30
    keepalive_count: Count = 3
    max_dials: Count = 16
    max_dials_per_host: Count = 4
    keypair_keep_days: Count = 7  # a rotated key, for the leases that run
    control_sockets: bool = True
    master: Literal["asyncssh", "openssh"] = "asyncssh"

    # Leases (document 05, sections 5.2 and 5.3)
    idle_timeout_s: Seconds = 1800
    max_leases: Count = 5
    grace_s: Seconds = 300
    heartbeat_interval_s: Seconds = 30
    heartbeat_dead_s: Seconds = 120
    janitor_interval_s: Seconds = 60
    terminal_ring_bytes: Count = 262_144
    terminal_spill_bytes: Size = 16_777_216
    terminal_spill_total_bytes: Size = 268_435_456

    # Recordings of terminals
    recording_max_bytes: Bytes = 67_108_864
    recordings_total_bytes: Bytes = 4_294_967_296
    recordings_keep_free_bytes: Bytes = 268_435_456
    recordings_keep_days: Count = 365

    # Backups by the clock: every so many hours (0: none), how many are kept, and where (default: `backups` in the data folder)
    backup_every_h: Annotated[float, msgspec.Meta(ge=0, le=8760)] = 0
    backup_keep: Count = 7
    backup_folder: str | None = None

    # Fleet and server statistics (document 05, sections 5.2 and 5.3)
    fleet_parallel: Count = 8
    fleet_timeout_s: Seconds = 60
    stats_interval_s: Seconds = 4

    # Agents: how long a question waits, what asks, and the limits of one turn
    approval_ttl_s: Seconds = 3600
    agent_mode: Literal["ask_everything", "read_freely", "unattended"] = "read_freely"
    turn_max_commands: Count = 100
    turn_max_tokens: Count = 2_000_000
    turn_max_cost_usd: Annotated[float, msgspec.Meta(gt=0)] = 5.0
    turn_max_s: Seconds = 3600
    unattended_commands: Count = 20
    revert_after_s: Seconds = 180
    code_agent_idle_s: Seconds = 7200

    # Notifications
    notify_timeout_s: Seconds = 15
    notify_per_minute: Count = 10
    notify_keep_days: Count = 30
    notify_loopback: bool = False
    notify_plain_http: bool = False
    push_contact: str | None = None

    # Web apps of servers: on ports of their own (0: the ones after the box's port), or on host names of their own
    forward_web_port: Port = 0
    forward_web_ports: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 20
    forward_domain: str | None = None

    # Requests
    request_timeout_s: Seconds = 30
    max_body_bytes: Count = 1_048_576
    exec_timeout_s: Seconds = 25
    exec_timeout_max_s: Seconds = 600
    exec_output_bytes: Count = 1_048_576

    # A model of one's own: how long it may say nothing, and how often it is asked in a turn
    model_quiet_s: Seconds = 300
    model_max_requests: Count = 60

    # Rates (document 03); `0` cannot be set: a limit is raised, never switched off
    rate_test_per_minute: Count = 5
    rate_session_start_per_hour: Count = 10
    rate_pair_per_minute: Count = 10
    rate_oauth_start_per_minute: Count = 10
    rate_oauth_callback_per_hour: Count = 20
    rate_failed_login_per_minute: Count = 20
    failed_logins_free: Count = 10

    # The audit trail: in the database, then in files
    audit_hot_days: Count = 90
    audit_archive_days: Count = 365
    rate_fleet_per_minute: Count = 10
    rate_import_per_minute: Count = 20
    rate_notify_test_per_minute: Count = 10
    rate_request_per_minute: Count = 1200

    @property
    def is_loopback(self) -> bool:
        return self.host in ("127.0.0.1", "::1", "localhost")


def load(data_dir: Path, flags: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings in force. Raises StartRefused (`settings_invalid`) naming the source and the value."""
    values: dict[str, Any] = {}
    _merge(values, _from_file(data_dir / "config.toml"), "config.toml")
    _merge(values, _from_environment(environment), "the environment")
    _merge(values, {name: value for name, value in flags.items() if value is not None}, "the command line")
    return msgspec.convert(values, Settings, strict=False)


def _merge(values: dict[str, Any], more: dict[str, Any], source: str) -> None:
    try:
        msgspec.convert(more, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise StartRefused("settings_invalid", f"A setting in {source} cannot be used: {error}") from None
    values.update(more)


def _from_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise StartRefused("settings_invalid", f"config.toml cannot be read: {error}") from None


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in Settings.__struct_fields__:
        text = environment.get(f"CLAWDBOX_{name.upper()}")
        if text is not None:
            found[name] = _list(text) if name in ("allowed_hosts", "trusted_proxies") else text
    return found


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
