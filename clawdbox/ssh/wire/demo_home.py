"""The demo server's folder: its host key, and a home with something to look at."""

import hmac
import os
import pwd
from collections.abc import Mapping
from pathlib import Path

import asyncssh

_README = """Welcome. This is the demo server of your clawdbox.

It is a shell of the user who runs the box, in a temporary home: this folder.
Commands here are real. Try `uptime`, `df -h` or `top`, close the page, and come back.

Nothing but this box can log in here, and the server ends with the box.
"""
_BASHRC = """# Made by the demo server; change it as you like.
case $- in *i*) ;; *) return ;; esac
PS1='demo:\\w\\$ '
alias ls='ls --color=auto'
[ -n "$DEMO_GREETED" ] || { export DEMO_GREETED=1; echo 'Hello. `cat README.txt` says where you are.'; }
"""
_PROFILE = """# Made by the demo server; change it as you like.
[ -n "$BASH_VERSION" ] && [ -f ~/.bashrc ] && . ~/.bashrc
"""
_ZSHRC = """# Made by the demo server; change it as you like.
PROMPT='demo:%~%# '
"""
_FILES = {"README.txt": _README, ".bashrc": _BASHRC, ".profile": _PROFILE, ".zshrc": _ZSHRC}
_NO_SHELLS = {"nologin", "false", "sync", "git-shell"}
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PASSED_ON = ("PATH", "LANG", "LANGUAGE", "TZ")


def make_home(data_dir: Path) -> Path:
    """`demo/home` in the data folder, for its owner alone. What a person changed there stays."""
    home = data_dir / "demo" / "home"
    home.mkdir(parents=True, exist_ok=True)
    for folder in (home.parent, home):
        folder.chmod(0o700)
    for name, text in _FILES.items():
        file = home / name
        if not file.exists():
            file.write_text(text)
    return home


def host_key(data_dir: Path) -> asyncssh.SSHKey:
    """The demo server's own key: made once, and kept readable for its owner alone."""
    file = data_dir / "demo" / "host_key"
    try:
        return asyncssh.import_private_key(file.read_bytes())
    except FileNotFoundError:
        key = asyncssh.generate_private_key("ssh-ed25519", comment="clawdbox demo server")
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(key.export_private_key())
    return key


def same_key(one: asyncssh.SSHKey, other: asyncssh.SSHKey) -> bool:
    return hmac.compare_digest(one.public_data, other.public_data)


def login_shell() -> str:
    """The current user's shell, or one that works where a service account has none."""
    own = pwd.getpwuid(os.getuid()).pw_shell
    for shell in (own, "/bin/bash", "/bin/sh"):
        if shell and Path(shell).name not in _NO_SHELLS and os.access(shell, os.X_OK):
            return shell
    return "/bin/sh"


def environment(home: Path, shell: str, asked: Mapping[str, str], outer: Mapping[str, str]) -> dict[str, str]:
    """What a demo process sees: a few harmless variables by name, so that no secret of the box is among them."""
    user = pwd.getpwuid(os.getuid()).pw_name
    locale = {name: value for name, value in asked.items() if name == "LANG" or name.startswith("LC_")}
    kept = {name: outer[name] for name in outer if name in _PASSED_ON or name.startswith("LC_")}
    own = {"HOME": str(home), "USER": user, "LOGNAME": user, "SHELL": shell, "PWD": str(home)}
    return {"PATH": _PATH, **kept, **locale, **own}
