"""Keep keys out of core dumps, and other processes of this user out of this one's memory."""

import contextlib
import ctypes
import resource
import sys

_PR_SET_DUMPABLE = 4  # linux/prctl.h


def harden_process() -> bool:
    """RLIMIT_CORE=0 and, on Linux, PR_SET_DUMPABLE=0; whether all of it took. Never raises, children inherit the limit.

    PR_SET_DUMPABLE also stops a debugger of the same user and hands /proc/self to root (prctl(2)).
    """
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limited = resource.getrlimit(resource.RLIMIT_CORE)[0] == 0
    return _set_undumpable() and limited if sys.platform == "linux" else limited


def _set_undumpable() -> bool:
    try:
        prctl = ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, AttributeError):
        return False
    return int(prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)) == 0
