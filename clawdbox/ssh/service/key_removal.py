"""Taking the box's key off a server, and saying whether that worked."""

import asyncio

from clawdbox.errors import Conflict
from clawdbox.keys import rules as key_rules
from clawdbox.keys import sql as key_sql
from clawdbox.keys.model import Keypair
from clawdbox.ssh.model import Connection, KeyRemoval
from clawdbox.ssh.service.dialling import Dialler
from clawdbox.ssh.service.ways import pinned_key, way_to
from clawdbox.ssh.sql import connections as sql
from clawdbox.ssh.wire.dial import DialFailure
from clawdbox.ssh.wire.execs import run
from clawdbox.ssh.wire.link import Link
from clawdbox.ssh.wire.model import ChannelRefused, LinkLost
from clawdbox.store import Store

NOT_ASKED = KeyRemoval(False, None, "The key stays on the server.")
_BY_HAND = "Remove its line from ~/.ssh/authorized_keys there by hand, or revoke the key."
_TIMEOUT_S = 15.0


async def take_key_off(store: Store, dialler: Dialler, connection: Connection) -> KeyRemoval:
    keypair, twins = await store.read(
        lambda r: (key_sql.get(r, connection.account_id, connection.keypair_id), sql.twins(r, connection))
    )
    if twins:
        return KeyRemoval(False, None, "The key stays on the server: another saved connection enters by it.")
    if connection.host_key_fingerprint is None and connection.host_authority_id is None:
        return KeyRemoval(
            False, None, "The server's host key was never accepted, so the box did not log in to it."
        )
    try:
        way = await store.read(lambda r: way_to(r, connection, keypair, pinned_key(connection)))
        async with asyncio.timeout(_TIMEOUT_S * len(way)):
            link = await dialler.dial(way)
            try:
                return await remove_line(link, keypair)
            finally:
                await link.close()
    except (DialFailure, Conflict) as failure:
        return KeyRemoval(True, False, f"The key is still on the server: {failure.message} {_BY_HAND}")
    except TimeoutError:
        return KeyRemoval(
            True, False, f"The key is still on the server: it took too long to answer. {_BY_HAND}"
        )


async def remove_line(link: Link, keypair: Keypair) -> KeyRemoval:
    command = key_rules.remove_command(keypair.public_key)
    try:
        result = await run(link, command, timeout_s=_TIMEOUT_S, max_output_bytes=4096)
    except (LinkLost, ChannelRefused):
        return KeyRemoval(
            True, None, f"The link broke in between, so nobody knows whether the key is gone. {_BY_HAND}"
        )
    if result.exit_status == 0 and b"removed" in result.stdout:
        return KeyRemoval(True, True, "The key was taken off the server.")
    if result.exit_status == 0 and b"absent" in result.stdout:
        return KeyRemoval(True, False, f"The key was not found in ~/.ssh/authorized_keys there. {_BY_HAND}")
    return KeyRemoval(True, False, f"The server refused the change. {_BY_HAND}")
