"""The only file that knows every room: it wires them, and starts and stops them in order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from clawdbox import logs, net
from clawdbox.accounts import Account, Accounts
from clawdbox.accounts.invitations.service import Invitations
from clawdbox.accounts.login_providers.flows import LoginFlows
from clawdbox.accounts.login_providers.service import LoginProviders
from clawdbox.accounts.pairing_requests import PairingRequests
from clawdbox.accounts.passkeys import Passkeys
from clawdbox.accounts.recovery_codes import RecoveryCodes
from clawdbox.accounts.terminal_codes import TerminalCodes
from clawdbox.agents.model_providers.service import ModelProviders
from clawdbox.agents.runtimes.acp import Acp, CodeAgents
from clawdbox.agents.runtimes.model import Engines, ModelRuntime
from clawdbox.agents.runtimes.openclaw import Gateways, OpenClaw
from clawdbox.agents.service import Conversations
from clawdbox.agents.typed import TypedAtSocket
from clawdbox.approvals.service import Approvals
from clawdbox.backups.service import Backups
from clawdbox.clock import Clock
from clawdbox.errors import NotFound, StartRefused
from clawdbox.events import Actor, Hub, Ledger
from clawdbox.events.archive import FOLDER, Archivist
from clawdbox.events.audit_keys import AuditKeys
from clawdbox.events.model import SYSTEM
from clawdbox.events.wire import AUDIT_FILE, AuditFile
from clawdbox.ids import new_id
from clawdbox.keys.service import Keys
from clawdbox.metrics import Metrics
from clawdbox.notify.service.channels import Channels, Where
from clawdbox.notify.service.courier import Courier
from clawdbox.notify.service.notifier import Notifier
from clawdbox.notify.service.relay import Relay, Screens
from clawdbox.notify.service.vapid import Vapid
from clawdbox.notify.wire.send import Sender
from clawdbox.recovery import Recovery
from clawdbox.rotation import Rotation
from clawdbox.settings import Settings
from clawdbox.slots import Slots
from clawdbox.ssh.service.connections import Connections, demo_is
from clawdbox.ssh.service.control_sockets import ControlSockets
from clawdbox.ssh.service.dialling import Addresses, Dialler
from clawdbox.ssh.service.execs import Execs
from clawdbox.ssh.service.file_edits import FileEdits
from clawdbox.ssh.service.file_trail import FileTrail
from clawdbox.ssh.service.files import Files
from clawdbox.ssh.service.fleet import Fleet
from clawdbox.ssh.service.forwards import Forwards
from clawdbox.ssh.service.host_authorities import HostAuthorities
from clawdbox.ssh.service.imports import Imports
from clawdbox.ssh.service.janitor import Janitor
from clawdbox.ssh.service.kept_terminals import KeptTerminals
from clawdbox.ssh.service.key_rotations import KeyRotations
from clawdbox.ssh.service.leases import Leases
from clawdbox.ssh.service.recordings import Recordings
from clawdbox.ssh.service.removals import Removals
from clawdbox.ssh.service.sftp_pool import SftpPool
from clawdbox.ssh.service.snippets import Snippets
from clawdbox.ssh.service.spills import Spills
from clawdbox.ssh.service.stats import Stats
from clawdbox.ssh.service.streams import Streams
from clawdbox.ssh.service.terminals import Terminals
from clawdbox.ssh.service.trail import Trail
from clawdbox.ssh.service.tunnels import Tunnels
from clawdbox.ssh.service.uploads import Uploads
from clawdbox.ssh.sql import connections as connection_sql
from clawdbox.ssh.sql import leases as lease_sql
from clawdbox.ssh.wire import openssh
from clawdbox.ssh.wire.demo import DemoServer
from clawdbox.store import Reader, Store, Tx
from clawdbox.store.migrate import migrate
from clawdbox.vault import Keyring, Label, RecoveryWords, Sealer, prepare_folder, verify_database

log = logs.get("app")
DATABASE = "clawdbox.db"
RECORDINGS = "recordings"
SPILL = "spill"
DEMO_LABEL = "Demo server"


class Box:
    """One box. After `open` its rooms answer; after `start` it also holds leases, keeps time and listens to events."""

    store: Store
    keyring: Keyring
    sealer: Sealer
    audit_keys: AuditKeys
    ledger: Ledger
    keys: Keys
    accounts: Accounts
    terminal_codes: TerminalCodes
    passkeys: Passkeys
    recovery_codes: RecoveryCodes
    pairing_requests: PairingRequests
    invitations: Invitations
    login_providers: LoginProviders
    login_flows: LoginFlows
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
    fleet: Fleet
    stats: Stats
    model_providers: ModelProviders
    conversations: Conversations
    openclaw_gateways: Gateways
    openclaw: OpenClaw
    approvals: Approvals
    code_agents: CodeAgents
    acp: Acp
    notify_channels: Channels
    notifier: Notifier
    recovery: Recovery
    rotation: Rotation
    slots: Slots
    backups: Backups
    owner: Account

    def __init__(
        self, data_dir: Path, settings: Settings, clock: Clock | None = None, keyring: Keyring | None = None
    ) -> None:
        """`keyring` is one that a passphrase opened; without it the box opens its own."""
        self.data_dir = data_dir
        self.settings = settings
        self.clock = clock or Clock.from_environment()
        self.hub = Hub()
        self.metrics = Metrics()
        self.stopping = asyncio.Event()
        self.is_offline = False  # opened for one command, while no box runs
        self.unlocked = keyring
        self.addresses = Addresses(settings)
        self._jobs: list[Archivist | AuditFile | Janitor | Notifier | Recordings] = []
        self._demo: DemoServer | None = None

    # opening: the vault first, the database only when it is this vault's

    async def open(self) -> None:
        """Open or make keyring, database, owner and key. Raises StartRefused before anything is written."""
        prepare_folder(self.data_dir)
        database = self.data_dir / DATABASE
        words = self._open_keyring(database)
        fresh = verify_database(self.keyring, database) == "new"
        self.keyring.settle_host_key()
        migrate(database, self.clock.now())
        database.chmod(0o600)
        self.store = Store.open(database, self.clock)
        self.store.on_commit(self.hub.wake)
        if fresh:
            await self.store.write(self._bind_database)
        self._wire(words)
        await self.audit_keys.start(self.store)
        await self.connections.load_loopback()
        self.owner = await self.accounts.ensure_owner()

    def _open_keyring(self, database: Path) -> RecoveryWords | None:
        words = None
        if self.unlocked:
            self.keyring = self.unlocked
        elif Keyring.exists(self.data_dir):
            self.keyring = Keyring.open(self.data_dir, database=database)
        else:
            instance_id = new_id(datetime.now(UTC))
            self.keyring, words = Keyring.create(self.data_dir, instance_id, database=database)
        self.sealer = self.keyring.sealer()
        return words

    def _bind_database(self, tx: Tx) -> None:
        for key, value in self.keyring.meta_rows().items():
            tx.run("INSERT OR REPLACE INTO box_meta VALUES (?, ?)", (key, value))

    def _wire(self, words: RecoveryWords | None) -> None:
        store, settings = self.store, self.settings
        self.audit_keys = AuditKeys(self.sealer)
        self.ledger = Ledger(self.audit_keys)
        self.keys = Keys(store, self.ledger, self.sealer, lease_sql.open_with_keypair)
        self.accounts = Accounts(store, self.ledger, settings, self._make_key)
        self.terminal_codes = TerminalCodes(store, self.accounts)
        self.passkeys = Passkeys(store, self.ledger, settings, self.accounts)
        self.recovery_codes = RecoveryCodes(store, self.ledger, self.accounts)
        self.pairing_requests = PairingRequests(store, self.ledger, self.accounts)
        self._wire_logins()
        self.recovery = Recovery(store, self.ledger, self.keyring, words)
        self.rotation = Rotation(store, self.ledger, self.keyring, self.audit_keys, self.recovery)
        self.slots = Slots(store, self.ledger, self.keyring)
        self.backups = Backups(store, self.ledger, settings, self.keyring, self.recovery, self.data_dir)
        dialler = Dialler(settings, self.addresses, self.keys)
        trail = Trail(self.ledger)
        self.host_authorities = HostAuthorities(store, self.ledger, trail)
        self.imports = Imports(store, self.ledger, self.addresses, trail, self.host_authorities)
        self.connections = Connections(store, self.ledger, settings, self.addresses, dialler, trail)
        self._wire_key_rotations(dialler, trail)
        self.leases = Leases(store, self.ledger, settings, self.accounts, trail, dialler, self.metrics)
        self.execs = Execs(store, self.ledger, self.leases)
        self.kept_terminals = KeptTerminals(store, self.ledger, self.leases)
        spills = Spills(
            self.data_dir / SPILL, settings.terminal_spill_bytes, settings.terminal_spill_total_bytes
        )
        self.terminals = Terminals(store, self.ledger, settings, self.leases, self.kept_terminals, spills)
        self.forwards = Forwards(store, self.ledger, self.leases, self.execs, self.metrics)
        self.recordings = Recordings(
            store, self.ledger, settings, self.sealer, self.terminals, self.data_dir / RECORDINGS
        )
        self._wire_files()
        self.control_sockets = ControlSockets(store, self.ledger, settings, self.leases, self.data_dir)
        self._wire_fleet()
        self._wire_agents()
        self._wire_notify()
        self.leases.writes.on_started = self.conversations.lease_started
        self.leases.writes.on_ended = self.conversations.lease_ended
        self.connections.on_removed = self.conversations.connection_removed
        self.fleet.check = self.conversations.typed_check
        self.control_sockets.ask_own = TypedAtSocket(self.store, self.accounts.settings_in).ask
        self.leases.on_closing.append(self.terminals.close_all)
        self.leases.on_closing.append(self.control_sockets.lease_closing)
        self.leases.on_active.append(self.control_sockets.lease_active)
        self.leases.on_active.append(self.conversations.lease_active)
        self.leases.on_closing.append(self.forwards.close_all)

    def _wire_logins(self) -> None:
        store, ledger, settings = self.store, self.ledger, self.settings
        self.invitations = Invitations(store, ledger, self.accounts)
        self.login_providers = LoginProviders(store, ledger, self.sealer, settings)
        self.accounts.find_means.append(self.login_providers.means)
        self.login_flows = LoginFlows(
            store,
            self.sealer,
            settings,
            self.accounts,
            self.login_providers,
            self.invitations,
            self.mac_key(Label.COOKIE),
            lambda: self.address if settings.public_url or settings.is_loopback else None,
            lambda: self.own_port,
        )

    def _wire_key_rotations(self, dialler: Dialler, trail: Trail) -> None:
        self.key_rotations = KeyRotations(self.store, self.ledger, self.settings, self.keys, dialler, trail)
        self.key_rotations.is_demo = demo_is
        self.key_rotations.let_in_demo = self._let_in_demo

    def _let_in_demo(self, public_key: str) -> None:
        if self._demo:
            self._demo.authorize(public_key)

    def _wire_files(self) -> None:
        pool, trail = SftpPool(self.leases), FileTrail(self.store, self.ledger)
        self.files = Files(self.store, trail, pool)
        self.file_edits = FileEdits(trail, pool)
        self.uploads = Uploads(self.store, trail, pool, self.leases, self.mac_key(Label.UPLOAD))
        self.removals = Removals(self.store, trail, pool, self.leases)

    def _wire_agents(self) -> None:
        self.approvals = Approvals(self.store, self.ledger, self.hub, self.settings)
        self.conversations = Conversations(
            self.store,
            self.ledger,
            self.hub,
            self.settings,
            self.execs,
            self.file_edits,
            self.approvals,
            self.accounts.settings_in,
            (self._wire_models(), self._wire_openclaw(), self._wire_code_agents()),
        )
        self.conversations.on_left.append(self.acp.left)
        self.conversations.on_stopped.append(self.acp.stop_all)

    def _wire_code_agents(self) -> Acp:
        streams = Streams(self.leases)
        self.code_agents = CodeAgents(self.store, self.ledger, streams)
        self.acp = Acp(self.store, self.ledger, self.settings, streams, self.code_agents)
        self.leases.on_active.append(self.acp.lease_active)
        self.leases.on_closing.append(self.acp.lease_closing)
        return self.acp

    def _wire_notify(self) -> None:
        """It hears events and is called by nobody; what lives above it is handed in: names, screens, the address."""
        store, hub, settings = self.store, self.hub, self.settings
        vapid = Vapid(store, self.sealer)
        sender = Sender(settings, vapid.key)
        self.notify_channels = Channels(store, self.ledger, self.sealer, settings, vapid, sender, self._where)
        screens = Screens(
            is_watched=lambda conversation_id: hub.is_heard(f"watched:{conversation_id}"),
            is_present=lambda account_id: hub.is_heard(f"present:{account_id}"),
        )
        relay = Relay(store, settings, self.notify_channels, screens)
        courier = Courier(store, hub, self.notify_channels, sender, self.metrics, _label_of, self._where)
        self.notifier = Notifier(store, hub, settings, self.notify_channels, relay, courier)

    def _where(self) -> Where:
        return Where(self.address, self.own_port)

    def _wire_openclaw(self) -> OpenClaw:
        self.tunnels = Tunnels(self.leases)
        self.openclaw_gateways = Gateways(
            self.store, self.ledger, self.sealer, self.leases, self.tunnels, lambda: self.own_port
        )
        self.openclaw = OpenClaw(self.openclaw_gateways, self.leases, self.control_sockets)
        return self.openclaw

    def _wire_fleet(self) -> None:
        self.snippets = Snippets(self.store, self.ledger)
        self.fleet = Fleet(self.store, self.ledger, self.settings, self.leases, self.execs)
        self.stats = Stats(self.store, self.ledger, self.hub, self.settings, self.leases)
        self.leases.on_closing.append(self.stats.close)

    def _wire_models(self) -> ModelRuntime:
        engines = Engines(self.settings.model_quiet_s, lambda: self.own_port)
        self.model_providers = ModelProviders(
            self.store, self.ledger, self.sealer, engines.probe, lambda: self.own_port
        )
        return ModelRuntime(engines, self.model_providers, self.settings.model_max_requests)

    def _make_key(self, tx: Tx, actor: Actor, account_id: str) -> object:
        return self.keys.create_in(tx, actor, account_id, "default")

    # running

    async def start(self) -> None:
        """Open, settle what a crash left behind, and start the jobs."""
        if self.settings.master == "openssh":
            await self._prepare_openssh()
        await self.open()
        await self.recovery.load()
        await self.conversations.start()
        self.approvals.start()
        self.control_sockets.start()
        ended = await self.leases.recover()
        await self.fleet.recover()
        if ended:
            log.warning("box.recovered", leases_ended=ended)
        audit_file = AuditFile(self.data_dir / AUDIT_FILE, self.store, self.hub)
        await audit_file.start()
        janitor = Janitor(self.store, self.hub, self.settings, self.accounts, self.leases)
        janitor.start()
        await self.recordings.start()
        self.notifier.start()
        self.rotation.start()
        self.backups.start()
        archivist = Archivist(self.data_dir / FOLDER, self.store, self.ledger, self.settings)
        archivist.start()
        self._jobs = [janitor, self.recordings, self.notifier, archivist, audit_file]
        if self.settings.demo:
            await self._start_demo()
        await self.key_rotations.start()

    async def _prepare_openssh(self) -> None:
        if lacks := openssh.missing():
            raise StartRefused("openssh_missing", f'{lacks} Or leave out the setting master = "openssh".')
        await asyncio.to_thread(openssh.sweep)

    async def stop(self) -> None:
        """In the opposite order; every open lease ends and says why."""
        self.stopping.set()
        await self.key_rotations.stop()
        await self.conversations.stop()
        await self.openclaw.close()
        await self.acp.close()
        await self.approvals.stop()
        await self.fleet.stop()
        await self.stats.stop()
        await self.leases.stop()
        await self.tunnels.stop()
        await self.terminals.stop()
        await self.control_sockets.stop()
        if self._demo:
            await self._demo.stop()
        for job in self._jobs:
            await job.stop()
        await self.backups.stop()
        await self.rotation.stop()
        await self.store.close()

    @classmethod
    @asynccontextmanager
    async def offline(
        cls,
        data_dir: Path,
        settings: Settings,
        clock: Clock | None = None,
        keyring: Keyring | None = None,
    ) -> AsyncIterator["Box"]:
        """A box that serves nothing, for a command when no box runs. The caller holds the instance lock."""
        box = cls(data_dir, settings, clock, keyring)
        box.is_offline = True
        await box.open()
        audit_file = AuditFile(data_dir / AUDIT_FILE, box.store, box.hub)
        try:
            await audit_file.start()
            yield box
        finally:
            await audit_file.stop()
            await box.store.close()

    async def _start_demo(self) -> None:
        try:
            keypair = await self.keys.default(self.owner.id)
        except NotFound:  # every key is revoked, which must not keep the box from starting
            keypair, _ = await self.keys.create(SYSTEM, self.owner.id, None)
        self._demo = DemoServer()
        at = await self._demo.start(self.data_dir / "demo", keypair.public_key)
        await self.connections.save_demo(self.owner.id, DEMO_LABEL, at.host, at.port, at.username)

    # what the web asks of it

    def mac_key(self, label: Label | str) -> bytes:
        """A key for one purpose (`csrf`, `cookie`, `audit`), derived from the master key."""
        return self.sealer.mac_key(label if isinstance(label, Label) else Label[label.upper()])

    @property
    def own_port(self) -> int | None:
        return self.addresses.own_port

    @own_port.setter
    def own_port(self, port: int) -> None:
        self.addresses.own_port = port

    @property
    def address(self) -> str:
        """What people type into a browser."""
        if self.settings.public_url:
            return self.settings.public_url.rstrip("/")
        host = self.settings.host
        if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
            host = net.lan_address() or "127.0.0.1"
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{self.own_port or self.settings.port}"


def _label_of(r: Reader, account_id: str, connection_id: str | None, session_id: str | None) -> str | None:
    """The name of the connection that an event is about, also of one that was deleted meanwhile."""
    if connection_id is None and session_id is not None:
        lease = lease_sql.find(r, session_id)
        connection_id = lease.connection_id if lease else None
    found = connection_id and connection_sql.find(r, account_id, connection_id, deleted=True)
    return found.label if found else None
