"""The runtime and its gateways with a real store, and nothing else of a box: no leases, no control sockets."""

from pathlib import Path
from typing import Any, cast

from clawdbox.agents.runtimes.openclaw import Gateways, OpenClaw
from clawdbox.events import Ledger
from clawdbox.ids import new_id
from clawdbox.settings import Settings
from clawdbox.ssh.service.control_sockets import ControlSockets
from clawdbox.store import Store
from clawdbox.vault import Sealer
from clawdbox.vault.secret import Secret

_KEY = "00000000000000aa"
NOBODY = cast("Any", None)


class House:
    """What a gateway runs through a control socket is tested with a real one."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        ledger, sealer = Ledger(b"k" * 32), Sealer("instance", _KEY, {_KEY: Secret(b"m" * 32)})
        sockets = ControlSockets(store, ledger, Settings(control_sockets=False), NOBODY, folder)
        self.account_id = new_id(store.clock.now())
        self.own_port: int | None = None
        self.gateways = Gateways(store, ledger, sealer, NOBODY, NOBODY, lambda: self.own_port)
        self.openclaw = OpenClaw(self.gateways, NOBODY, sockets)

    async def settle(self) -> None:
        row = {"id": self.account_id, "display_name": "Somebody"}
        await self._store.write(lambda tx: tx.insert("accounts", row))
