"""The folder of the control sockets: this user's alone, short enough, and empty of what a crash has left."""

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from clawdbox import logs
from clawdbox.ssh.rules import control

log = logs.get("ssh")


class ControlFolder:
    """Sockets are files `s-…`, one a lease; a link `c-…` for each connection leads to the one of its newest lease."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def prepare(cls, data_dir: Path, environment: Mapping[str, str] = os.environ) -> "ControlFolder | None":
        """None when there is no place that is short and private. The caller holds the instance lock."""
        runtime = environment.get("XDG_RUNTIME_DIR", "")
        for place in control.folders(os.fspath(data_dir.absolute()), runtime, os.geteuid()):
            folder = cls(Path(place))
            if folder._make():
                folder._sweep()
                return folder
        return None

    def socket(self, lease_id: str, name: str = "") -> Path:
        suffix = f".{control.short('n', name)[2:10]}" if name else ""
        return self.path / f"{control.short('s', lease_id)}{suffix}"

    def link(self, connection_id: str) -> Path:
        """The path that stays the same from lease to lease."""
        return self.path / control.short("c", connection_id)

    def point(self, connection_id: str, to: Path | None) -> None:
        """Lead a connection's path to a socket, or nowhere."""
        link = self.link(connection_id)
        if to is None:
            with suppress(FileNotFoundError):
                link.unlink()
            return
        fresh = link.with_name(f"{link.name}.new")
        with suppress(FileNotFoundError):
            fresh.unlink()
        fresh.symlink_to(to.name)
        fresh.replace(link)

    def unpoint(self, id_: str, from_: Path) -> None:
        """Lead an id's path nowhere, unless it leads to another socket by now."""
        with suppress(FileNotFoundError):
            if self.link(id_).readlink().name == from_.name:
                self.point(id_, None)

    def _make(self) -> bool:
        try:
            with suppress(FileExistsError):
                self.path.mkdir(mode=0o700)
            info = self.path.lstat()
        except OSError as error:
            log.info("ssh.control_folder", folder=str(self.path), error=str(error))
            return False
        return stat.S_ISDIR(info.st_mode) and info.st_uid == os.geteuid() and not info.st_mode & 0o077

    def _sweep(self) -> None:
        for entry in self.path.iterdir():
            if entry.name[:2] in ("s-", "c-") and not entry.is_dir():
                entry.unlink(missing_ok=True)
