"""Notifications by e-mail, to a real mail server: encrypted, signed in, and once with one id."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from clawdbox.notify.model import Email, Kind, Message, State
from clawdbox.notify.wire.send import Sender
from clawdbox.settings import Settings
from tests.waiting import eventually

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
MESSAGE = Message(
    "019b9d3c", Kind.SESSION_LOST, "Session on Bob’s NÄS ended", "The link was lost.", "/sessions/x", "t", False, 60, NOW
)  # fmt: skip


class Sink:
    """Keeps what it is sent; `says` replaces its answer to the mail, `refuses` to the recipient."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.logins: list[tuple[bytes, bytes]] = []
        self.says = "250 OK"
        self.refuses: str | None = None

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's names
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if self.refuses:
            return self.refuses
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        found = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(found, EmailMessage)
        self.mails.append(found)
        return self.says

    def authenticate(self, _server: Any, _session: Any, _envelope: Any, _how: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"right", handled=False)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 that signs itself, with its key behind it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    import ipaddress

    start = datetime.now(UTC) - timedelta(hours=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=2))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path_factory.mktemp("mail") / "mail.pem"
    path.write_bytes(pem)
    return path


@asynccontextmanager
async def mail_server(
    sink: Sink, certificate: Path, *, tls: bool = False, starttls: bool = False
) -> AsyncIterator[int]:
    """On the test's own loop, so that it ends when its last connection has."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    open_ones: set[SMTP] = set()

    class Talk(SMTP):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            open_ones.add(self)
            super().connection_made(transport)

        def connection_lost(self, error: Exception | None) -> None:
            super().connection_lost(error)
            open_ones.discard(self)

    def talk() -> SMTP:
        return Talk(
            sink,
            hostname="mail.example.com",
            authenticator=sink.authenticate,
            auth_require_tls=not tls,
            tls_context=context if starttls else None,
            require_starttls=starttls,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(talk, "127.0.0.1", 0, ssl=context if tls else None)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await eventually(lambda: not open_ones, what="the end of the connections")
        await server.wait_closed()


def mail(port: int, security: str, **more: Any) -> Email:
    known = {"host": "127.0.0.1", "port": port, "security": security, "username": "anna", "password": "right"}
    place = {"sender": "box@example.com", "to": "anna@example.com", "local": True}
    return Email(**{**known, **place, **more})


async def send(target: Email, certificate: Path | None) -> tuple[State, str | None]:
    async def key() -> ec.EllipticCurvePrivateKey:
        raise AssertionError("mail needs no push key")

    tls = ssl.create_default_context(cafile=str(certificate) if certificate else None)
    settings = Settings(notify_loopback=True, notify_timeout_s=5)
    outcome = await Sender(settings, key, tls).send(
        target, MESSAGE, address="https://box.example.com", own_port=None, now=NOW
    )
    return outcome.state, outcome.code


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_a_mail_arrives_encrypted_and_signed_in(certificate: Path, security: str) -> None:
    sink = Sink()
    async with mail_server(sink, certificate, tls=security == "tls", starttls=security == "starttls") as port:
        assert await send(mail(port, security), certificate) == (State.SENT, None)
    (got,) = sink.mails
    assert sink.logins == [(b"anna", b"right")]
    assert got["Subject"] == "Session on Bob’s NÄS ended"
    assert got["To"] == "anna@example.com"
    assert got["From"] == "clawdbox <box@example.com>"
    assert got["Message-ID"] == "<019b9d3c@example.com>"
    assert got["Auto-Submitted"] == "auto-generated"
    assert got.get_content().splitlines() == [
        "The link was lost.", "", "https://box.example.com/sessions/x",
    ]  # fmt: skip


async def test_a_mail_at_home_may_go_as_it_is(certificate: Path) -> None:
    sink = Sink()
    async with mail_server(sink, certificate) as port:
        assert await send(mail(port, "none", username=None, password=None), certificate) == (State.SENT, None)
    assert len(sink.mails) == 1


async def test_a_wrong_password_is_said(certificate: Path) -> None:
    sink = Sink()
    async with mail_server(sink, certificate, tls=True) as port:
        assert await send(mail(port, "tls", password="wrong"), certificate) == (State.FAILED, "smtp_535")
    assert sink.mails == []


async def test_where_encryption_was_chosen_nothing_goes_without_it(certificate: Path) -> None:
    """Not the password either: a server (or who sits in between) that offers no STARTTLS gets nothing."""
    sink = Sink()
    async with mail_server(sink, certificate) as port:
        assert await send(mail(port, "starttls"), certificate) == (State.FAILED, "no_starttls")
    assert (sink.mails, sink.logins) == ([], [])


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_a_certificate_of_nobody_is_not_trusted(certificate: Path, security: str) -> None:
    sink = Sink()
    async with mail_server(sink, certificate, tls=security == "tls", starttls=security == "starttls") as port:
        assert await send(mail(port, security), None) == (State.PENDING, "tls_failed")
    assert (sink.mails, sink.logins) == ([], [])


@pytest.mark.parametrize(
    "refuses, says, came",
    [
        ("550 No such user", "250 OK", (State.FAILED, "smtp_550")),
        ("451 Greylisted", "250 OK", (State.PENDING, "smtp_451")),
        (None, "554 Spam", (State.FAILED, "smtp_554")),
        (None, "452 Full", (State.PENDING, "smtp_452")),
    ],
)
async def test_what_a_mail_server_refuses(
    certificate: Path, refuses: str | None, says: str, came: tuple[State, str]
) -> None:
    sink = Sink()
    sink.refuses, sink.says = refuses, says
    async with mail_server(sink, certificate, tls=True) as port:
        assert await send(mail(port, "tls"), certificate) == came


@asynccontextmanager
async def speaking(*lines: bytes) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for line in lines:
                writer.write(line)
                await writer.drain()
            await reader.read()
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    "lines, code",
    [
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], "protocol_error"),
        ([b"220-" + b"a" * 200_000], "protocol_error"),
        ([b"554 Go away\r\n"], "smtp_554"),
    ],
)
async def test_what_is_no_mail_server_is_left_alone(lines: list[bytes], code: str) -> None:
    async with speaking(*lines) as port:
        _, said = await send(mail(port, "none", username=None, password=None), None)
        assert said in (code, "connect_failed")
