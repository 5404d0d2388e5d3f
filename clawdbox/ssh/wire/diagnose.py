"""From what was seen of a failed dial to a cause, a sentence and a next step. Pure."""

import errno
import socket
from collections.abc import Sequence

import asyncssh
import msgspec

from clawdbox.ssh.wire.model import Cause, DialFailure, OfferedKey, Target
from clawdbox.ssh.wire.tap import SaidTooMuch
from clawdbox.ssh.wire.text import one_line

_UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.EADDRNOTAVAIL}
_BUSY = (b"Not allowed at this time", b"Exceeded MaxStartups")
_OTHER_PROTOCOLS = (
    (b"HTTP/", "a web server"),
    (b"<!DOCTYPE", "a web server"),
    (b"<html", "a web server"),
    (b"\x15\x03", "a TLS service"),
    (b"220 ", "a mail or FTP server"),
    (b"220-", "a mail or FTP server"),
    (b"* OK", "a mail server"),
    (b"+OK", "a mail server"),
    (b"RFB ", "a VNC screen"),
    (b"-ERR", "a Redis or mail server"),
    (b"\xff\xfb", "a Telnet server"),
    (b"\xff\xfd", "a Telnet server"),
)


class Seen(msgspec.Struct, frozen=True):
    """How far the handshake came. `version` is the server's version line, `head` the very first bytes;
    `nothing_in_common` says which kind of algorithm is not shared, read from the server's offer."""

    head: bytes = b""
    version: str | None = None
    offered: OfferedKey | None = None
    refusal: Cause | None = None
    weak_cipher: str | None = None
    authority: OfferedKey | None = None
    nothing_in_common: str | None = None


def no_name(target: Target, error: Exception) -> DialFailure:
    host, detail = target.host, repr(error)
    if isinstance(error, TimeoutError):
        message, step = (
            f"Looking up the name {host} took too long.",
            "Check the DNS of this network, or use an address.",
        )
    elif isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
        message = f"The name server did not answer when asked for {host}."
        step = "Check this box's network and DNS, then try again. An address works without DNS."
    else:
        message = f"There is no address for the name {host}."
        step = (
            "Check the spelling. A name that only your router knows may need its full form, such as nas.lan."
        )
    return DialFailure("name", message, step, detail=detail)


def address_refused(target: Target, reasons: Sequence[str], loopback_would_help: bool) -> DialFailure:
    step = (
        "If you mean this machine itself, start the box with `clawdbox serve --allow-loopback`."
        if loopback_would_help
        else "Use the address under which the server is reachable on your network."
    )
    message = f"The box does not dial {target.host}: {'; '.join(reasons) or 'it has no address'}."
    return DialFailure("address_refused", message, step, detail="; ".join(reasons))


def no_connection(target: Target, errors: Sequence[OSError]) -> DialFailure:
    """What several failed attempts mean together: the one that says most about the server wins."""
    where, detail = _where(target), "; ".join(repr(error) for error in errors)
    if any(isinstance(error, ConnectionRefusedError) for error in errors):
        step = "Check the port, and that the SSH server runs there: `systemctl status ssh` (or `sshd`) on the server."
        return DialFailure(
            "port", f"{target.host} answered, but nothing listens on port {target.port}.", step, detail=detail
        )
    if any(isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT for error in errors):
        step = "Check that the machine is switched on, the address is right, and no firewall drops the port."
        return DialFailure("firewall", f"Nothing answered on {where}.", step, detail=detail)
    if any(error.errno in _UNREACHABLE for error in errors):
        step = (
            "Check that the machine is switched on and that this box is in a network that leads to it (VPN?)."
        )
        return DialFailure("firewall", f"There is no way to {where} from this box.", step, detail=detail)
    if any(error.errno in (errno.EACCES, errno.EPERM) for error in errors):
        step = "Allow outgoing connections to that port in the firewall of this box."
        return DialFailure(
            "firewall", f"This machine forbids the connection to {where}.", step, detail=detail
        )
    step = "Try again in a minute. If it stays, look at the server's SSH log and firewall."
    return DialFailure(
        "dropped", f"The connection to {where} broke off while it was being made.", step, detail=detail
    )


def no_login(target: Target, seen: Seen, error: BaseException) -> DialFailure:
    """Why a connected socket did not become a link."""
    detail = f"{type(error).__name__}: {one_line(str(error), 400)}; version {seen.version!r}"
    cause, message, step = _handshake(target, seen, error)
    return DialFailure(cause, message, step, offered=seen.offered, detail=detail)


def _handshake(target: Target, seen: Seen, error: BaseException) -> tuple[Cause, str, str]:
    """What was decided or said outright; failing that, what the phase suggests."""
    outright = _decided(target, seen) or _told(target, seen, error)
    if outright is not None:
        return outright
    return (
        _before_version(target, seen, error) if seen.version is None else _after_version(target, seen, error)
    )


def _decided(target: Target, seen: Seen) -> tuple[Cause, str, str] | None:
    """The box itself ended it."""
    if seen.refusal is not None:
        return _host_key(target, seen.refusal)
    if seen.weak_cipher is not None:
        return _algorithms(f"only {seen.weak_cipher} without strict key exchange, which is open to attack")
    return None


def _told(target: Target, seen: Seen, error: BaseException) -> tuple[Cause, str, str] | None:
    match error:
        case asyncssh.PermissionDenied():
            return _authentication(target)
        case asyncssh.KeyExchangeFailed():
            return _algorithms(seen.nothing_in_common or one_line(str(error), 300))
        case asyncssh.ProtocolNotSupported():
            return _not_ssh(
                target, f"speaks an SSH version that is no longer in use ({one_line(seen.version or '')})"
            )
        case SaidTooMuch():
            return _not_ssh(target, "sends text without end instead of letting anyone log in")
        case asyncssh.HostKeyNotVerifiable():
            return _unverifiable(target, seen, str(error))
    return None


def _before_version(target: Target, seen: Seen, error: BaseException) -> tuple[Cause, str, str]:
    if any(text in seen.head[:512] for text in _BUSY):
        return _dropped(target, f"turned the box away: “{one_line(seen.head, 60)}”")
    if not seen.head:
        if _timed_out(error):
            return _not_ssh(target, "accepts connections but says nothing, as no SSH server does")
        return _dropped(target, "closed the connection at once, without a word")
    known = next(
        (name for start, name in _OTHER_PROTOCOLS if seen.head[:512].lstrip().startswith(start)), None
    )
    if known is not None:
        return _not_ssh(target, f"is {known}, not an SSH server")
    said = one_line(seen.head, 60)
    return _not_ssh(
        target, f"is no SSH server; it said “{said}”" if said else "is no SSH server, and makes no sense"
    )


def _after_version(target: Target, seen: Seen, error: BaseException) -> tuple[Cause, str, str]:
    phase = "exchanging keys" if seen.offered is None else "logging in"
    if seen.offered is None and seen.nothing_in_common is not None:
        return _algorithms(seen.nothing_in_common)
    if _timed_out(error):
        step = "The server may be overloaded or hung. Try again; if it stays, restart its SSH server."
        return "timeout", f"The SSH server on {_where(target)} stopped answering while {phase}.", step
    if seen.offered is not None and "authentication failure" in str(error).lower():
        return _authentication(target)
    if isinstance(error, asyncssh.ConnectionLost | ConnectionError) or _hung_up(error):
        return _dropped(target, f"closed the connection while {phase}")
    if isinstance(error, UnicodeDecodeError):
        return _not_ssh(target, "calls itself by a version that is not plain text")
    return _not_ssh(target, f"broke the SSH protocol while {phase} ({one_line(str(error), 100)})")


def _timed_out(error: BaseException) -> bool:
    return isinstance(error, TimeoutError) or "Login timeout" in str(error)


def _hung_up(error: BaseException) -> bool:
    """The server's own goodbye, as opposed to a breach of the protocol that was found on this side."""
    return isinstance(error, asyncssh.DisconnectError) and not isinstance(
        error, asyncssh.ProtocolError | asyncssh.MACError
    )


def _host_key(target: Target, refusal: Cause) -> tuple[Cause, str, str]:
    who = _who(target)
    if refusal == "host_key_unknown":
        step = "Compare the fingerprint with the server's own, then trust it."
        return refusal, f"The host key of {who} is not trusted yet. The box has not logged in.", step
    what = "a host key of another type than" if refusal == "key_type_changed" else "another host key than"
    step = "If you reinstalled the server or changed its keys, compare and trust the new one. If not, do not go on."
    return refusal, f"{who} shows {what} the trusted one. The box stopped before logging in.", step


def _unverifiable(target: Target, seen: Seen, said: str) -> tuple[Cause, str, str]:
    """What asyncssh itself found wrong with a host key: revoked, a certificate that does not hold, or damaged."""
    if "revoked" in said:
        step = "Nobody should use it any more. Give the server a new host key, or take the key off the revoked ones in Settings."
        return (
            "host_key_revoked",
            f"{_who(target)} shows a host key that you revoked. The box stopped before logging in.",
            step,
        )
    if seen.authority is None:
        return _not_ssh(target, "showed a host key that cannot be used (damaged)")
    message, step = _certificate(target, seen.authority, said)
    return "host_certificate", f"{message} The box stopped before logging in.", step


def _certificate(target: Target, authority: OfferedKey, said: str) -> tuple[str, str]:
    who = _who(target)
    sign = "Sign a new one with the authority (ssh-keygen -s … -h), and reload the SSH server."
    if "expired" in said:
        return f"The host certificate of {who} has expired.", sign
    if "not yet valid" in said:
        return (
            f"The host certificate of {who} is not valid yet.",
            "Compare the clocks of this box and of the machine that signed it.",
        )
    if "principal" in said:
        step = (
            "Sign a new one that names it (ssh-keygen -n), or use the name it was made for as the host here."
        )
        return f"The host certificate of {who} was made for other names than {target.host}.", step
    if "certificate type" in said:
        return f"{who} shows a user's certificate in place of a host's.", sign
    step = "If that authority is yours, add it for this host in Settings; if not, do not go on."
    return (
        f"The host certificate of {who} is signed by {authority.fingerprint}, which you do not trust for it.",
        step,
    )


def _who(target: Target) -> str:
    return target.host if target.port == 22 else f"{target.host}, port {target.port},"


def _authentication(target: Target) -> tuple[Cause, str, str]:
    message = f"The server does not let “{target.username}” in with this key."
    return (
        "authentication",
        message,
        "Check the user name, and run the install command on the server as that user.",
    )


def _algorithms(what: str) -> tuple[Cause, str, str]:
    step = "Update the SSH server, or allow current algorithms in its sshd_config (KexAlgorithms, HostKeyAlgorithms, Ciphers)."
    return "algorithms", f"The server and the box share no safe way to encrypt: {what}.", step


def _not_ssh(target: Target, what: str) -> tuple[Cause, str, str]:
    return "not_ssh", f"What listens on {_where(target)} {what}.", "Check the port: SSH usually has 22."


def _dropped(target: Target, what: str) -> tuple[Cause, str, str]:
    step = (
        "Wait a minute and try again: the server may limit new connections (MaxStartups, PerSourcePenalties, fail2ban). "
        "If it stays, it may refuse this box's address; its SSH log tells."
    )
    return "dropped", f"{_where(target)} {what}.", step


def _where(target: Target) -> str:
    return f"port {target.port} of {target.host}"


def no_way(target: Target, error: BaseException) -> DialFailure:
    """Why a jump host made no connection to the target behind it."""
    cause, message, step = _behind(target, f"the jump host “{target.via}”", error)
    return DialFailure(cause, message, step, detail=f"{type(error).__name__}: {one_line(str(error), 400)}")


def _behind(target: Target, hop: str, error: BaseException) -> tuple[Cause, str, str]:
    where, said = _where(target), str(error).lower()
    if (
        isinstance(error, asyncssh.ChannelOpenError)
        and error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED
    ):
        step = (
            "Allow it in the sshd_config there (AllowTcpForwarding yes; PermitOpen and DisableForwarding may stand in"
            " the way, too), or in the options of the key's line in authorized_keys."
        )
        return "forwarding", f"its SSH server forbids connections to {where}.", step
    if isinstance(error, asyncssh.ChannelOpenError) and "refused" in said:
        step = "Check the port, and that the SSH server runs there: `systemctl status ssh` (or `sshd`) on the server."
        return "port", f"{target.host} answered {hop}, but nothing listens on port {target.port}.", step
    return _silent_behind(target, hop, said, error)


def _silent_behind(target: Target, hop: str, said: str, error: BaseException) -> tuple[Cause, str, str]:
    where = _where(target)
    if isinstance(error, TimeoutError) or "timed out" in said:
        step = "Check that the machine is switched on, and that no firewall between the two drops the port."
        return "firewall", f"Nothing answered on {where}, asked by {hop}.", step
    if "unreachable" in said or "no route" in said:
        step = "Check that the machine is switched on and in a network that the jump host leads to."
        return "firewall", f"There is no way to {where} from {hop}.", step
    if any(word in said for word in ("name", "resol", "address associated")):
        step = (
            "The name is looked up by the jump host, in its network. Check the spelling, or use an address."
        )
        return "name", f"There is no address for the name {target.host}, says {hop}.", step
    if isinstance(error, asyncssh.ChannelOpenError):
        step = "Try `ssh` from the jump host to this server; its SSH log says more (journalctl -u ssh)."
        return "port", f"No connection from {hop} to {where}: {one_line(str(error), 100)}.", step
    step = "Try again in a minute. If it stays, look at the jump host's SSH log."
    return "dropped", f"The link to {hop} broke off while it was asked for {where}.", step
