"""Uploads in pieces: into a part beside the target, which takes its place once it is whole."""

import asyncio
import hashlib
import hmac
import secrets

from clawdbox.errors import Conflict, Invalid, NotFound
from clawdbox.events import Actor
from clawdbox.ids import new_id
from clawdbox.ssh.model import Lease
from clawdbox.ssh.model.files import Attributes, Existing, Found, UploadView
from clawdbox.ssh.rules import file_names as names
from clawdbox.ssh.rules import files as rules
from clawdbox.ssh.service.file_put import clear, keep_rights, minding_space, put, put_beside
from clawdbox.ssh.service.file_trail import FileTrail
from clawdbox.ssh.service.leases import Leases
from clawdbox.ssh.service.sftp_pool import SftpPool
from clawdbox.ssh.service.upload_pieces import AHEAD, Pieces
from clawdbox.ssh.wire.sftp import Sftp, SftpFailure
from clawdbox.store import Store

MAX_CHUNK = 4_194_304
MAX_PER_LEASE = 50
MAX_BEHIND = 16  # pieces that the whole box holds for servers; with more, each waits to be confirmed
# How much of a part that an earlier session left is sent again: all that may have been on its way.
_UNSURE = AHEAD * MAX_CHUNK


class _Upload:
    def __init__(self, upload_id: str, account_id: str, lease_id: str, path: bytes, size: int) -> None:
        self.id = upload_id
        self.account_id = account_id
        self.lease_id = lease_id
        self.path = path
        self.size = size
        self.part = b""
        self.pieces = Pieces()
        self.turn = asyncio.Lock()

    @property
    def view(self) -> UploadView:
        return UploadView(self.id, self.path, self.size, self.pieces.offset)


class Uploads:
    """Kept in memory, since they end with their lease; the part itself stays on the server.

    The same file sent to the same place over a later lease is known again by its part's name, which is made from the
    place, the size and what the sender tells of the file (`fingerprint`), with a key that only this box has.
    """

    def __init__(
        self, store: Store, trail: FileTrail, pool: SftpPool, leases: Leases, part_key: bytes
    ) -> None:
        self._clock = store.clock
        self._trail = trail
        self._pool = pool
        self._leases = leases
        self._key = part_key
        self._uploads: dict[str, _Upload] = {}
        leases.on_closing.append(self._forget)
        leases.users.append(self.is_used)

    def is_used(self, lease_id: str) -> bool:
        return any(upload.lease_id == lease_id for upload in self._uploads.values())

    async def list(self, account_id: str, lease_id: str) -> list[UploadView]:
        """Those of a lease that have not come to their end."""
        await self._leases.get(account_id, lease_id)
        return [upload.view for upload in self._uploads.values() if upload.lease_id == lease_id]

    async def begin(
        self,
        actor: Actor,
        account_id: str,
        lease_id: str,
        path: bytes,
        size: int,
        fingerprint: str,
        existing: Existing,
    ) -> UploadView:
        """Make the part, or find the one that an earlier try left; go on from `offset`.

        Raises Conflict `file_exists` when there is something at `path` and `existing` says to ask.
        """
        names.check_target(path)
        if size > rules.MAX_UPLOAD:
            raise Invalid("size", "The box takes no file of more than 8 TiB.")
        async with self._pool.use(account_id, lease_id) as hand:
            self._check_room(lease_id)
            upload = _Upload(new_id(self._clock.now()), account_id, lease_id, path, size)
            async with self._trail.told(actor, hand.lease, "file.upload", path, bytes=size) as told:
                await _check_target(hand.sftp, path, existing)
                await self._find_part(hand.sftp, upload, self._token(hand.lease, path, size, fingerprint))
                told["offset"] = upload.pieces.offset
            self._uploads[upload.id] = upload
            return upload.view

    async def write(
        self, account_id: str, lease_id: str, upload_id: str, offset: int, data: bytes
    ) -> UploadView:
        """Take a piece, and send it while the next may come: what goes wrong then is raised by the next call.

        Raises Conflict `upload_offset` with the right offset when another one was due.
        """
        upload = await self._get(account_id, lease_id, upload_id)
        async with upload.turn:
            await self._leases.up(account_id, lease_id)
            await upload.pieces.settle(AHEAD - 1)
            rules.check_offset(offset, len(data), upload.pieces.offset, upload.size)
            upload.pieces.begin(len(data), self._send(upload, offset, data))
            if sum(len(each.pieces) for each in self._uploads.values()) > MAX_BEHIND:
                await upload.pieces.settle()
            return upload.view

    async def finish(
        self, actor: Actor, account_id: str, lease_id: str, upload_id: str, existing: Existing
    ) -> tuple[bytes, Found]:
        """Give the whole file its place; returns where that is. After a refusal the upload is still there."""
        upload = await self._get(account_id, lease_id, upload_id)
        async with upload.turn:
            await upload.pieces.settle()  # before a turn on the channel is taken: the pieces need turns, too
            async with self._pool.use(account_id, lease_id) as hand:
                if upload.pieces.offset != upload.size:
                    raise Conflict(
                        "upload_incomplete", "Not all of the file is on the server yet. Send the rest.",
                        offset=upload.pieces.offset,
                    )  # fmt: skip
                async with self._trail.told(actor, hand.lease, "file.upload_finish", upload.path) as told:
                    path = await _place(hand.sftp, upload, existing)
                    told["placed"] = names.encode_path(path)
                self._uploads.pop(upload_id, None)
                return path, Found(names.base(path), await hand.sftp.lstat(path))

    async def cancel(self, actor: Actor, account_id: str, lease_id: str, upload_id: str) -> None:
        """Give it up, and take its part away."""
        upload = await self._get(account_id, lease_id, upload_id)
        async with upload.turn:
            await upload.pieces.drop()
            async with self._pool.use(account_id, lease_id) as hand:
                async with self._trail.told(actor, hand.lease, "file.upload_cancel", upload.path):
                    await clear(hand.sftp, upload.part)
                self._uploads.pop(upload_id, None)

    # inside

    async def _send(self, upload: _Upload, offset: int, data: bytes) -> None:
        async with (
            self._pool.use(upload.account_id, upload.lease_id) as hand,
            minding_space(hand.sftp, upload.part),
            hand.sftp.opened(upload.part, write=True) as file,
        ):
            await file.write(offset, data)

    async def _get(self, account_id: str, lease_id: str, upload_id: str) -> _Upload:
        await self._leases.get(account_id, lease_id)
        upload = self._uploads.get(upload_id)
        if upload is None or (upload.account_id, upload.lease_id) != (account_id, lease_id):
            raise NotFound
        return upload

    def _check_room(self, lease_id: str) -> None:
        if sum(upload.lease_id == lease_id for upload in self._uploads.values()) >= MAX_PER_LEASE:
            raise Conflict(
                "upload_limit_reached",
                f"{MAX_PER_LEASE} uploads of this session are not finished. Finish or cancel some first.",
            )

    def _token(self, lease: Lease, path: bytes, size: int, fingerprint: str) -> str:
        about = [lease.account_id.encode(), lease.connection_id.encode(), path, b"%d" % size]
        told = b"".join(len(part).to_bytes(4, "big") + part for part in [*about, fingerprint.encode()])
        return hmac.new(self._key, told, hashlib.sha256).hexdigest()[:16]

    async def _find_part(self, sftp: Sftp, upload: _Upload, token: str) -> None:
        upload.part = names.part_of(upload.path, token)
        if any(other.part == upload.part for other in self._uploads.values()):
            upload.part = names.part_of(upload.path, secrets.token_hex(8))  # it is being sent twice at once
        found = await sftp.find(upload.part)
        if found is not None:
            rules.check_regular(found)
            upload.pieces.offset = rules.resume_from(found.size or 0, upload.size, _UNSURE)
            return
        old = await sftp.find(upload.path)
        # What takes the place of a file must at no time be open to more people than that.
        mode = 0o600 if old is not None else None
        async with minding_space(sftp, upload.part), sftp.opened(upload.part, create=True, mode=mode):
            pass

    async def _forget(self, lease_id: str) -> None:
        for upload in [upload for upload in self._uploads.values() if upload.lease_id == lease_id]:
            upload.pieces.cancel()
            del self._uploads[upload.id]


async def _check_target(sftp: Sftp, path: bytes, existing: Existing) -> None:
    there = await sftp.find(path)
    if there is None or existing == "keep_both":
        return
    rules.check_replaceable(there)
    if existing == "ask":
        raise _exists(there)


def _exists(there: Attributes) -> Conflict:
    problem = rules.problem_of("exists")
    assert isinstance(problem, Conflict)
    problem.detail["size"] = there.size
    return problem


async def _place(sftp: Sftp, upload: _Upload, existing: Existing) -> bytes:
    await _settle(sftp, upload)
    if existing == "keep_both":
        return await put_beside(sftp, upload.part, upload.path)
    there = await sftp.find(upload.path)
    if there is not None:
        await _check_target(sftp, upload.path, existing)
        await keep_rights(sftp, upload.part, there)
    try:
        await put(sftp, upload.part, upload.path, replace=there is not None)
    except SftpFailure as failure:
        if failure.reason == "exists" and (now := await sftp.find(upload.path)) is not None:
            raise _exists(now) from None
        raise
    return upload.path


async def _settle(sftp: Sftp, upload: _Upload) -> None:
    """The part has exactly the bytes that were sent, on the disk."""
    async with minding_space(sftp, upload.part), sftp.opened(upload.part, write=True) as file:
        if ((await file.stat()).size or 0) > upload.size:
            await file.setstat(size=upload.size)
        if (await file.stat()).size != upload.size:
            upload.pieces.offset = 0
            raise Conflict(
                "upload_incomplete", "The part on the server was changed by somebody else. Send the file again.",
                offset=0,
            )  # fmt: skip
        await file.sync()
