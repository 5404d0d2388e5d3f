"""The escape character of an interactive session (`~` by default), as ssh(1) has it: only after a line break."""

HELP = (
    "Supported escape sequences:\r\n"
    " {0}.   - terminate the session\r\n"
    " {0}B   - send a BREAK to the remote system\r\n"
    " {0}?   - this message\r\n"
    " {0}{0}   - send the escape character by typing it twice\r\n"
    "(Note that escapes are only recognized immediately after newline.)\r\n"
)


class Escapes:
    """Feed what is typed; `ended` turns true at `~.`."""

    def __init__(self, code: int | None) -> None:
        self._code = code
        self._fresh = True  # at the beginning of a line
        self._pending = False
        self.ended = False
        self.breaks = 0
        self.shown = b""  # what the client itself is to see

    def feed(self, data: bytes) -> bytes:
        """What goes to the server."""
        if self._code is None:
            return data
        out = bytearray()
        for code in data:
            if self.ended:
                break
            self._one(code, out)
        return bytes(out)

    def _one(self, code: int, out: bytearray) -> None:
        assert self._code is not None
        if self._pending:
            self._pending = False
            self._second(code, out)
        elif self._fresh and code == self._code:
            self._pending = True
        else:
            out.append(code)
            self._fresh = code in b"\r\n"

    def _second(self, code: int, out: bytearray) -> None:
        assert self._code is not None
        if code == ord("."):
            self.ended = True
        elif code == ord("?"):
            self.shown += self._name(code) + HELP.format(chr(self._code)).encode("latin-1")
        elif code == ord("B"):
            self.shown += self._name(code)
            self.breaks += 1
        else:
            if code != self._code:
                out.append(self._code)
            out.append(code)
            self._fresh = code in b"\r\n"

    def _name(self, code: int) -> bytes:
        return bytes((self._code or 0, code)) + b"\r\n"
