"""E-mail: one plain message over SMTP, to a judged address, never unencrypted where encryption was chosen."""

import asyncio
import ssl
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, formataddr

import aiosmtplib

from clawdbox.notify.model import Answer, Email, Message, Unreached
from clawdbox.notify.wire.dial import Lookup, Reach, connect, look_up

# What a mail program at home says, too: the machine's own name is nobody's business.
_GREETING = "[127.0.0.1]"


def letter(target: Email, message: Message, address: str, now: datetime) -> EmailMessage:
    """Its Message-ID is that of the delivery, so that a second copy is known as one."""
    mail = EmailMessage()
    mail["Subject"] = message.title
    mail["From"] = formataddr(("clawdbox", target.sender))
    mail["To"] = target.to
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{message.id}@{target.sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation message in return
    mail.set_content(f"{message.body}\n\n{address}{message.path}\n")
    return mail


async def send(
    target: Email, mail: EmailMessage, reach: Reach, tls: ssl.SSLContext, lookup: Lookup = look_up
) -> Answer:
    """Raises Unreached; the caller limits the time."""
    encrypted = target.security != "none"
    sock = await connect(target.host, target.port, reach, encrypted=encrypted, lookup=lookup)
    client = aiosmtplib.SMTP(
        hostname=target.host,
        sock=sock,
        local_hostname=_GREETING,
        use_tls=target.security == "tls",
        start_tls=False,  # asked for below, where its absence can be told from other failures
        tls_context=tls,
        timeout=None,
    )
    try:
        await client.connect()
        if target.security == "starttls":
            await _encrypt(client)
        if target.username is not None:
            await client.login(target.username, target.password or "")
        await client.send_message(mail)
        if isinstance(client.transport, asyncio.WriteTransport):
            client.transport.write(b"QUIT\r\n")  # nobody waits for its answer: the mail is theirs now
        return Answer(250)
    except aiosmtplib.SMTPRecipientsRefused as error:
        return Answer(error.recipients[0].code)
    except aiosmtplib.SMTPResponseException as error:
        if error.code < 200:  # what it said was no reply
            raise Unreached("protocol_error") from None
        return Answer(error.code)
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        raise Unreached(_code(error)) from None
    finally:
        client.close()  # and with it the socket, which was its own from the beginning


async def _encrypt(client: aiosmtplib.SMTP) -> None:
    await client.ehlo()
    if not client.supports_extension("starttls"):
        raise Unreached("no_starttls")
    await client.starttls()


def _code(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return "tls_failed"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, TimeoutError):
        return "timed_out"
    return "connect_failed" if isinstance(error, aiosmtplib.SMTPConnectError) else "protocol_error"
