"""What the web needs of a running box. `clawdbox.app.Box` is one; the web may not import it, since it stands below."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from clawdbox.accounts import Accounts
    from clawdbox.accounts.invitations.service import Invitations
    from clawdbox.accounts.login_providers.flows import LoginFlows
    from clawdbox.accounts.login_providers.service import LoginProviders
    from clawdbox.accounts.pairing_requests import PairingRequests
    from clawdbox.accounts.passkeys import Passkeys
    from clawdbox.accounts.recovery_codes import RecoveryCodes
    from clawdbox.accounts.terminal_codes import TerminalCodes
    from clawdbox.agents.model_providers.service import ModelProviders
    from clawdbox.agents.runtimes.acp.look import CodeAgents
    from clawdbox.agents.runtimes.openclaw.service import Gateways
    from clawdbox.agents.service import Conversations
    from clawdbox.approvals.service import Approvals
    from clawdbox.clock import Clock
    from clawdbox.events import Hub, Ledger
    from clawdbox.keys.service import Keys
    from clawdbox.metrics import Metrics
    from clawdbox.notify.service.channels import Channels
    from clawdbox.recovery import Recovery
    from clawdbox.settings import Settings
    from clawdbox.ssh.service.connections import Connections
    from clawdbox.ssh.service.control_sockets import ControlSockets
    from clawdbox.ssh.service.execs import Execs
    from clawdbox.ssh.service.file_edits import FileEdits
    from clawdbox.ssh.service.files import Files
    from clawdbox.ssh.service.fleet import Fleet
    from clawdbox.ssh.service.forwards import Forwards
    from clawdbox.ssh.service.host_authorities import HostAuthorities
    from clawdbox.ssh.service.imports import Imports
    from clawdbox.ssh.service.kept_terminals import KeptTerminals
    from clawdbox.ssh.service.key_rotations import KeyRotations
    from clawdbox.ssh.service.leases import Leases
    from clawdbox.ssh.service.recordings import Recordings
    from clawdbox.ssh.service.removals import Removals
    from clawdbox.ssh.service.snippets import Snippets
    from clawdbox.ssh.service.stats import Stats
    from clawdbox.ssh.service.terminals import Terminals
    from clawdbox.ssh.service.uploads import Uploads
    from clawdbox.store import Store


class Box(Protocol):
    """`stopping` is set when the box goes down: every socket is then closed with 1012."""

    settings: Settings
    clock: Clock
    store: Store
    hub: Hub
    ledger: Ledger
    metrics: Metrics
    stopping: asyncio.Event
    accounts: Accounts
    terminal_codes: TerminalCodes
    passkeys: Passkeys
    recovery_codes: RecoveryCodes
    pairing_requests: PairingRequests
    invitations: Invitations
    login_providers: LoginProviders
    login_flows: LoginFlows
    keys: Keys
    connections: Connections
    key_rotations: KeyRotations
    host_authorities: HostAuthorities
    imports: Imports
    leases: Leases
    execs: Execs
    forwards: Forwards
    terminals: Terminals
    recordings: Recordings
    files: Files
    file_edits: FileEdits
    uploads: Uploads
    removals: Removals
    kept_terminals: KeptTerminals
    control_sockets: ControlSockets
    snippets: Snippets
    model_providers: ModelProviders
    fleet: Fleet
    stats: Stats
    conversations: Conversations
    approvals: Approvals
    code_agents: CodeAgents
    notify_channels: Channels
    openclaw_gateways: Gateways
    recovery: Recovery

    @property
    def own_port(self) -> int | None:
        """The port really bound."""

    def mac_key(self, label: str) -> bytes:
        """A key for one purpose, such as `csrf`."""
