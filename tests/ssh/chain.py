"""Real servers one behind the other: a bastion and what is reached through it, each with its own home and host key."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import msgspec

from clawdbox.ssh.model import Connection, TestOutcome
from tests.ssh.sshd import Sshd
from tests.ssh.world import World, problem_of


@dataclass
class Chain:
    """`world.connection` is the bastion; `inner` lies behind it, and `third` behind `inner`."""

    world: World
    servers: dict[str, Sshd]
    connections: dict[str, Connection]

    @classmethod
    async def make(cls, world: World, folder: Path, depth: int = 2) -> Self:
        chain = cls(world, {"bastion": world.server}, {"bastion": world.connection})
        before = "bastion"
        for name in ("inner", "third")[: depth - 1]:
            server = Sshd(folder / name).start()
            server.authorize(world.key.public_key)
            chain.servers[name] = server
            chain.connections[name] = await chain.save(name, server, before)
            before = name
        return chain

    def stop(self) -> None:
        for name, server in self.servers.items():
            if name != "bastion":
                server.stop()

    async def save(self, label: str, server: Sshd, jump: str | None, **more: Any) -> Connection:
        where = {"host": server.host, "port": server.port, "username": server.username, **more}
        return await self.world.box.connections.create(
            self.world.me,
            self.world.owner,
            label=label,
            keypair_id=None,
            jump_connection_id=self.connections[jump].id if jump else None,
            **where,
        )

    async def test(self, name: str, fingerprint: str | None = None) -> TestOutcome:
        return await self.world.box.connections.test(
            self.world.me,
            self.world.owner,
            self.connections[name].id,
            accept_host_key=fingerprint is not None,
            fingerprint=fingerprint,
        )

    async def pin(self, *names: str) -> None:
        """Test each as a person does: see the key, compare it with the server's own, accept it."""
        for name in names:
            shown = (await problem_of(self.test(name))).detail["new_fingerprint"]
            assert shown == self.servers[name].fingerprint(), f"{name} was shown its own key"
            outcome = await self.test(name, shown)
            assert outcome.result == "ok", msgspec.to_builtins(outcome)

    async def now(self, name: str) -> Connection:
        return await self.world.box.connections.get(self.world.owner, self.connections[name].id)
