"""`/snippets`: commands with named places for values, which are quoted and never spliced."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import delete, get, patch, post
from litestar.params import JSONBody

from clawdbox.ssh.model.fleet import Kind, Snippet, Variable
from clawdbox.ssh.service.snippets import preview
from clawdbox.web.fields import Label, PathId
from clawdbox.web.problems import FieldProblem, usual
from clawdbox.web.visit import Req, at

Text = Annotated[str, msgspec.Meta(max_length=4_096)]
Command = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=20_000,
        description="A shell command; `{{name}}` is the place of a variable.",
        examples=["systemctl restart -- {{service}}"],
    ),
]
Values = Annotated[
    dict[str, Text], msgspec.Meta(max_length=20, description="Name → value.", examples=[{"service": "nginx"}])
]
Description = Annotated[str, msgspec.Meta(max_length=500)]


class VariableBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`kind` says what a value may look like; `choices` only for `choice`."""

    name: Annotated[str, msgspec.Meta(max_length=32, examples=["service"])]
    kind: Literal["text", "name", "path", "number", "choice"] = "text"
    description: Annotated[str, msgspec.Meta(max_length=200)] = ""
    default: Text | None = None
    choices: Annotated[list[Text], msgspec.Meta(max_length=50)] = []


Variables = Annotated[list[VariableBody], msgspec.Meta(max_length=20)]


class SnippetView(msgspec.Struct, frozen=True):
    id: str
    label: str
    description: str
    command: str
    variables: list[VariableBody]
    created_at: datetime
    updated_at: datetime


class SnippetList(msgspec.Struct, frozen=True):
    snippets: list[SnippetView]


class OneSnippet(msgspec.Struct, frozen=True):
    snippet: SnippetView


class NewSnippet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    label: Label
    command: Command
    description: Description = ""
    variables: Variables = []


class SnippetPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Only what is given changes."""

    label: Label | None = None
    command: Command | None = None
    description: Description | None = None
    variables: Variables | None = None


class SnippetPreview(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    command: Command
    variables: Variables = []
    values: Values = {}


class PreviewView(msgspec.Struct, frozen=True):
    """`command` is what would be run; null while something is wrong. `used` are the names in its places."""

    command: str | None
    used: list[str]
    errors: list[FieldProblem]


@get("/snippets", summary="Snippets", responses=usual())
async def list_snippets(request: Req) -> SnippetList:
    """All of the account, by their labels."""
    box, who = at(request)
    return SnippetList([view(snippet) for snippet in await box.snippets.all_of(who.account_id)])


@post(
    "/snippets",
    opt={"action": "snippet.create"},
    summary="Keep a snippet",
    responses=usual(
        422, s409="The label is taken (`label_taken`), or there are 500 (`snippet_limit_reached`)."
    ),
)
async def create_snippet(request: Req, data: JSONBody[NewSnippet]) -> OneSnippet:
    """Refuses a place where a quoted value would be none: inside quotes, here-documents, code for another program."""
    box, who = at(request)
    snippet = await box.snippets.create(
        who.actor,
        who.account_id,
        label=data.label,
        description=data.description,
        command=data.command,
        variables=variables_of(data.variables),
    )
    return OneSnippet(view(snippet))


@post(
    "/snippets/preview",
    status_code=200,
    opt={"action": "snippet.preview", "viewer": True},
    summary="What a snippet would run",
    responses=usual(422),
)
async def preview_snippet(request: Req, data: JSONBody[SnippetPreview]) -> PreviewView:
    """For a snippet that is still being written: keeps nothing, runs nothing. What is wrong comes in `errors`."""
    at(request)
    command, used, problems = preview(data.command, variables_of(data.variables), data.values)
    return PreviewView(command, used, [FieldProblem(found.field, found.message) for found in problems])


@get("/snippets/{snippet_id:str}", summary="A snippet", responses=usual(404))
async def get_snippet(request: Req, snippet_id: PathId) -> OneSnippet:
    """With its variables in the order of its places."""
    box, who = at(request)
    return OneSnippet(view(await box.snippets.get(who.account_id, snippet_id)))


@patch(
    "/snippets/{snippet_id:str}",
    opt={"action": "snippet.update"},
    summary="Change a snippet",
    responses=usual(404, 422, s409="The label is taken (`label_taken`)."),
)
async def change_snippet(request: Req, snippet_id: PathId, data: JSONBody[SnippetPatch]) -> OneSnippet:
    """Command and variables must fit together afterwards."""
    box, who = at(request)
    snippet = await box.snippets.change(
        who.actor,
        who.account_id,
        snippet_id,
        label=data.label,
        description=data.description,
        command=data.command,
        variables=None if data.variables is None else variables_of(data.variables),
    )
    return OneSnippet(view(snippet))


@delete(
    "/snippets/{snippet_id:str}",
    status_code=200,
    opt={"action": "snippet.delete"},
    summary="Remove a snippet",
    responses=usual(404),
)
async def remove_snippet(request: Req, snippet_id: PathId) -> OneSnippet:
    """What was run with it stays in the history."""
    box, who = at(request)
    return OneSnippet(view(await box.snippets.remove(who.actor, who.account_id, snippet_id)))


def variables_of(bodies: list[VariableBody]) -> list[Variable]:
    return [
        Variable(body.name, Kind(body.kind), body.description, body.default, body.choices) for body in bodies
    ]


def view(snippet: Snippet) -> SnippetView:
    return SnippetView(
        snippet.id,
        snippet.label,
        snippet.description,
        snippet.command,
        [
            VariableBody(one.name, one.kind.value, one.description, one.default, one.choices)
            for one in snippet.variables
        ],
        snippet.created_at,
        snippet.updated_at,
    )
