"""`/recordings`: what terminals showed, kept to be played again."""

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody, QueryParameter
from litestar.response import Stream

from clawdbox.errors import Invalid
from clawdbox.ssh.model.recordings import Recording, RecordingState
from clawdbox.ssh.rules.cast import MEDIA_TYPE
from clawdbox.web.fields import Label, PathId
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at

STATES = tuple(state.value for state in RecordingState if state is not RecordingState.DELETED)


class RecordingView(msgspec.Struct, frozen=True):
    """`why` is `asked` or `policy`. `cast_path` is the asciicast."""

    id: str
    connection_id: str
    session_id: str
    terminal_id: str
    title: str
    why: str
    state: str
    end_reason: str | None
    cols: int
    rows: int
    duration_ms: int | None
    size_bytes: int | None
    started_at: datetime
    ended_at: datetime | None
    cast_path: str


class OneRecording(msgspec.Struct, frozen=True):
    recording: RecordingView


class RecordingList(msgspec.Struct, frozen=True):
    """`used_bytes` of `allowed_bytes` are taken by the recordings of the whole box."""

    recordings: list[RecordingView]
    total: int
    used_bytes: int
    allowed_bytes: int


class RecordingPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: Label


@post(
    "/sessions/{session_id:str}/terminals/{terminal_id:str}/recording",
    opt={"action": "recording.start"},
    summary="Record a terminal",
    responses=usual(
        404,
        422,
        s409="`terminal_ended`, `already_recording` (with `recording_id`), `recording_forbidden`, `recordings_full`.",
    ),
)
async def start_recording(request: Req, session_id: PathId, terminal_id: PathId) -> OneRecording:
    """From now on, what it shows. What is typed is not recorded, unless the terminal shows it."""
    box, who = at(request)
    return OneRecording(view(await box.recordings.begin(who.actor, who.account_id, session_id, terminal_id)))


@get("/recordings", summary="Recordings", responses=usual(422))
async def list_recordings(
    request: Req,
    connection_id: Annotated[
        str | None, QueryParameter(description="Only those of this server.", max_length=64)
    ] = None,
    terminal_id: Annotated[
        str | None, QueryParameter(description="Only those of this terminal.", max_length=64)
    ] = None,
    status: Annotated[
        str | None, QueryParameter(description="`recording`, `done`, `cut` or `broken`.", max_length=16)
    ] = None,
    q: Annotated[str | None, QueryParameter(description="Words in the title.", max_length=256)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200, description="How many at most.")] = 50,
    offset: Annotated[int, QueryParameter(ge=0, le=1_000_000, description="How many to leave out.")] = 0,
) -> RecordingList:
    """The newest first."""
    box, who = at(request)
    page = await box.recordings.page(
        who.account_id,
        connection_id=connection_id,
        terminal_id=terminal_id,
        state=_state(status),
        words=q or None,
        limit=limit,
        offset=offset,
    )
    views = [view(recording) for recording in page.recordings]
    return RecordingList(views, page.total, page.used_bytes, page.allowed_bytes)


@get("/recordings/{recording_id:str}", summary="A recording", responses=usual(404))
async def get_recording(request: Req, recording_id: PathId) -> OneRecording:
    """One of the account's recordings."""
    box, who = at(request)
    return OneRecording(view(await box.recordings.get(who.account_id, recording_id)))


@patch(
    "/recordings/{recording_id:str}",
    opt={"action": "recording.rename"},
    summary="Rename a recording",
    responses=usual(404, 422),
)
async def rename_recording(
    request: Req, recording_id: PathId, data: JSONBody[RecordingPatch]
) -> OneRecording:
    """The title also stands in the asciicast."""
    box, who = at(request)
    return OneRecording(
        view(await box.recordings.rename(who.actor, who.account_id, recording_id, data.title))
    )


@post(
    "/recordings/{recording_id:str}/stop",
    status_code=200,
    opt={"action": "recording.stop"},
    summary="Stop recording",
    responses=usual(404, 422, s409="`recording_ended`, or the policy began it (`recording_by_policy`)."),
)
async def stop_recording(request: Req, recording_id: PathId) -> OneRecording:
    """The terminal goes on."""
    box, who = at(request)
    return OneRecording(view(await box.recordings.end(who.actor, who.account_id, recording_id)))


@delete(
    "/recordings/{recording_id:str}",
    status_code=200,
    opt={"action": "recording.delete"},
    summary="Delete a recording",
    responses=usual(404, 422, s409="It is still being recorded (`recording_running`)."),
)
async def delete_recording(request: Req, recording_id: PathId) -> OneRecording:
    """For good: first its key, then its file. Answers with what it was."""
    box, who = at(request)
    return OneRecording(view(await box.recordings.delete(who.actor, who.account_id, recording_id)))


@get(
    "/recordings/{recording_id:str}/cast",
    opt={"unlimited": True},
    summary="Play or export a recording",
    responses=usual(404, s409="Its file was changed or lost (`recording_damaged`).")
    | {
        200: ResponseSpec(
            str, generate_examples=False, description="An asciicast, version 2.", media_type=MEDIA_TYPE
        )
    },
)
async def play_recording(
    request: Req,
    recording_id: PathId,
    export: Annotated[
        bool, QueryParameter(description="Say in the audit trail that a copy was made.")
    ] = False,
) -> Response[Any]:
    """A header, then one event a line. Of one that still runs, what has reached the disk."""
    box, who = at(request)
    recording = await box.recordings.get(who.account_id, recording_id)
    chunks = await box.recordings.play(who.actor, who.account_id, recording_id, export=export)
    name = quote(f"{recording.title} {recording.started_at:%Y-%m-%d %H.%M}.cast", safe="")
    return Stream(
        chunks,
        media_type=MEDIA_TYPE,
        headers={"content-disposition": f"attachment; filename=\"recording.cast\"; filename*=UTF-8''{name}"},
    )


def view(recording: Recording) -> RecordingView:
    return RecordingView(
        id=recording.id,
        connection_id=recording.connection_id,
        session_id=recording.session_lease_id,
        terminal_id=recording.terminal_id,
        title=recording.title,
        why=recording.why,
        state=recording.state.value,
        end_reason=recording.end_reason,
        cols=recording.cols,
        rows=recording.rows,
        duration_ms=recording.duration_ms,
        size_bytes=recording.size_bytes,
        started_at=recording.started_at,
        ended_at=recording.ended_at,
        cast_path=f"/api/v1/recordings/{recording.id}/cast",
    )


def _state(text: str | None) -> RecordingState | None:
    if not text:
        return None
    if text not in STATES:
        raise Invalid("status", f"Choose one of {', '.join(STATES)}.")
    return RecordingState(text)
