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

__all__ = ["make", "phone", "pytest_asyncio_loop_factories", "script", "served", "sshd", "stranger"]
