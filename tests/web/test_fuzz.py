"""schemathesis asks what no person would: no answer may be a fault of the box, or differ from the description."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.web.served import Make, new_connection

MUCH = 1_000_000
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.mark.long
async def test_the_api_answers_as_it_says_whatever_is_asked(make: Make, tmp_path: Path) -> None:
    served = await make(
        rate_test_per_minute=MUCH, rate_session_start_per_hour=MUCH, rate_pair_per_minute=MUCH,
        rate_failed_login_per_minute=MUCH, rate_request_per_minute=MUCH, rate_import_per_minute=MUCH,
    )  # fmt: skip
    script = await served.script()
    await new_connection(script)
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("schemathesis")), "run", f"{served.origin}/schema/openapi.json",
        "-H", f"Authorization: {script.headers['authorization']}", "--checks", CHECKS,
        # These two end the login that asks.
        "--exclude-path", "/api/v1/auth/session", "--exclude-path", "/api/v1/logins/{login_id}",
        "--max-examples", "20", "--workers", "2",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=tmp_path,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()[-6000:]
