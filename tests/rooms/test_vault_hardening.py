"""A process that holds keys dumps no core and cannot be read by its siblings."""

import subprocess
import sys

import pytest

CHILD = """
import ctypes, resource
from clawdbox.vault import harden_process
print(harden_process(), harden_process(), resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
def test_core_dumps_and_debuggers_are_off_and_asking_twice_is_harmless() -> None:
    """In a process of its own, since neither can be taken back."""
    ran = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    assert ran.stdout.split(maxsplit=2) == ["True", "True", "(0, 0) 0\n"]
