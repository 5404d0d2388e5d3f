"""How a client's terminal is set, in the words of SSH (RFC 4254, section 8)."""

import fcntl
import struct
import termios

# opcode → index into the control characters
_CHARS = {
    1: termios.VINTR, 2: termios.VQUIT, 3: termios.VERASE, 4: termios.VKILL, 5: termios.VEOF, 6: termios.VEOL,
    7: termios.VEOL2, 8: termios.VSTART, 9: termios.VSTOP, 10: termios.VSUSP, 12: termios.VREPRINT,
    13: termios.VWERASE, 14: termios.VLNEXT, 18: termios.VDISCARD,
}  # fmt: skip
_IUTF8 = 0x4000  # termios(3); Python's module has no name for it
_IUCLC, _OLCUC, _XCASE = 0x200, 0x2, 0x4
# opcode → (which of the four words: input, output, control, local; its bit)
_FLAGS = {
    30: (0, termios.IGNPAR), 31: (0, termios.PARMRK), 32: (0, termios.INPCK), 33: (0, termios.ISTRIP),
    34: (0, termios.INLCR), 35: (0, termios.IGNCR), 36: (0, termios.ICRNL), 37: (0, _IUCLC),
    38: (0, termios.IXON), 39: (0, termios.IXANY), 40: (0, termios.IXOFF), 41: (0, termios.IMAXBEL),
    42: (0, _IUTF8),
    50: (3, termios.ISIG), 51: (3, termios.ICANON), 52: (3, _XCASE), 53: (3, termios.ECHO),
    54: (3, termios.ECHOE), 55: (3, termios.ECHOK), 56: (3, termios.ECHONL), 57: (3, termios.NOFLSH),
    58: (3, termios.TOSTOP), 59: (3, termios.IEXTEN), 60: (3, termios.ECHOCTL), 61: (3, termios.ECHOKE),
    62: (3, termios.PENDIN),
    70: (1, termios.OPOST), 71: (1, _OLCUC), 72: (1, termios.ONLCR), 73: (1, termios.OCRNL),
    74: (1, termios.ONOCR), 75: (1, termios.ONLRET),
    90: (2, termios.CS7), 91: (2, termios.CS8), 92: (2, termios.PARENB), 93: (2, termios.PARODD),
}  # fmt: skip
_DISABLED = 255  # how SSH says that a character is switched off; in termios it is 0
_SPEED = 38400  # of what is no serial line


def modes(number: int) -> dict[int, int]:
    """The terminal's modes by opcode; empty for what is no terminal."""
    try:
        words = termios.tcgetattr(number)
    except termios.error:
        return {}
    characters = words[6]
    found = {128: _SPEED, 129: _SPEED}
    for opcode, index in _CHARS.items():
        value = characters[index]
        code = value[0] if isinstance(value, bytes) else int(value)
        found[opcode] = code or _DISABLED
    for opcode, (word, bit) in _FLAGS.items():
        found[opcode] = int(words[word] & bit == bit)
    return found


def size(number: int) -> tuple[int, int, int, int]:
    """(columns, rows, pixels wide, pixels high), zeros for what is no terminal."""
    try:
        answer = fcntl.ioctl(number, termios.TIOCGWINSZ, bytes(8))
    except OSError:
        return (0, 0, 0, 0)
    rows, cols, wide, high = struct.unpack("4H", answer)
    return (cols, rows, wide, high)
