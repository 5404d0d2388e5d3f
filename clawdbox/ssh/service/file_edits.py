"""A text file is read, changed by a person, and saved: never over somebody else's change, never half."""

import secrets

from clawdbox.errors import Invalid
from clawdbox.events import Actor
from clawdbox.ssh.model.files import Attributes, TextFile
from clawdbox.ssh.rules import file_names as names
from clawdbox.ssh.rules import files as rules
from clawdbox.ssh.service.file_put import clear, keep_rights, minding_space, put
from clawdbox.ssh.service.file_trail import FileTrail
from clawdbox.ssh.service.sftp_pool import SftpPool
from clawdbox.ssh.wire.sftp import Sftp, SftpFailure

_ONE_MORE = rules.MAX_TEXT + 1


class FileEdits:
    def __init__(self, trail: FileTrail, pool: SftpPool) -> None:
        self._trail = trail
        self._pool = pool

    async def place(self, account_id: str, lease_id: str, path: bytes) -> bytes:
        """Where a name leads, behind links; of what is not there yet, where it would be made."""
        async with self._pool.use(account_id, lease_id) as hand:
            try:
                return await hand.sftp.realpath(path)
            except SftpFailure:  # some servers know no place of what is not there
                folder, slash, name = path.rpartition(b"/")
                real = await hand.sftp.realpath(folder + slash or b".")
                return real.rstrip(b"/") + b"/" + name

    async def read(self, actor: Actor, account_id: str, lease_id: str, path: bytes) -> TextFile:
        """A text of at most 1 MiB, behind links. Raises Conflict `file_not_text`, TooLarge `file_too_large_to_edit`."""
        async with (
            self._pool.use(account_id, lease_id) as hand,
            self._trail.told(actor, hand.lease, "file.read_text", path) as told,
        ):
            real = await hand.sftp.realpath(path)
            data, attributes = await _read(hand.sftp, real)
            told["bytes"] = len(data)
            return TextFile(real, rules.as_text(data), rules.version_of(data, attributes), attributes)

    async def save(
        self,
        actor: Actor,
        account_id: str,
        lease_id: str,
        path: bytes,
        text: str,
        version: str,
        *,
        in_place: bool = False,
    ) -> TextFile:
        """Save a text that was read as `version`; with an empty one, make a new file.

        Raises Conflict: `file_changed` (with the version that is there now), `file_in_place_only` (ask the person, then
        come again with `in_place`), `file_exists`. The old file stays whole until the new one takes its place.
        """
        data = _bytes_of(text)
        names.check_target(path)
        async with (
            self._pool.use(account_id, lease_id) as hand,
            self._trail.told(actor, hand.lease, "file.save_text", path, bytes=len(data), in_place=in_place),
        ):
            saving = _Saving(hand.sftp, data)
            if not version:
                real = path
                await saving.anew(real)
            else:
                real = await hand.sftp.realpath(path)
                await saving.over(real, version, in_place)
            now = await hand.sftp.stat(real)
            return TextFile(real, text, rules.version_of(data, now), now)


class _Saving:
    def __init__(self, sftp: Sftp, data: bytes) -> None:
        self._sftp = sftp
        self._data = data

    async def anew(self, path: bytes) -> None:
        part = names.part_of(path, secrets.token_hex(6))
        try:
            await self._write_part(part, None)
            await put(self._sftp, part, path, replace=False)
        except BaseException:
            await clear(self._sftp, part)
            raise

    async def over(self, path: bytes, version: str, in_place: bool) -> None:
        attributes = await self._check(path, version)
        if in_place:
            await self._into(path)
        else:
            await self._beside(path, version, attributes)

    async def _check(self, path: bytes, version: str) -> Attributes:
        data, attributes = await _read(self._sftp, path)
        now = rules.version_of(data, attributes)
        if not rules.same_content(now, version):
            raise rules.changed(now)
        return attributes

    async def _beside(self, path: bytes, version: str, old: Attributes) -> None:
        part = names.part_of(path, secrets.token_hex(6))
        try:
            await self._prepare(part, old)
            await self._check(path, version)  # once more, right before: writing may have taken a while
            await put(self._sftp, part, path, replace=True)
        except BaseException:
            await clear(self._sftp, part)
            raise

    async def _prepare(self, part: bytes, old: Attributes) -> None:
        try:
            await self._write_part(part, 0o600)
        except SftpFailure as failure:
            if failure.reason != "denied":
                raise
            raise rules.needs_in_place("This folder takes no new file from this user.") from None
        if not await keep_rights(self._sftp, part, old):
            raise rules.needs_in_place("A new file would belong to another user than this one does.")

    async def _write_part(self, part: bytes, mode: int | None) -> None:
        async with (
            minding_space(self._sftp, part),
            self._sftp.opened(part, create=True, mode=mode) as file,
        ):
            await file.write(0, self._data)
            await file.sync()

    async def _into(self, path: bytes) -> None:
        """Written over first, then cut to its length: at no moment the file is empty."""
        async with minding_space(self._sftp, path), self._sftp.opened(path, write=True) as file:
            await file.write(0, self._data)
            await file.setstat(size=len(self._data))
            await file.sync()


async def _read(sftp: Sftp, path: bytes) -> tuple[bytes, Attributes]:
    rules.check_regular(await sftp.lstat(path))
    async with sftp.opened(path) as file:
        attributes = await file.stat()
        rules.check_regular(attributes)
        return await file.read_all(_ONE_MORE), attributes


def _bytes_of(text: str) -> bytes:
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise Invalid("text", "This text has half characters in it. Remove them.") from None
    if len(data) > rules.MAX_TEXT:
        raise Invalid("text", "A text has at most 1 MiB here. Upload a larger one as a file.")
    return data
