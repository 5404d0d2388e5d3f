"""TLS in front of a box, as a reverse proxy or a tunnel puts it there: bytes in, bytes out."""

import base64
import hashlib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization

_CHUNK = 65_536


class Front:
    """Serves `name` on a free port of loopback, with a certificate of an authority of its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.target = 0
        issued = trustme.CA().issue_cert(name)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued.configure_cert(self._context)
        self._leaf = x509.load_pem_x509_certificate(issued.cert_chain_pems[0].bytes())
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._open: list[socket.socket] = []

    @property
    def origin(self) -> str:
        return f"https://{self.name}:{self.port}"

    @property
    def browser_args(self) -> list[str]:
        """The name leads here, and this very certificate's key is trusted: a browser has no errors to show."""
        key = self._leaf.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        pin = base64.b64encode(hashlib.sha256(key).digest()).decode()
        return [
            f"--host-resolver-rules=MAP {self.name} 127.0.0.1",
            f"--ignore-certificate-errors-spki-list={pin}",
        ]

    @contextmanager
    def serving(self) -> Iterator["Front"]:
        self._threads[0].start()
        try:
            yield self
        finally:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            for thread in self._threads:
                thread.join(5)
            for one in self._open:
                one.close()

    def _accept(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._pass, args=(raw,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _pass(self, raw: socket.socket) -> None:
        self._open.append(raw)
        try:
            outer = self._context.wrap_socket(raw, server_side=True)
        except OSError:
            return
        self._open.append(outer)
        inner = socket.create_connection(("127.0.0.1", self.target))
        self._open.append(inner)
        back = threading.Thread(target=_pump, args=(inner, outer), daemon=True)
        self._threads.append(back)
        back.start()
        _pump(outer, inner)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError, ValueError):
        while data := source.recv(_CHUNK):
            sink.sendall(data)
    for one in (source, sink):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
