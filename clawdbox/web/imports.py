"""`/connections/import`: a pasted ssh_config and known_hosts, first shown, then saved."""

from typing import Annotated

import msgspec
from litestar import post
from litestar.params import JSONBody

from clawdbox.accounts import Principal
from clawdbox.ssh.model import ImportMark, ImportRow
from clawdbox.ssh.service.imports import Choice, Pasted
from clawdbox.web.box import Box
from clawdbox.web.connections import ConnectionView
from clawdbox.web.connections import view as connection_view
from clawdbox.web.fields import Fingerprint, Label
from clawdbox.web.host_authorities import HostAuthorityView
from clawdbox.web.host_authorities import view as authority_view
from clawdbox.web.limits import Limits, check
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at

Config = Annotated[
    str,
    msgspec.Meta(
        max_length=262_144,
        description="The text of an ssh_config. Nothing that it names is opened or run.",
        examples=["Host nas\n  HostName nas.lan\n  User bob\n"],
    ),
]
KnownHosts = Annotated[
    str,
    msgspec.Meta(
        max_length=524_288,
        description="The text of a known_hosts.",
        examples=[
            "nas.lan ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGLxBoOtFuPVmnsOgnvkqW8b3Zz1wKKOWAWqiQI0iAXY\n"
        ],
    ),
]
DefaultUsername = Annotated[
    str,
    msgspec.Meta(max_length=64, description="Who is meant where the file names no user.", examples=["bob"]),
]
RowName = Annotated[str, msgspec.Meta(max_length=1024, description="A row's `name`.", examples=["nas"])]


class ImportPreviewRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    config: Config = ""
    known_hosts: KnownHosts = ""
    default_username: DefaultUsername = ""


class ChosenRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: RowName
    label: Label | None = None


class ImportRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same texts as for the preview, and what was chosen from it: rows by name, marks by fingerprint."""

    config: Config = ""
    known_hosts: KnownHosts = ""
    default_username: DefaultUsername = ""
    rows: Annotated[list[ChosenRow], msgspec.Meta(max_length=1000)] = []
    host_authorities: Annotated[list[Fingerprint], msgspec.Meta(max_length=100)] = []


class ImportHostKey(msgspec.Struct, frozen=True):
    fingerprint: str
    type: str


class ImportRowView(msgspec.Struct, frozen=True):
    """`jump` is another row's name. `implied` rows are jump hosts that the file names nowhere else. A row with a `problem`
    cannot be saved; one with `same_as` is there already."""

    name: str
    label: str
    host: str
    port: int
    username: str
    jump: str | None
    host_key: ImportHostKey | None
    same_as: str | None
    same_as_label: str | None
    implied: bool
    notes: list[str]
    problem: str | None


class ImportMarkView(msgspec.Struct, frozen=True):
    kind: str
    label: str
    patterns: str
    key_type: str
    fingerprint: str
    there: bool


class ImportPreview(msgspec.Struct, frozen=True):
    rows: list[ImportRowView]
    host_authorities: list[ImportMarkView]
    notes: list[str]


class ImportResult(msgspec.Struct, frozen=True):
    connections: list[ConnectionView]
    host_authorities: list[HostAuthorityView]


NOTHING = ImportPreviewRequest()
NOTHING_CHOSEN = ImportRequest()


@post(
    "/connections/import/preview",
    status_code=200,
    opt={"action": "connection.import"},
    summary="What an import would save",
    responses=usual(413, 422),
)
async def preview_import(request: Req, data: JSONBody[ImportPreviewRequest] = NOTHING) -> ImportPreview:
    """Reads the texts and saves nothing: each row with its jump host, its pinned key, and what was ignored and why."""
    box, who = _in_turn(request)
    pasted = Pasted(data.config, data.known_hosts, data.default_username)
    plan = await box.imports.preview(who.account_id, pasted)
    return ImportPreview(
        [_row(row) for row in plan.rows], [_mark(mark) for mark in plan.marks], list(plan.notes)
    )


@post(
    "/connections/import",
    opt={"action": "connection.import"},
    summary="Save servers from ssh_config",
    responses=usual(
        404,
        413,
        422,
        s409="A label is taken (`label_taken`), a chosen row cannot be saved (`import_impossible`), there is no key"
        " (`no_keypair`), or there are too many authorities (`authority_limit_reached`).",
    ),
)
async def import_connections(request: Req, data: JSONBody[ImportRequest] = NOTHING_CHOSEN) -> ImportResult:
    """All or nothing. Each is a draft until its test; a key from known_hosts is pinned, since it was trusted before."""
    box, who = _in_turn(request)
    imported = await box.imports.run(
        who.actor,
        who.account_id,
        Pasted(data.config, data.known_hosts, data.default_username),
        [Choice(row.name, row.label) for row in data.rows],
        data.host_authorities,
    )
    return ImportResult(
        [connection_view(connection, None) for connection in imported.connections],
        [authority_view(authority) for authority in imported.authorities],
    )


def _in_turn(request: Req) -> tuple[Box, Principal]:
    """Raises RateLimited: one account must not keep the others' imports waiting for ever."""
    box, who = at(request)
    limits: Limits = request.app.state["limits"]
    check(limits.imports, who.account_id, box.clock.monotonic())
    return box, who


def _row(row: ImportRow) -> ImportRowView:
    key = row.host_key
    return ImportRowView(
        name=row.name,
        label=row.label,
        host=row.host,
        port=row.port,
        username=row.username,
        jump=row.jump,
        host_key=ImportHostKey(key.fingerprint, key.type) if key else None,
        same_as=row.same_as,
        same_as_label=row.same_as_label,
        implied=row.implied,
        notes=list(row.notes),
        problem=row.problem,
    )


def _mark(mark: ImportMark) -> ImportMarkView:
    return ImportMarkView(mark.kind, mark.label, mark.patterns, mark.key_type, mark.fingerprint, mark.there)
