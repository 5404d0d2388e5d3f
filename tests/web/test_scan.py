"""wapiti, a scanner that nobody here wrote, finds nothing of medium severity or more in a running box."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tree import ROOT
from tests.web.served import Make, new_connection

MUCH = 1_000_000
# Those that ask servers of the scanner's maker, guess passwords, or download lists of other products stay out.
MODULES = "cookieflags,crlf,csp,csrf,exec,file,htaccess,http_headers,ldap,methods,permanentxss,redirect,shellshock,sql,xss"
MEDIUM = 2
_ENVIRONMENT = ROOT / ".cache" / "scan"


def scanner() -> str:
    """Of a virtual environment of its own, since what it pins is not what the box runs with."""
    lock, program, stamp = ROOT / "requirements/scan.txt", _ENVIRONMENT / "bin/wapiti", _ENVIRONMENT / "stamp"
    if not stamp.is_file() or stamp.read_text() != lock.read_text():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(_ENVIRONMENT)], check=True)
        pip = [
            str(_ENVIRONMENT / "bin/python"),
            "-m",
            "pip",
            "install",
            "-qq",
            "--require-hashes",
            "--no-deps",
        ]
        subprocess.run([*pip, "-r", str(lock)], check=True, capture_output=True)
        stamp.write_text(lock.read_text())
    return str(program)


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_scanner_finds_nothing_of_medium_severity(make: Make, tmp_path: Path) -> None:
    program = await asyncio.to_thread(scanner)
    served = await make(
        static=ROOT / "clawdbox/web/static",
        rate_test_per_minute=MUCH, rate_session_start_per_hour=MUCH, rate_pair_per_minute=MUCH,
        rate_failed_login_per_minute=MUCH, rate_request_per_minute=MUCH, rate_import_per_minute=MUCH,
    )  # fmt: skip
    script = await served.script()
    await new_connection(script)
    report = tmp_path / "report.json"
    process = await asyncio.create_subprocess_exec(
        program, "-u", f"{served.origin}/", "--swagger", f"{served.origin}/schema/openapi.json",
        "-H", f"Authorization: {script.headers['authorization']}", "-m", MODULES,
        # These two end the login that asks.
        "-x", f"{served.origin}/api/v1/auth/session", "-x", f"{served.origin}/api/v1/logins/*",
        "--max-scan-time", "300", "--max-attack-time", "30", "--flush-session", "--no-bugreport",
        "--store-session", str(tmp_path), "--store-config", str(tmp_path), "-v", "0", "-f", "json", "-o", str(report),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()[-4000:]
    found = json.loads(report.read_text())
    assert found["infos"]["crawled_pages_nbr"] > 1, "it got in"
    worse = {
        name: [(one["method"], one["path"], one["info"]) for one in all_of_it if one["level"] >= MEDIUM]
        for name, all_of_it in {**found["vulnerabilities"], **found["anomalies"]}.items()
    }
    assert {name: some for name, some in worse.items() if some} == {}
