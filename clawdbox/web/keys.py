"""`/keys`: the keypairs with which the box enters servers."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Response, delete, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody, QueryParameter

from clawdbox.keys.model import Keypair
from clawdbox.keys.rules import install_command
from clawdbox.web.fields import Label, PathId
from clawdbox.web.problems import usual
from clawdbox.web.visit import Req, at


class KeypairView(msgspec.Struct, frozen=True):
    id: str
    label: str
    fingerprint: str
    public_key: str
    algorithm: str
    created_at: datetime
    is_active: bool
    rotated_at: datetime | None
    revoked_at: datetime | None
    state: str


class KeypairList(msgspec.Struct, frozen=True):
    keypairs: list[KeypairView]


class OneKeypair(msgspec.Struct, frozen=True):
    keypair: KeypairView


class InstallCommand(msgspec.Struct, frozen=True):
    command: str
    public_key: str
    fingerprint: str


class KeypairRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    label: Label | None = None


NOTHING_GIVEN = KeypairRequest()


@get("/keys", summary="Keypairs", responses=usual())
async def list_keys(request: Req) -> KeypairList:
    """All of the account, revoked ones too. Private halves never leave the box."""
    box, who = at(request)
    return KeypairList([view(keypair) for keypair in await box.keys.list(who.account_id)])


@post(
    "/keys",
    opt={"action": "keypair.create"},
    summary="Make a keypair",
    responses=usual(422)
    | {200: ResponseSpec(OneKeypair, generate_examples=False, description="It was there already.")},
)
async def create_key(request: Req, data: JSONBody[KeypairRequest] = NOTHING_GIVEN) -> Response[OneKeypair]:
    """A new Ed25519 keypair (201), or the living one of that label (200). Without a label: `default`."""
    box, who = at(request)
    keypair, created = await box.keys.create(who.actor, who.account_id, data.label)
    return Response(OneKeypair(view(keypair)), status_code=201 if created else 200)


@get("/keys/{keypair_id:str}/install-command", summary="How to let a key in", responses=usual(404))
async def key_install_command(request: Req, keypair_id: PathId) -> InstallCommand:
    """One line for the server's shell that adds the public key to `~/.ssh/authorized_keys`."""
    box, who = at(request)
    keypair = await box.keys.get(who.account_id, keypair_id)
    return InstallCommand(install_command(keypair.public_key), keypair.public_key, keypair.fingerprint)


@delete(
    "/keys/{keypair_id:str}",
    status_code=200,
    opt={"action": "keypair.revoke"},
    summary="Revoke a keypair",
    responses=usual(
        404, 422, s409="Sessions use it (`keypair_in_use`, with `session_ids`), or `keypair_revoked`."
    ),
)
async def revoke_key(
    request: Req,
    keypair_id: PathId,
    force: Annotated[
        bool, QueryParameter(description="Revoke at once and end the sessions that use it.")
    ] = False,
) -> OneKeypair:
    """Takes the key out of use for good."""
    box, who = at(request)
    return OneKeypair(view(await box.keys.revoke(who.actor, who.account_id, keypair_id, force=force)))


def view(keypair: Keypair) -> KeypairView:
    return KeypairView(
        id=keypair.id,
        label=keypair.label,
        fingerprint=keypair.fingerprint,
        public_key=keypair.public_key,
        algorithm=keypair.algorithm,
        created_at=keypair.created_at,
        is_active=keypair.is_active,
        rotated_at=keypair.rotated_at,
        revoked_at=keypair.revoked_at,
        state=keypair.state.value,
    )
