"""A port of a server, reached through a lease: on the box's loopback, or in a browser."""

from datetime import datetime
from enum import StrEnum

import msgspec


class ForwardKind(StrEnum):
    LOCAL = "local"
    WEB = "web"


class ForwardState(StrEnum):
    OPEN = "open"
    ENDED = "ended"


class Forward(msgspec.Struct, frozen=True):
    """A row of `forwards`. `bytes_in` came from the server, `bytes_out` went to it; while it is open they are in memory.

    `scheme`, `host_header` and `any_certificate` say how a web app is asked; `bound_port` is where the box listens, None for a host name.
    """

    id: str
    account_id: str
    connection_id: str
    session_lease_id: str
    kind: ForwardKind
    target_host: str
    target_port: int
    scheme: str | None
    host_header: str | None
    any_certificate: bool
    bound_port: int | None
    state: ForwardState
    end_reason: str | None
    connections: int
    bytes_in: int
    bytes_out: int
    created_at: datetime
    ended_at: datetime | None

    @property
    def is_open(self) -> bool:
        return self.state is ForwardState.OPEN

    @property
    def target(self) -> str:
        host = f"[{self.target_host}]" if ":" in self.target_host else self.target_host
        return f"{host}:{self.target_port}"


class ForwardWish(msgspec.Struct, frozen=True):
    """What somebody asks for, before it was looked at. `bound_port` None: any free one."""

    kind: ForwardKind
    target_port: int
    target_host: str = "localhost"
    bound_port: int | None = None
    scheme: str = "http"
    host_header: str | None = None
    any_certificate: bool = False


class PortUse(msgspec.Struct, frozen=True):
    """Which app was last shown on a port of the box: browsers keep what an app leaves behind by that port."""

    bound_port: int
    connection_id: str
    target_host: str
    target_port: int


class Listening(msgspec.Struct, frozen=True):
    """A TCP port on which something listens on a server. `host` is the name by which the server itself reaches it."""

    port: int
    host: str
    process: str | None
    public: bool
