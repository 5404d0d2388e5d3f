"""The admin socket tells what is wrong with the box from what is wrong with a request; a name stands for one account."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from clawdbox.admin import AdminSocket, perform
from clawdbox.app import Box
from clawdbox.errors import Conflict
from clawdbox.events import sql
from clawdbox.events.wire import AUDIT_FILE, last_line
from tests.waiting import eventually


@pytest.fixture
async def admin(box: Box) -> AsyncIterator[AdminSocket]:
    socket = AdminSocket(box, {})
    await socket.start()
    yield socket
    await socket.stop()


async def ask(admin: AdminSocket, line: bytes) -> dict[str, object]:
    reader, writer = await asyncio.open_unix_connection(admin.path)
    writer.write(line + b"\n")
    answer: dict[str, object] = msgspec.json.decode(await reader.readline())
    writer.close()
    return answer


async def test_a_forged_line_in_the_audit_file_is_found_by_verify(box: Box, admin: AdminSocket) -> None:
    """Case 24."""
    file = box.data_dir / AUDIT_FILE
    rows = await box.store.read(sql.last_issued_audit_id)
    await eventually(lambda: (last_line(file) or (0,))[0] == rows, what="every row is in the file")
    with file.open("a") as out:
        out.write("forged\n")
    answer = await ask(admin, b'{"verb": "audit.verify"}')
    assert answer["ok"] is True
    result = msgspec.convert(answer["result"], dict[str, int | str])
    assert (result["first_bad"], result["reason"]) == (result["rows"], "audit.jsonl ends in no audit row")


@pytest.mark.parametrize(
    "line", [b"\xff", b'{"verb": "\xff"}', b'{"verb": ' + b"[" * 50_000, b'{"x": ' + b"[" * 50_000]
)
async def test_what_is_no_request_is_called_that(admin: AdminSocket, line: bytes) -> None:
    problem = (await ask(admin, line))["problem"]
    assert isinstance(problem, dict)
    assert problem["code"] == "invalid_input"


@pytest.mark.parametrize("name", ["René", "Rene\u0301", " René "])
async def test_a_name_stands_for_one_account_however_it_is_written(box: Box, name: str) -> None:
    await perform(box, "account.create", {"name": "René"})
    with pytest.raises(Conflict):
        await perform(box, "account.create", {"name": name})


async def test_a_name_is_no_other_accounts_id(box: Box) -> None:
    with pytest.raises(Conflict):
        await perform(box, "account.create", {"name": box.owner.id})
