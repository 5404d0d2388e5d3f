"""The connection of one client: packets, and the descriptors that it passes."""

import array
import asyncio
import os
import socket
import struct

from clawdbox.ssh.wire.mux.packets import MAX_PACKET, Malformed

_FD_SIZE = array.array("i").itemsize


class Line:
    """Reads exactly what is due, never ahead: a descriptor rides on a byte of its own, and a `recv` that swallowed that
    byte would lose it. The kernel closes descriptors that nobody asked for, however many somebody sends."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._loop = asyncio.get_running_loop()

    async def packet(self) -> bytes | None:
        """The next packet, or None when the client has gone. Raises Malformed."""
        head = await self._exactly(4)
        if head is None:
            return None
        length = struct.unpack(">I", head)[0]
        if not 4 <= length <= MAX_PACKET:
            raise Malformed(f"a packet of {length} bytes")
        return await self._exactly(length)

    async def descriptor(self) -> int:
        """The descriptor that comes next, ours from now on. Raises Malformed when there is none."""
        data, control = await self._message()
        found = array.array("i")
        for level, kind, content in control:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                found.frombytes(content[: len(content) - len(content) % _FD_SIZE])
        if not data or len(found) != 1:
            for surplus in found:
                os.close(surplus)
            raise Malformed("a descriptor was due")
        return found[0]

    async def _message(self) -> tuple[bytes, list[tuple[int, int, bytes]]]:
        while True:
            try:
                got = self._sock.recvmsg(1, socket.CMSG_SPACE(_FD_SIZE), socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                await self._readable()
            except ConnectionError:
                return b"", []
            else:
                return got[0], got[1]

    async def gone(self) -> None:
        """Returns when the client hangs up, or says what it may not say now."""
        await self._some(1)

    async def read(self, size: int) -> bytes:
        """Up to `size` bytes, b"" at the end."""
        return await self._some(size)

    async def send(self, data: bytes) -> None:
        """Raises ConnectionError when the client has gone."""
        await self._loop.sock_sendall(self._sock, data)

    def close(self) -> None:
        self._sock.close()

    async def _exactly(self, size: int) -> bytes | None:
        data = bytearray()
        while len(data) < size:
            piece = await self._some(min(size - len(data), 64 * 1024))
            if not piece:
                return None
            data += piece
        return bytes(data)

    async def _some(self, size: int) -> bytes:
        while True:
            try:
                return self._sock.recv(size)
            except BlockingIOError:
                await self._readable()
            except ConnectionError:
                return b""

    async def _readable(self) -> None:
        number = self._sock.fileno()
        arrived = self._loop.create_future()
        self._loop.add_reader(number, _wake, arrived)
        try:
            await arrived
        finally:
            self._loop.remove_reader(number)


def _wake(arrived: "asyncio.Future[None]") -> None:
    if not arrived.done():
        arrived.set_result(None)


def peer_of(sock: socket.socket) -> tuple[int, int]:
    """(process, user) at the other end."""
    size = struct.calcsize("3i")
    pid, uid, _gid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(pid), int(uid)
