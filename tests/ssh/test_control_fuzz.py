"""What somebody may send to a control socket: the box lives, others work on, no descriptor and no memory is lost."""

import array
import asyncio
import contextlib
import os
import random
import resource
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clawdbox.ssh.wire.mux import packets
from clawdbox.ssh.wire.mux.packets import Kind, packet, string, u32
from tests.ssh.riding import Ride, begin, descriptors, executions, ride
from tests.ssh.world import World
from tests.waiting import eventually

GARBAGE = [
    b"",
    b"\0",
    b"GET / HTTP/1.1\r\n\r\n",
    b"SSH-2.0-x\r\n",
    u32(0),
    u32(3) + b"abc",
    u32(0x7FFFFFFF) + bytes(1000),
    u32(0xFFFFFFFF),
    packet(Kind.HELLO, u32(3)),
    packets.hello() * 3,
    packets.hello() + packet(0x1000FFFF, u32(1)),
    packets.hello() + packet(Kind.NEW_SESSION, u32(1)),
    packets.hello() + packet(Kind.NEW_SESSION, u32(1), u32(0xFFFFFFF0)),
    packets.hello() + packet(Kind.OPEN_FORWARD, u32(1), u32(1), string("x" * 70_000)),
    packets.hello() + u32(250_000) + bytes(100),
]


def session(command: bytes, *, pty: bool = False) -> bytes:
    flags = b"".join(map(u32, (pty, 0, 0, 0, 0xFFFFFFFF)))
    return packet(Kind.NEW_SESSION, u32(1), string(b""), flags, string(b"xterm"), string(command))


@pytest.fixture
async def there(world: World, tmp_path: Path) -> Ride:
    await world.ready()
    found = await ride(world, tmp_path, forward=True, proxy=True)
    assert (await found("true")).code == 0
    return found


@pytest.fixture
async def path(there: Ride, world: World) -> str:
    return str((await world.box.control_sockets.view(world.owner, world.connection.id)).path)


@pytest.fixture(autouse=True)
async def nothing_is_lost(there: Ride, world: World) -> AsyncIterator[None]:
    """After each test a command works, and as many descriptors are open as before."""
    await executions(world, 1)
    before = descriptors()
    yield
    assert (await there("echo on")).out == b"on\n"
    await eventually(lambda: descriptors() <= before, timeout=20, what="descriptors given back")


def connect(path: str) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    client.setblocking(False)
    return client


async def send(client: socket.socket, data: bytes) -> None:
    with contextlib.suppress(ConnectionError):
        await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(client, data), 10)


async def send_for_ever(client: socket.socket, data: bytes) -> None:
    while True:
        await asyncio.get_running_loop().sock_sendall(client, data)


def pass_on(client: socket.socket, *numbers: int) -> None:
    client.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", numbers))])


async def until_closed(client: socket.socket) -> bytes:
    got = b""
    try:
        while data := await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 65536), 20):
            got += data
    except ConnectionError:
        pass
    return got


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
async def test_garbage_ends_its_own_client_alone(path: str, garbage: bytes) -> None:
    with connect(path) as client:
        await send(client, garbage)
        client.shutdown(socket.SHUT_WR)
        await until_closed(client)


async def test_random_bytes_after_the_greeting_do_no_harm(path: str) -> None:
    chance = random.Random(1)
    for _ in range(150):
        kind = chance.choice([*Kind, 0, 0xFFFFFFFF])
        body = chance.randbytes(chance.randrange(0, 300))
        with connect(path) as client:
            await send(client, packets.hello() + packet(kind, u32(1), body))
            client.shutdown(socket.SHUT_WR)
            await until_closed(client)


async def test_a_length_of_two_gigabytes_is_refused_before_anything_is_kept(path: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    clients = [connect(path) for _ in range(20)]
    for client in clients:
        await send(client, packets.hello() + u32(0x7FFFFFF0))
    for client in clients:
        await until_closed(client)
        client.close()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024


async def test_a_flood_of_descriptors_is_closed_by_the_kernel(path: str) -> None:
    before = descriptors()
    with connect(path) as client, open(os.devnull) as null:  # noqa: ASYNC230, PTH123 - a descriptor to pass on
        await send(client, packets.hello())
        for _ in range(50):
            try:
                pass_on(client, *[null.fileno()] * 100)
            except OSError:
                break
        await until_closed(client)
        assert descriptors() <= before + 3


async def test_several_descriptors_where_one_is_due_end_the_client(path: str) -> None:
    with connect(path) as client, open(os.devnull) as null:  # noqa: ASYNC230, PTH123
        await send(client, packets.hello() + session(b"true"))
        pass_on(client, *[null.fileno()] * 200)
        client.shutdown(socket.SHUT_WR)
        await until_closed(client)


async def test_no_descriptor_where_one_is_due_ends_the_client(path: str) -> None:
    with connect(path) as client:
        await send(client, packets.hello() + session(b"true") + b"abc")
        client.shutdown(socket.SHUT_WR)
        assert await until_closed(client) == packets.hello()


async def test_odd_descriptors_are_no_streams_and_do_no_harm(path: str, tmp_path: Path, world: World) -> None:
    """A folder, a socket of another kind, the write end of a pipe as input, its read end as output."""
    reading, writing = os.pipe()
    folder = os.open(tmp_path, os.O_RDONLY)
    far, near = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        for trio in (
            (folder, folder, folder),
            (writing, reading, reading),
            (far.fileno(),) * 3,
            (writing,) * 3,
        ):
            with connect(path) as client:
                await send(client, packets.hello() + session(b"cat; echo out; echo err >&2"))
                for number in trio:
                    pass_on(client, number)
                # Neither a datagram socket nor a pipe that somebody holds open ever ends: then the client leaves.
                try:
                    async with asyncio.timeout(3):
                        await until_closed(client)
                except TimeoutError:
                    pass
    finally:
        for number in (reading, writing, folder):
            os.close(number)
        far.close()
        near.close()
    await executions(world, 5)


async def test_three_hundred_idle_clients_hold_up_nobody(path: str, there: Ride) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # In a thread: the box, which is to take them, runs on this one.
    clients = [await asyncio.to_thread(connect, path) for _ in range(300)]
    try:
        for client in clients[::2]:
            await send(client, packets.hello())
        assert (await there("echo through")).out == b"through\n"
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024
    finally:
        for client in clients:
            client.close()


async def test_a_client_that_asks_and_never_reads_is_bounded(path: str, there: Ride) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with connect(path) as client:
        await send(client, packets.hello())
        ask = packet(Kind.ALIVE_CHECK, u32(1)) * 1000
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(send_for_ever(client, ask), 3)
        assert (await there("echo through")).out == b"through\n"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024


async def test_a_reader_that_stalls_keeps_a_flood_in_bounded_memory(there: Ride) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    process = await begin(*there.ssh, there.host, "cat /dev/zero")
    assert (await there("echo through")).out == b"through\n"
    proxied = await begin(*there.ssh, "-O", "proxy", there.host, "cat /dev/zero")
    assert (await there("sleep 1; echo through")).out == b"through\n"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
    for one in (process, proxied):
        one.kill()
        await one.communicate()


async def test_clients_that_vanish_at_any_step_leave_nothing_behind(path: str) -> None:
    whole = packets.hello() + packet(Kind.ALIVE_CHECK, u32(0)) + session(b"sleep 60")
    with open(os.devnull) as null:  # noqa: ASYNC230, PTH123
        for size in (*range(0, len(whole), 7), len(whole)):
            with connect(path) as client:
                await send(client, whole[:size])
        for count in (1, 2, 3):
            with connect(path) as client:
                await send(client, whole)
                for _ in range(count):
                    pass_on(client, null.fileno())
                await asyncio.sleep(0)


async def test_a_proxys_client_that_breaks_the_rules_ends_alone(path: str, there: Ride) -> None:
    def framed(kind: int, body: bytes) -> bytes:
        return struct.pack(">IBB", len(body) + 2, 0, kind) + body

    opening = framed(90, string(b"session") + u32(7) + u32(0) + u32(32768))
    shell = framed(98, u32(0) + string(b"exec") + b"\1" + string(b"cat"))
    tricks = [
        bytes(100),
        framed(90, b""),
        framed(94, u32(99) + string(b"x")),
        framed(20, bytes(50)),
        framed(1, u32(11) + string(b"") + string(b"")),
        opening + shell + shell,
        opening * 100,
        opening + framed(94, u32(0) + string(bytes(200_000))) * 4,
        opening + framed(93, u32(0) + u32(0xFFFFFFFF)) * 3 + shell,
        framed(80, string(b"no-more-sessions@openssh.com") + b"\0"),
        framed(80, string(b"tcpip-forward") + b"\1" + string(b"") + u32(0)),
    ]
    for trick in tricks:
        with connect(path) as client:
            await send(client, packets.hello() + packet(Kind.PROXY, u32(1)) + trick)
            client.shutdown(socket.SHUT_WR)
            await until_closed(client)
        assert (await there("echo on")).out == b"on\n"
