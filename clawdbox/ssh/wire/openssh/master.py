"""The master itself: `ssh -N -o ControlMaster=yes` as a child of the box, its key on tmpfs only until it is up."""

import asyncio
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress

from clawdbox.ssh.wire.local_pipes import Pipes
from clawdbox.ssh.wire.model import Pin, Target
from clawdbox.ssh.wire.openssh.folder import Folder, ssh_program
from clawdbox.ssh.wire.openssh.process import Log

_UP = "Entering interactive session"
_GONE_PATIENCE_S = 0.25
_CLOSE_PATIENCE_S = 2.0


class Master:
    """`log` has what ssh says of the connection; `closed` is set when the process has ended."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.log = Log(folder.log)
        self.program = ssh_program() or "ssh"
        self.username = ""
        self._process = Pipes(lambda _data, _is_stderr: None, lambda _room: None)
        self._pid: int | None = None
        self._sessions = 0
        self._watching: asyncio.Task[None] | None = None

    async def start(self, target: Target, address: str, pin: Pin, keepalive: tuple[float, int]) -> None:
        """Spawn it; `log_in` waits for what comes of it."""
        self.username = target.username
        argv = [*_dying_with_us(), self.program, *_options(self.folder, target, address, pin, keepalive)]
        env = {**self.env, "CLAWDBOX_PIN": pin.fingerprint or "-", "CLAWDBOX_SEEN": str(self.folder.seen)}
        self._pid = await self._process.spawn(argv, env, self.folder.path)

    async def log_in(self) -> bool:
        """True when it is up; then nothing of the key is left. False when it gave up: `log` says why."""
        try:
            return await self.log.says(_UP)
        finally:
            self.folder.forget_key()

    @property
    def env(self) -> dict[str, str]:
        """No agent, no home, no questions, and the C locale, since its words are read."""
        return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder.path), "LC_ALL": "C"}

    def session(self, command: str | None, terminal: bool, env: Mapping[str, str]) -> tuple[list[str], Log]:
        """The process of one session, and its own log. It dials nothing should the master be gone."""
        self._sessions += 1
        log = Log(self.folder.path / f"log-{self._sessions}")
        argv = [
            self.program, "-F", "none", "-S", str(self.folder.control), "-o", "ProxyCommand=/bin/false",
            "-o", "LogLevel=DEBUG2", "-E", str(log.path), "-e", "none",
            "-o", f"SendEnv={' '.join(env)}", "-tt" if terminal else "-T", "--", "lease",
        ]  # fmt: skip
        return ([*argv, command] if command is not None else argv), log

    def watch(self, on_end: Callable[[str], None]) -> None:
        """Tell the end of the process, with its last words."""

        async def until_its_end() -> None:
            await self._process.exited.wait()
            await self.log.ended.wait()
            self._process.close()
            self.folder.remove()
            on_end(self.log.text)

        self._watching = asyncio.ensure_future(until_its_end())

    async def lives(self) -> bool:
        """Whether the connection still stands, a moment after one of its sessions has ended."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.exited.wait(), _GONE_PATIENCE_S)
        return not self.is_closed()

    # What `Link` asks of its connection

    def is_closed(self) -> bool:
        return self._process.exited.is_set()

    def close(self) -> None:
        self._signal(15)

    def abort(self) -> None:
        self._signal(9)

    async def wait_closed(self) -> None:
        await self._process.exited.wait()
        self._process.close()
        self.log.close()
        self.folder.remove()

    async def drop(self) -> None:
        """End one that did not come up."""
        self.abort()
        if self._pid is not None:
            await self.wait_closed()
        self.log.close()
        self.folder.remove()

    def _signal(self, number: int) -> None:
        if self._pid is not None and not self._process.exited.is_set():
            with suppress(ProcessLookupError):
                os.kill(self._pid, number)


def _dying_with_us() -> list[str]:
    """So that no connection stays behind when the box is killed; without util-linux, `sweep` ends it at the next start."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


def _options(
    folder: Folder, target: Target, address: str, pin: Pin, keepalive: tuple[float, int]
) -> list[str]:
    """Nothing from this machine's own configuration; `address` is the one that was judged."""
    options = {
        "ControlMaster": "yes",
        "ControlPath": folder.control,
        "ControlPersist": "no",
        "HostName": address.replace("%", "%%"),  # fe80::1%eth0: ssh expands % in here
        "HostKeyAlias": target.host,
        "Port": target.port,
        "IdentityFile": folder.key,
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "PreferredAuthentications": "publickey",
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": "none",
        "GlobalKnownHostsFile": "none",
        "KnownHostsCommand": f"{folder.pin_script} %H %f %t %K",
        "VerifyHostKeyDNS": "no",
        "UpdateHostKeys": "no",
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "ClearAllForwardings": "yes",
        "PermitLocalCommand": "no",
        "SendEnv": "*",  # what a session was given; the master has none of its own
        "ServerAliveInterval": max(1, round(keepalive[0])),
        "ServerAliveCountMax": keepalive[1],
        "LogLevel": "DEBUG1",
    }
    if pin.key_type:
        options["HostKeyAlgorithms"] = f"^{_algorithms(pin.key_type)}"
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return ["-F", "none", "-E", str(folder.log), *words, "-N", "-T", "-l", target.username, "--", target.host]


def _algorithms(key_type: str) -> str:
    return "rsa-sha2-512,rsa-sha2-256" if key_type == "ssh-rsa" else key_type
