"""A saved SSH target and what a test of it found."""

from datetime import datetime
from enum import StrEnum

import msgspec


class TestResult(StrEnum):
    """Values of `ssh_connections.last_test_result` (document 02)."""

    OK = "ok"
    FAILED = "failed"
    TIMEOUT = "timeout"
    HOST_KEY_MISMATCH = "host_key_mismatch"


class HostKey(msgspec.Struct, frozen=True):
    """`fingerprint` is OpenSSH's `SHA256:…`; `type` its algorithm, such as `ssh-ed25519`."""

    fingerprint: str
    type: str


class Connection(msgspec.Struct, frozen=True):
    """`host_key_*` is the pin; `offered_*` the key that was shown last and is not (or no longer) the pin.

    `jump_connection_id` is the jump host: the connection through which this one is reached. `host_authority_id` is who
    signed the host certificate that the last test met, where no key is pinned. `tier` (`policy.Tier`) says how much an
    agent may do there unasked; with `judge_people` what a person types into a conversation is judged as well.
    """

    id: str
    account_id: str
    keypair_id: str
    label: str
    host: str
    port: int
    username: str
    host_key_fingerprint: str | None
    host_key_type: str | None
    host_key_pinned_at: datetime | None
    offered_fingerprint: str | None
    offered_key_type: str | None
    offered_at: datetime | None
    last_tested_at: datetime | None
    last_test_result: TestResult | None
    last_test_message: str | None
    last_latency_ms: float | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    jump_connection_id: str | None = None
    host_authority_id: str | None = None
    tier: str = "production"
    judge_people: bool = False

    @property
    def state(self) -> str:
        """`draft` until a test has succeeded against the pinned key or a trusted certificate, then `tested`; `deleted` at
        the end."""
        if self.deleted_at:
            return "deleted"
        trusted = self.host_key_fingerprint or self.host_authority_id
        return "tested" if trusted and self.ever_tested else "draft"

    @property
    def ever_tested(self) -> bool:
        return self.last_latency_ms is not None


class TestOutcome(msgspec.Struct, frozen=True):
    """`cause` and `next_step` say what to do about a failure, and `failed_hop` is the jump host where it happened, if it
    was one; all three are None when the test succeeded."""

    result: TestResult
    latency_ms: float | None
    message: str
    cause: str | None
    next_step: str | None
    host_key: HostKey | None
    server_version: str | None
    connection: Connection
    failed_hop: Connection | None = None


class KeyRemoval(msgspec.Struct, frozen=True):
    """Whether the key was taken off the server: `removed` is None when that was not attempted."""

    attempted: bool
    removed: bool | None
    message: str
