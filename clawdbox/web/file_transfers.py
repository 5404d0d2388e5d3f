"""Bytes of files: a download that a plain link starts and a browser resumes, and uploads in pieces."""

import asyncio
from contextlib import aclosing
from typing import Annotated, Any

import msgspec
from litestar import Litestar, Request, delete, get, patch, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody, QueryParameter
from litestar.response import Stream
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from clawdbox import logs
from clawdbox.errors import Problem
from clawdbox.ssh.model.files import Existing, UploadView
from clawdbox.ssh.rules import file_names as names
from clawdbox.ssh.rules import files as rules
from clawdbox.ssh.service.files import Download
from clawdbox.ssh.service.uploads import MAX_CHUNK
from clawdbox.web.fields import PathId
from clawdbox.web.file_views import FileName, FilePath, OneEntry, PathParameter, entry_view
from clawdbox.web.files import DENIED, GONE, LEASE, SERVER, SLOW
from clawdbox.web.guards import origin_refused
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at

log = logs.get("web")
_SANDBOX = "sandbox; default-src 'none'"


class Upload(msgspec.Struct, frozen=True):
    """`offset` bytes of `size` were taken. Send the next piece from there, of at most `max_piece` bytes."""

    id: str
    path: FilePath
    name: FileName
    size: Annotated[int, msgspec.Meta(examples=[10_485_760])]
    offset: Annotated[int, msgspec.Meta(examples=[4_194_304])]
    max_piece: Annotated[int, msgspec.Meta(examples=[MAX_CHUNK])]


class OneUpload(msgspec.Struct, frozen=True):
    upload: Upload


class UploadList(msgspec.Struct, frozen=True):
    uploads: list[Upload]


class NewUpload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: FilePath
    size: Annotated[int, msgspec.Meta(ge=0, le=2**43, examples=[1_048_576])]
    fingerprint: Annotated[
        str,
        msgspec.Meta(
            max_length=200,
            description="Whatever tells this file from another of that size, such as when it was changed: the same "
            "one goes on where an earlier session was cut off.",
            examples=["1763700000000"],
        ),
    ] = ""
    existing: Annotated[
        Existing, msgspec.Meta(description="What to do when there is something at `path` already.")
    ] = "ask"


class FinishUpload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    existing: Annotated[
        Existing, msgspec.Meta(description="What to do when there is something at `path` by now.")
    ] = "ask"


ASK = FinishUpload()


@get(
    "/sessions/{session_id:str}/files/content",
    opt={"unlimited": True},
    media_type="application/octet-stream",
    summary="Download a file",
    responses=usual(
        422,
        s403=DENIED,
        s404=GONE,
        s409=f"{LEASE}, `file_is_folder`, `file_not_regular`, `file_transfers_limit`.",
        s416="The file has fewer bytes than the range begins at (`range_not_satisfiable`).",
        s502=SERVER,
        s504=SLOW,
    )
    | {
        206: ResponseSpec(
            bytes,
            generate_examples=False,
            media_type="application/octet-stream",
            description="A range of it.",
        )
    },
)
async def download_file(request: Req, session_id: PathId, path: PathParameter = "/") -> Stream:
    """Always saved, never shown. `Range` (206) and `If-Range` resume it; a file that changes on the way is cut off."""
    # Strict cookies keep other sites out already; a browser that tells who asks is believed all the same.
    if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise origin_refused()
    box, who = at(request)
    raw = names.decode_path(path)
    asked, known = request.headers.get("range"), request.headers.get("if-range")
    return Attachment(await box.files.download(who.actor, who.account_id, session_id, raw, asked, known))


@post(
    "/sessions/{session_id:str}/files/uploads",
    opt={"action": "file.upload"},
    summary="Begin an upload",
    responses=usual(
        422,
        s403=DENIED,
        s404=GONE,
        s409=(
            f"{LEASE}, `file_exists`, `file_is_folder`, `file_is_link`, `file_not_regular`, `file_disk_full`, "
            "`upload_limit_reached`, `file_failed`."
        ),
        s502=SERVER,
        s504=SLOW,
    ),
)
async def begin_upload(request: Req, session_id: PathId, data: JSONBody[NewUpload]) -> OneUpload:
    """Bytes go into a part beside the target until `finish`. Begun again with the same file, it goes on."""
    box, who = at(request)
    path = names.decode_path(data.path)
    begun = await box.uploads.begin(
        who.actor, who.account_id, session_id, path, data.size, data.fingerprint, data.existing
    )
    return OneUpload(upload_view(begun))


@get("/sessions/{session_id:str}/files/uploads", summary="Unfinished uploads", responses=usual(404))
async def list_uploads(request: Req, session_id: PathId) -> UploadList:
    """Of this session, each with the offset to go on from."""
    box, who = at(request)
    return UploadList([upload_view(each) for each in await box.uploads.list(who.account_id, session_id)])


@patch(
    "/sessions/{session_id:str}/files/uploads/{upload_id:str}",
    opt={"action": "file.upload_piece", "raw": True, "unlimited": True},
    request_max_body_size=MAX_CHUNK,
    summary="Send a piece of an upload",
    responses=usual(
        404,
        422,
        s403=DENIED,
        s409=f"{LEASE}, `upload_offset` (`offset` is where to go on), `file_disk_full`, `file_failed`.",
        s502=SERVER,
        s504=SLOW,
    ),
)
async def send_piece(
    request: Req,
    session_id: PathId,
    upload_id: PathId,
    offset: Annotated[int, QueryParameter(ge=0, le=2**43, description="Where the piece belongs.")] = 0,
) -> OneUpload:
    """The body is the bytes themselves (`application/octet-stream`), at most 4 MiB. Sent twice, the offset tells.

    The answer may come while the server still writes. If that fails, the next piece or `finish` is refused with the
    reason, and the upload's offset is where to go on.
    """
    box, who = at(request)
    body = await request.body()
    return OneUpload(
        upload_view(await box.uploads.write(who.account_id, session_id, upload_id, offset, body))
    )


@post(
    "/sessions/{session_id:str}/files/uploads/{upload_id:str}/finish",
    status_code=200,
    opt={"action": "file.upload_finish"},
    summary="Finish an upload",
    responses=usual(
        404,
        422,
        s403=DENIED,
        s409=f"{LEASE}, `upload_incomplete`, `file_exists`, `file_is_folder`, `file_is_link`, `file_not_regular`, "
        "`file_disk_full`, `file_failed`.",
        s502=SERVER,
        s504=SLOW,
    ),
)
async def finish_upload(
    request: Req, session_id: PathId, upload_id: PathId, data: JSONBody[FinishUpload] = ASK
) -> OneEntry:
    """The whole file takes its place, in one step. After a refusal nothing is lost: finish again with another choice."""
    box, who = at(request)
    path, found = await box.uploads.finish(who.actor, who.account_id, session_id, upload_id, data.existing)
    return OneEntry(entry_view(names.parent(path), found))


@delete(
    "/sessions/{session_id:str}/files/uploads/{upload_id:str}",
    status_code=200,
    opt={"action": "file.upload_cancel"},
    summary="Cancel an upload",
    responses=usual(404, s403=DENIED, s409=f"{LEASE}.", s502=SERVER, s504=SLOW),
)
async def cancel_upload(request: Req, session_id: PathId, upload_id: PathId) -> UploadList:
    """Takes its part away from the server, and answers with the uploads that are left."""
    box, who = at(request)
    await box.uploads.cancel(who.actor, who.account_id, session_id, upload_id)
    return UploadList([upload_view(each) for each in await box.uploads.list(who.account_id, session_id)])


def upload_view(upload: UploadView) -> Upload:
    return Upload(
        id=upload.id,
        path=names.encode_path(upload.path),
        name=names.shown(names.base(upload.path)),
        size=upload.size,
        offset=upload.offset,
        max_piece=MAX_CHUNK,
    )


class Attachment(Stream):
    """A download as an answer."""

    def __init__(self, download: Download) -> None:
        super().__init__(content=[])
        self._download = download

    def to_asgi_response(
        self, app: Litestar | None, request: Request[Any, Any, Any], **_more: Any
    ) -> ASGIResponse:
        return _Sending(self._download)


class _Sending(ASGIResponse):
    """Stops reading when the browser goes away, and is cut short when the file was torn."""

    def __init__(self, download: Download) -> None:
        super().__init__()
        self._download = download

    def _headers(self) -> list[tuple[bytes, bytes]]:
        download = self._download
        span, size = download.span, download.attributes.size or 0
        headers = {
            "content-type": "application/octet-stream",
            "content-length": str(span.end - span.start),
            "content-disposition": names.disposition(names.base(download.path)),
            "content-security-policy": _SANDBOX,
            "accept-ranges": "bytes",
            "etag": rules.etag(download.path, download.attributes),
        }
        if span.partial:
            headers["content-range"] = f"bytes {span.start}-{span.end - 1}/{size}"
        return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.ensure_future(self._send(send))
        leaving = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            ends = await asyncio.gather(sending, leaving, return_exceptions=True)
            await self._close(ends[0])

    async def _send(self, send: Send) -> None:
        status = 206 if self._download.span.partial else 200
        await send({"type": "http.response.start", "status": status, "headers": self._headers()})
        async with aclosing(self._download.body()) as body:
            async for piece in body:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _close(self, end: BaseException | None) -> None:
        """An answer that has begun cannot become a problem any more: ended too early, it is cut by the server."""
        try:
            await self._download.close(end)
        except Problem as problem:
            log.warning("web.download_cut", problem=problem.code)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
