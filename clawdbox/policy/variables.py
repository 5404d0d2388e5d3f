"""Variables of the environment that change how something is said, and not what is done."""

import re

_NAMES = re.compile(r"LANG|LANGUAGE|LC_[A-Z]+|TZ|COLUMNS|LINES|NO_COLOR|SYSTEMD_COLORS|TERM|DEBIAN_FRONTEND")
_VALUES = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.@+-]*(?:/[A-Za-z0-9_+-]+)*)?")


def says_only(name: str, value: str) -> bool:
    return bool(_NAMES.fullmatch(name) and _VALUES.fullmatch(value)) and ".." not in value
