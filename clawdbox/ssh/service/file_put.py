"""Giving a new file its place on the server, in one step where the server can."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from clawdbox.errors import Conflict
from clawdbox.ssh.model.files import Attributes
from clawdbox.ssh.rules import file_names as names
from clawdbox.ssh.wire.sftp import Sftp, SftpFailure


async def put(sftp: Sftp, path: bytes, to: bytes, *, replace: bool) -> None:
    """Move `path` to `to`. Raises SftpFailure `exists` unless it may replace what is there."""
    if not replace:
        await _put_anew(sftp, path, to)
        return
    try:
        await sftp.replace(path, to)
    except SftpFailure as failure:
        if failure.reason != "unsupported":
            raise
        await _in_two_steps(sftp, path, to)


async def put_beside(sftp: Sftp, path: bytes, to: bytes) -> bytes:
    """The same under the first free name of `report.pdf`, `report (2).pdf` and so on; returns it."""
    for number in range(1, 100):
        chosen = names.numbered(to, number) if number > 1 else to
        try:
            await put(sftp, path, chosen, replace=False)
        except SftpFailure as failure:
            if failure.reason != "exists":
                raise
        else:
            return chosen
    raise SftpFailure("exists")


async def keep_rights(sftp: Sftp, part: bytes, old: Attributes) -> bool:
    """Give `part` the mode and the owner of the file that it replaces. False when the owner could not be kept."""
    async with sftp.opened(part, write=True) as file:
        now = await file.stat()
        kept = (now.uid, now.gid) == (old.uid, old.gid)
        if not kept and old.uid is not None and old.gid is not None:
            try:
                await file.setstat(owner=(old.uid, old.gid))
                kept = True
            except SftpFailure as failure:
                if failure.reason not in ("denied", "failed", "unsupported"):
                    raise
        if old.mode is not None:  # after the owner, since a change of that takes away set-user-id
            await file.setstat(mode=old.mode & (0o7777 if kept else 0o777))
    return kept


@asynccontextmanager
async def minding_space(sftp: Sftp, path: bytes) -> AsyncIterator[None]:
    """SFTP has no word for a full disk (version 3): when a write fails, ask how much room there is."""
    try:
        yield
    except SftpFailure as failure:
        if failure.reason == "failed" and await sftp.is_full(names.parent(path)):
            raise SftpFailure("no_space") from None
        raise


async def clear(sftp: Sftp, part: bytes) -> None:
    """Take a part away that came to nothing; where that fails, the folder shows it as a leftover."""
    with suppress(SftpFailure):
        await sftp.remove(part)


async def _put_anew(sftp: Sftp, path: bytes, to: bytes) -> None:
    if await sftp.find(to) is not None:  # some servers rename over what is there
        raise SftpFailure("exists")
    try:
        await sftp.rename(path, to)
    except SftpFailure as failure:
        if failure.reason not in ("failed", "unsupported"):
            raise
        await _put_after_a_look(sftp, path, to)


async def _put_after_a_look(sftp: Sftp, path: bytes, to: bytes) -> None:
    """For a disk without hard links, by which OpenSSH makes sure of not replacing anything."""
    if await sftp.find(to) is not None:
        raise SftpFailure("exists")
    await sftp.lstat(path)
    try:
        await sftp.replace(path, to)
    except SftpFailure as failure:
        if failure.reason not in ("failed", "unsupported"):
            raise
        raise Conflict(
            "file_failed",
            "The server refused and did not say why. If the other place is on another disk, copy it there with a "
            "command.",
        ) from None


async def _in_two_steps(sftp: Sftp, path: bytes, to: bytes) -> None:
    """Without posix-rename@openssh.com: what is there steps aside, and comes back if the new one cannot take its place."""
    old = names.old_of(to, path[-8:].hex())
    await sftp.rename(to, old)
    try:
        await sftp.rename(path, to)
    except SftpFailure:
        await sftp.rename(old, to)
        raise
    await sftp.remove(old)
