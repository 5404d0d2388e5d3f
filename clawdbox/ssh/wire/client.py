"""How asyncssh is told to connect: our key, our pin, nothing from this machine's own SSH configuration."""

import getpass
import hmac
import logging
import os
from collections.abc import Callable
from time import monotonic

import asyncssh

from clawdbox.ssh.wire.fast import quicken
from clawdbox.ssh.wire.model import Cause, OfferedKey, Pin, Target
from clawdbox.ssh.wire.text import plain

logging.getLogger("asyncssh").setLevel(logging.WARNING)  # at INFO it writes every command line

_MOST_BANNER = 16 * 1024
# Each exchange of keys costs a few milliseconds of this process, and a server may begin as many as it likes. Three
# hundred at once are 300 MB for a server that wants new keys for each megabyte; a storm is cut down to 5 a second.
_REKEYS_AT_ONCE = 300
_REKEYS_A_SECOND = 5.0

# AES-GCM first is the fastest, too. ChaCha20 is safe only with strict key exchange (CVE-2023-48795): it comes last,
# and `Visitor` refuses it where the server did not agree to that.
_CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
    "chacha20-poly1305@openssh.com",
)
_HOST_KEY_ALGS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
)
_CERTIFICATE_ALGS = (
    "ssh-ed25519-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "rsa-sha2-512-cert-v01@openssh.com",
    "rsa-sha2-256-cert-v01@openssh.com",
)
_ALGS_OF_TYPE = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")}


def host_key_algs(pinned_type: str | None) -> list[str]:
    """The pinned type first, so that a host with several keys shows that one; then all others, so that a host that
    no longer has it shows what it has now instead of just hanging up."""
    first = [alg for alg in _ALGS_OF_TYPE.get(pinned_type or "", (pinned_type,)) if alg in _HOST_KEY_ALGS]
    return [*first, *(alg for alg in _HOST_KEY_ALGS if alg not in first)]


def certificate_algs(pin: Pin) -> list[str]:
    """Certificates are asked for where they can count: a pinned key is the narrower promise, and holds alone."""
    if pin.fingerprint is not None or not pin.authorities:
        return []
    return [*_CERTIFICATE_ALGS]


def judge_host_key(pin: Pin, offered: OfferedKey) -> Cause | None:
    """None when the offered key is the pinned one; otherwise what to call the difference."""
    if pin.fingerprint is None:
        return "host_key_unknown"
    if hmac.compare_digest(pin.fingerprint.encode(), offered.fingerprint.encode()):
        return None
    if pin.key_type is not None and pin.key_type != offered.key_type:
        return "key_type_changed"
    return "host_key_changed"


class RekeyStorm(Exception):
    def __init__(self) -> None:
        super().__init__("the server asked for new keys without end")


class RekeyBudget:
    """How many key exchanges a server may still begin."""

    def __init__(self) -> None:
        self._left = float(_REKEYS_AT_ONCE)
        self._at = 0.0
        self.is_spent = False

    def take(self, now: float) -> bool:
        """False when there were too many; `now` in seconds of a monotonic clock."""
        self._left = min(self._left + (now - self._at) * _REKEYS_A_SECOND, float(_REKEYS_AT_ONCE))
        self._at = now
        self.is_spent = self._left < 1
        self._left -= 1
        return not self.is_spent


class Visitor(asyncssh.SSHClient):
    """Decides about the host key of the very connection that logs in, and hears its banner and its end."""

    def __init__(self, pin: Pin, on_lost: Callable[[Exception | None], None]) -> None:
        self._pin = pin
        self._on_lost = on_lost
        self._conn: asyncssh.SSHClientConnection | None = None
        self.offered: OfferedKey | None = None
        self.refusal: Cause | None = None
        self.authority: OfferedKey | None = None
        self.weak_cipher: str | None = None
        self.banner = ""
        self._exchanges = RekeyBudget()

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self._conn = conn
        quicken(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._on_lost(RekeyStorm() if self._exchanges.is_spent else exc)
        self._conn = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Called before any authentication, and again at every rekey; False ends the connection there."""
        offered = OfferedKey(key.get_fingerprint("sha256"), key.get_algorithm())
        if self.offered is None:
            self.offered = offered
        self.refusal = judge_host_key(self._pin, offered)
        if self.refusal is None:
            self.weak_cipher = chacha_without_strict_kex(self._conn)
        return self.refusal is None and self.weak_cipher is None and self._exchanges.take(monotonic())

    def validate_host_ca_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Called with the signer of a host certificate; asyncssh itself then checks its kind, its time and its names."""
        self.authority = OfferedKey(key.get_fingerprint("sha256"), key.get_algorithm())
        if self.authority.fingerprint not in self._pin.authorities:
            return False
        self.weak_cipher = chacha_without_strict_kex(self._conn)
        return self.weak_cipher is None and self._exchanges.take(monotonic())

    def auth_banner_received(self, msg: str, lang: str) -> None:
        self.banner = plain(self.banner + plain(msg, _MOST_BANNER), _MOST_BANNER)


def chacha_without_strict_kex(conn: object) -> str | None:
    """The cipher's name when ChaCha20 was chosen without strict key exchange. asyncssh has no public word for either,
    so a version that stores them elsewhere reads as "not strict" and a test fails."""
    ciphers = {getattr(conn, "_enc_alg_cs", b"chacha20"), getattr(conn, "_enc_alg_sc", b"chacha20")}
    chosen = next((name for name in ciphers if name.startswith(b"chacha20")), None)
    return chosen.decode() if chosen and not getattr(conn, "_strict_kex", False) else None


def _give_a_name() -> None:
    """asyncssh wants the name of the user who runs this. It is never sent, and a container's user may have none."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = "clawdbox"


def options(
    target: Target,
    pin: Pin,
    key: asyncssh.SSHKey,
    visitor: "Visitor",
    *,
    login_timeout: float,
    keepalive_interval: float,
    keepalive_count: int,
) -> asyncssh.SSHClientConnectionOptions:
    """Every setting that matters is spelled out: asyncssh's defaults read ~/.ssh, the agent and the environment."""
    _give_a_name()
    return asyncssh.SSHClientConnectionOptions(
        config=None,
        client_factory=lambda: visitor,
        host=target.host,
        port=target.port,
        username=target.username,
        client_keys=[key],
        client_certs=(),
        agent_path=None,
        agent_forwarding=False,
        pkcs11_provider=None,
        x11_forwarding=False,
        # trusts nothing by itself, so that Visitor decides; None would trust everything
        known_hosts=([], [], [asyncssh.import_public_key(text) for text in pin.revoked]),
        host_key_alias=None,
        server_host_keys_handler=None,
        server_host_key_algs=[*certificate_algs(pin), *host_key_algs(pin.key_type)],
        x509_trusted_certs=None,
        x509_trusted_cert_paths=(),
        preferred_auth=["publickey"],
        public_key_auth=True,
        password_auth=False,
        kbdint_auth=False,
        host_based_auth=False,
        client_host_keysign=False,
        gss_host=None,
        gss_kex=False,
        gss_auth=False,
        encryption_algs=list(_CIPHERS),
        compression_algs=None,
        login_timeout=login_timeout,
        keepalive_interval=keepalive_interval,
        keepalive_count_max=keepalive_count,
        tcp_keepalive=True,
        utf8_decode_errors="replace",
        proxy_command=None,
        canonicalize_hostname=False,
        client_version="clawdbox",
        request_pty=False,
        env=(),
        send_env=(),
        encoding=None,
    )


def our_offer(opts: asyncssh.SSHClientConnectionOptions) -> list[list[str]]:
    """Key exchange, host keys and ciphers that this side offers."""
    lists = (opts.kex_algs, opts.server_host_key_algs, opts.encryption_algs)
    return [[name.decode() if isinstance(name, bytes) else str(name) for name in names] for names in lists]
