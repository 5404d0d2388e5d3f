"""Attacks are driven against a real box behind its real web server, as the tests of the web are."""

from tests.web.conftest import (
    make,
    phone,
    pytest_asyncio_loop_factories,
    script,
    served,
    sshd,
    stranger,
)
from tests.web.test_traces import (
    log,
)

__all__ = ["log", "make", "phone", "pytest_asyncio_loop_factories", "script", "served", "sshd", "stranger"]
