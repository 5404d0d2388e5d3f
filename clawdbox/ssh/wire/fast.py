"""asyncssh's connection without the work per packet that nobody needs. Optional: the stock class works, too, slower.

With AES-GCM, stock asyncssh spends most of the time of bulk output on four things: it makes a new AESGCM for each
packet, copies the whole rest of its buffer twice for each packet, formats a log line that is then thrown away, and
sends an empty MSG_IGNORE before each packet of its own (against a weakness of CBC, RFC 4251 section 9.3.1, which GCM
does not have). `quicken` turns a new connection into the subclass here that leaves these out. It is done for the one
version of asyncssh that this was written against; whatever is not an ordinary packet of channel data goes through
the stock methods even then.
"""

from typing import Any

import asyncssh
from asyncssh.constants import MSG_CHANNEL_DATA, MSG_IGNORE
from asyncssh.encryption import Encryption, GCMEncryption
from asyncssh.misc import MACError, ProtocolError
from asyncssh.packet import String
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KNOWN = asyncssh.__version__ == "2.24.1"

_TAG = 16
_BLOCK = 16
_NOTHING = String(b"")


def quicken(conn: asyncssh.SSHClientConnection) -> None:
    """Called before the connection has read or written anything."""
    if KNOWN and type(conn) is asyncssh.SSHClientConnection:
        object.__setattr__(conn, "__class__", FastConnection)


class FastGcm(Encryption):
    """AES-GCM of RFC 5647 in one direction, going on where a stock GCMEncryption stands."""

    def __init__(self, stock: GCMEncryption) -> None:
        cipher = stock._cipher  # noqa: SLF001 - the key and counter that were just negotiated are nowhere else
        self._aead = AESGCM(cipher._key)  # noqa: SLF001
        self._fixed, self._count = cipher._iv[:4], int.from_bytes(cipher._iv[4:], "big")  # noqa: SLF001
        self.opened: bytes | None = None  # a packet that is decrypted already, for the stock method

    def _nonce(self) -> bytes:
        nonce = self._fixed + self._count.to_bytes(8, "big")
        self._count = (self._count + 1) & 0xFFFFFFFFFFFFFFFF
        return nonce

    def open(self, header: bytes | bytearray, sealed: bytes | bytearray) -> bytes:
        """Raises MACError."""
        try:
            return self._aead.decrypt(self._nonce(), sealed, header)
        except InvalidTag:
            raise MACError("MAC verification failed") from None

    def encrypt_packet(self, seq: int, header: bytes, packet: bytes) -> tuple[bytes, bytes]:
        return header + self._aead.encrypt(self._nonce(), packet, header), b""

    def decrypt_header(self, seq: int, first_block: bytes, header_len: int) -> tuple[bytes, bytes]:
        return first_block, first_block[:header_len]

    def decrypt_packet(
        self, seq: int, first: bytes, rest: bytes, header_len: int, mac: bytes
    ) -> bytes | None:
        opened, self.opened = self.opened, None
        if opened is not None:
            return opened
        return self.open(first[:header_len], first[header_len:] + rest + mac)


def _fast(encryption: Encryption | None) -> Encryption | None:
    return FastGcm(encryption) if type(encryption) is GCMEncryption else encryption


class FastConnection(asyncssh.SSHClientConnection):
    """Made by `quicken`, never by its constructor."""

    @property
    def takes_any_size(self) -> bool:
        """Whether many small packets in one piece cost no more than the same in many pieces."""
        return type(self._recv_encryption) is FastGcm

    def send_newkeys(self, k: bytes, h: bytes) -> None:
        """At every key exchange: new keys, so new ciphers. What the stock one has sent already it has counted."""
        super().send_newkeys(k, h)
        self._send_encryption = _fast(self._send_encryption)
        self._next_recv_encryption = _fast(self._next_recv_encryption)

    def send_packet(self, pkttype: int, *args: bytes, handler: object = None) -> None:
        if pkttype == MSG_IGNORE and args == (_NOTHING,) and type(self._send_encryption) is FastGcm:
            return
        super().send_packet(pkttype, *args, handler=handler)  # type: ignore[arg-type]

    def _recv_pkthdr(self) -> bool:
        gcm = self._recv_encryption
        held: Any = self._inpbuf  # a bytearray while GCM is in force: taking from its front costs no copy
        if type(gcm) is not FastGcm:
            if type(held) is bytearray:
                self._inpbuf = bytes(held)
            return super()._recv_pkthdr()
        if type(held) is not bytearray:
            self._inpbuf = held = bytearray(held)  # type: ignore[assignment]
        if len(held) < _BLOCK:
            return False
        size = int.from_bytes(held[:4], "big")
        if size > self._max_recv_pktlen:
            raise ProtocolError("Max packet size exceeded")
        end = 4 + size + _TAG
        if len(held) < end:
            return False
        opened = gcm.open(held[:4], held[4:end])
        if self._took_channel_data(opened):
            return True
        gcm.opened = opened
        return self._recv_the_stock_way(held, size)

    def _recv_the_stock_way(self, held: bytearray, size: int) -> bool:
        """The stock method copies all that it sees behind a packet, so it sees this one packet alone."""
        end = 4 + size + _TAG
        self._packet, self._inpbuf, self._pktlen = bytes(held[:_BLOCK]), bytes(held[_BLOCK:end]), size
        del held[:end]
        try:
            return self._recv_packet()
        finally:
            if self._transport:
                self._inpbuf = held  # type: ignore[assignment]

    def _took_channel_data(self, opened: bytes) -> bool:
        """The one packet that comes in masses. False, with nothing done, when anything about it is out of order."""
        if len(opened) < 10 or opened[1] != MSG_CHANNEL_DATA or not self._auth_complete or self._decompressor:
            return False
        channel = self._channels.get(int.from_bytes(opened[2:6], "big"))
        size = int.from_bytes(opened[6:10], "big")
        if (
            channel is None
            or 10 + size + opened[0] != len(opened)
            or channel._recv_state != "open"  # noqa: SLF001
            or size > channel._recv_window  # noqa: SLF001
        ):
            return False
        held: Any = self._inpbuf
        del held[: 4 + len(opened) + _TAG]
        self._auth_final = True
        self._recv_seq = (self._recv_seq + 1) & 0xFFFFFFFF
        channel._accept_data(opened[10 : 10 + size])  # noqa: SLF001
        return True

    def log_sent_packet(self, *_args: object, **_more: object) -> None:
        """Nothing: the text of it would be made for each packet even while nobody listens."""

    def log_received_packet(self, *_args: object, **_more: object) -> None:
        """Nothing, as above."""
