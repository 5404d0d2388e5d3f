"""A remote shell that is kept and runs one command after another: no new process of the server for each.

Faster than a channel for each command, and of lower fidelity: the commands run under `sh` whatever the login shell
is, one at a time, each in a subshell with an empty stdin; what one leaves in the background may write into the output
of a later one, and a command that kills its parent ends with an unknown outcome. The end of a command is told by a
marker on stdout and one on stderr, made of random digits that the command cannot know beforehand: they are not
in its arguments, its environment or its shell's variables. Stopping a command kills the whole shell; the next one gets another.
"""

import asyncio
import secrets
import weakref
from collections import deque
from collections.abc import Callable

from clawdbox.ssh.wire.channels import ExecChannel
from clawdbox.ssh.wire.link import Link, check_command
from clawdbox.ssh.wire.model import ChannelRefused, LinkLost
from clawdbox.ssh.wire.session import ByteSession

_HELLO_PATIENCE = 10.0
_MOST_BEFORE_HELLO = 256 * 1024
_IDLE_S = 60.0
_LONGEST_STATUS = 12
_MOST_AFTER = 64  # of what follows a marker: the status, and nothing that a server may add without end
_LEAD = b"\0"  # begins a marker and is nowhere else in it; text hardly ever ends so, and would be held back


class Marker:
    """Finds a marker in a stream that comes in pieces, and hands on everything before it as soon as it may."""

    def __init__(self, mark: bytes) -> None:
        self._mark = mark
        self._held = b""
        self.after: bytes | None = None  # the first bytes that followed the marker, once it was found

    def feed(self, data: bytes) -> bytes:
        """What certainly belongs to the output."""
        if self.after is not None:
            self.after += data[: _MOST_AFTER - len(self.after)]
            return b""
        held = self._held + data
        at = held.find(self._mark)
        if at >= 0:
            begin = at + len(self._mark)
            self._held, self.after = b"", held[begin : begin + _MOST_AFTER]
            return held[:at]
        keep = self._overlap(held)
        self._held = held[len(held) - keep :]
        return held[: len(held) - keep]

    def rest(self) -> bytes:
        """What was held back, when the stream ended without a marker."""
        held, self._held = self._held, b""
        return held

    def _overlap(self, held: bytes) -> int:
        """How many of the last bytes may be the beginning of the marker."""
        start = held.rfind(_LEAD, max(len(held) - len(self._mark) + 1, 0))
        return len(held) - start if start >= 0 and self._mark.startswith(held[start:]) else 0


def script(command: str, nonce: str) -> bytes:
    """What the shell reads: the command as one quoted word, in a subshell, and then the two markers.

    `eval` of a quoted word, so that no command can leave its quotes; a syntax error ends the subshell alone.
    """
    quoted = "'" + command.replace("'", "'\\''") + "'"
    return (
        f"( eval {quoted} ) </dev/null; printf '\\000%s %d\\n' {nonce} $?; printf '\\000%s\\n' {nonce} >&2\n"
    ).encode()


class KeptCommand(ExecChannel):
    """A command within the kept shell, with the face of a channel of its own."""

    def __init__(self, shell: "_Shell", command: str, nonce: str) -> None:
        super().__init__(shell.session, command, pty=False)
        self._shell = shell
        self._status: int | None = None
        self._out = Marker(_LEAD + f"{nonce} ".encode())
        self._err = Marker(_LEAD + f"{nonce}\n".encode())
        self._pieces: deque[tuple[str, bytes]] = deque()
        self._done = False

    @property
    def exit_status(self) -> int | None:
        return self._status

    @property
    def exit_signal(self) -> str | None:
        return None

    async def next(self, linger_s: float | None = None) -> tuple[str, bytes] | None:
        while not self._pieces:
            if self._done:
                return None
            piece = await self.session.next(linger_s)
            if piece is None:
                self._broken_off()
            else:
                self._hear(*piece)
        return self._pieces.popleft()

    def _hear(self, name: str, data: bytes) -> None:
        clean = (self._out if name == "stdout" else self._err).feed(data)
        if clean:
            self._pieces.append((name, clean))
        after = self._out.after
        if after is None or self._err.after is None:
            return
        line, newline, _ = after.partition(b"\n")
        if newline or len(after) > _LONGEST_STATUS:
            self._done = True
            if newline and line.isdigit():
                self._status = int(line) & 0xFF

    def _broken_off(self) -> None:
        """The shell ended in the middle: nobody knows how the command went."""
        self._done = True
        for name, marker in (("stdout", self._out), ("stderr", self._err)):
            if rest := marker.rest():
                self._pieces.append((name, rest))

    def done(self) -> None:
        """Only now may the next one begin: while this one is being stopped, its shell is about to be killed."""
        if self._status is None:
            self._shell.end()
        else:
            self._shell.free()

    def close(self) -> None:
        self._shell.end()


class _Shell:
    """One remote `sh`. Busy from the start of a command to its marker."""

    def __init__(self, channel: ExecChannel, freed: Callable[[], None]) -> None:
        self.session: ByteSession = channel.session
        self._channel = channel
        self._freed = freed
        self._busy = True

    @property
    def is_alive(self) -> bool:
        return not self.session.exited.is_set() and not self.session.closed.is_set()

    async def hello(self) -> None:
        """Reads past what rc files say. ChannelRefused when nothing that speaks the language of `sh` is there."""
        nonce = secrets.token_hex(16)
        hello = f"printf '\\000%s\\n' {nonce}; printf '\\000%s\\n' {nonce} >&2\n"
        waiting = {name: Marker(_LEAD + f"{nonce}\n".encode()) for name in ("stdout", "stderr")}
        heard = 0
        try:
            self.session.write(hello.encode())
            async with asyncio.timeout(_HELLO_PATIENCE):
                while any(marker.after is None for marker in waiting.values()):
                    piece = await self.session.next(0.5)
                    heard += len(piece[1]) if piece else 0
                    if piece is None or heard > _MOST_BEFORE_HELLO:
                        break
                    waiting[piece[0]].feed(piece[1])
                else:
                    return
        except (TimeoutError, BrokenPipeError):
            pass
        raise ChannelRefused("The server offers no shell that can be kept. Run it in a fresh one.")

    def take(self) -> None:
        self._busy = True

    def send(self, command: str, nonce: str) -> None:
        self.session.write(script(command, nonce))

    def free(self) -> None:
        if self._busy:
            self._busy = False
            self._freed()

    def end(self) -> None:
        self._channel.close()
        self.free()


class Runner:
    """The kept shell of a link, made when it is first needed, and given up when it is idle or its place is needed."""

    def __init__(self, link: Link) -> None:
        self._link = weakref.ref(link)
        self._turn = asyncio.Lock()
        self._shell: _Shell | None = None
        self._idle: asyncio.TimerHandle | None = None
        link.idle_holders.append(self.yield_place)

    async def begin(self, command: str, on_sent: Callable[[], None] | None) -> KeptCommand:
        """Wait for the turn, and send `command`. Raises ChannelRefused, LinkLost and ValueError, nothing sent."""
        check_command(command)
        await self._turn.acquire()
        try:
            shell = await self._living()
            nonce = secrets.token_hex(16)
            if on_sent is not None:
                on_sent()
            shell.send(command, nonce)
            return KeptCommand(shell, command, nonce)
        except BrokenPipeError:
            self._free()
            raise LinkLost("The kept shell ended.") from None
        except BaseException:
            self._free()
            raise

    async def _living(self) -> _Shell:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._shell is not None and self._shell.is_alive:
            self._shell.take()
            return self._shell
        link = self._link()
        if link is None:
            raise LinkLost("This connection was closed.")
        self._shell = None
        channel = await link.open_exec(f"sh -s clawdbox-{secrets.token_hex(4)}", stdin=True)
        shell = _Shell(channel, self._free)
        try:
            await shell.hello()
        except BaseException:
            channel.close()
            raise
        self._shell = shell
        return shell

    def _free(self) -> None:
        if self._turn.locked():
            self._turn.release()
        self._idle = asyncio.get_running_loop().call_later(_IDLE_S, self.yield_place)

    def yield_place(self) -> bool:
        """Close the shell if nothing runs in it, for somebody who waits for a session. True if it was there."""
        if self._shell is None or self._turn.locked():
            return False
        shell, self._shell = self._shell, None
        shell.session.close()
        return True


_runners: "weakref.WeakKeyDictionary[Link, Runner]" = weakref.WeakKeyDictionary()


def runner_of(link: Link) -> Runner:
    if link not in _runners:
        _runners[link] = Runner(link)
    return _runners[link]
