"""`/host-authorities`: whose host certificates are trusted, and which host keys are trusted no more."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import delete, get, post
from litestar.params import JSONBody

from clawdbox.ssh.model import HostAuthority, MarkKind
from clawdbox.web.fields import PathId
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at


class HostAuthorityView(msgspec.Struct, frozen=True):
    id: str
    kind: str
    label: str
    patterns: str
    key_type: str
    public_key: str
    fingerprint: str
    created_at: datetime


class HostAuthorityList(msgspec.Struct, frozen=True):
    host_authorities: list[HostAuthorityView]


class OneHostAuthority(msgspec.Struct, frozen=True):
    host_authority: HostAuthorityView


class NewHostAuthority(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`kind` is `authority` for what signs host certificates, `revoked` for a key that is trusted no more."""

    public_key: Annotated[
        str,
        msgspec.Meta(
            max_length=20_000,
            description="The line of a .pub file, or a line of known_hosts with its marker and patterns.",
            examples=[
                "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGLxBoOtFuPVmnsOgnvkqW8b3Zz1wKKOWAWqiQI0iAXY home-ca"
            ],
        ),
    ]
    patterns: Annotated[
        str,
        msgspec.Meta(
            max_length=1024,
            description="For which hosts, as in known_hosts; `*` and `?` stand for any characters.",
            examples=["*.lan,!old.lan"],
        ),
    ] = ""
    label: Annotated[
        str, msgspec.Meta(max_length=256, description="A name as people write them.", examples=["Home CA"])
    ] = ""
    kind: Literal["authority", "revoked"] = "authority"


@get("/host-authorities", summary="Host certificate authorities", responses=usual())
async def list_host_authorities(request: Req) -> HostAuthorityList:
    """All that are in force, revoked host keys too."""
    box, who = at(request)
    return HostAuthorityList([view(one) for one in await box.host_authorities.list(who.account_id)])


@post(
    "/host-authorities",
    opt={"action": "host_authority.add"},
    summary="Trust a host certificate authority",
    responses=usual(
        422,
        s409="It is there already (`authority_exists`), or there are too many (`authority_limit_reached`).",
    ),
)
async def add_host_authority(request: Req, data: JSONBody[NewHostAuthority]) -> OneHostAuthority:
    """A server that shows a valid host certificate of this authority needs no pin of its own."""
    box, who = at(request)
    added = await box.host_authorities.add(
        who.actor, who.account_id, MarkKind(data.kind), data.label, data.patterns, data.public_key
    )
    return OneHostAuthority(view(added))


@delete(
    "/host-authorities/{authority_id:str}",
    status_code=200,
    opt={"action": "host_authority.remove"},
    summary="Trust it no more",
    responses=usual(404),
)
async def remove_host_authority(request: Req, authority_id: PathId) -> OneHostAuthority:
    """From the next dial on. Connections that were trusted by it alone must be tested again."""
    box, who = at(request)
    return OneHostAuthority(view(await box.host_authorities.remove(who.actor, who.account_id, authority_id)))


def view(authority: HostAuthority) -> HostAuthorityView:
    return HostAuthorityView(
        id=authority.id,
        kind=authority.kind.value,
        label=authority.label,
        patterns=authority.patterns,
        key_type=authority.key_type,
        public_key=authority.public_key,
        fingerprint=authority.fingerprint,
        created_at=authority.created_at,
    )
