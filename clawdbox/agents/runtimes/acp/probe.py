"""Which code agents a server has: one script that only looks, and what its answer means.

Of a credential it looks whether the file is there, never into it; of a variable, whether it has a value.
"""

import re

import msgspec

from clawdbox.agents.runtimes.acp import scripts
from clawdbox.agents.runtimes.acp.known import KNOWN, Known
from clawdbox.names import printable

_MARK = "@clawdbox "
_VERSION = re.compile(r"\d+(?:\.\d+){1,3}[\w.+-]{0,40}")
_VERSION_S = 4


class CodeAgent(msgspec.Struct, frozen=True):
    """`signed_in` is None where nothing on the server tells. `hint` says what to do before it can be used."""

    name: str
    label: str
    version: str | None
    signed_in: bool | None
    path: str | None
    hint: str

    @property
    def ready(self) -> bool:
        return self.path is not None and self.signed_in is not False


def script(known: tuple[Known, ...] = KNOWN) -> str:
    looks = "\n".join(
        f"look {one.name} {scripts.words(one.programs)} {scripts.words(one.beside)}"
        f" {scripts.words(one.credentials)} {scripts.words(one.variables)} &"
        for one in known
    )
    return f"""
{scripts.login_part()}
has() {{ printf '%s\\n' "$env_of_login" | grep -q "^$1=."; }}
version() {{
  r=$(readlink -f "$1" 2>/dev/null || echo "$1"); d=${{r%/*}}; n=0
  while [ $n -lt 4 ] && [ -n "$d" ]; do
    [ -f "$d/package.json" ] && {{ sed -n 's/^ *"version" *: *"\\([^"]*\\)".*/\\1/p' "$d/package.json" | head -n 1; return; }}
    d=${{d%/*}}; n=$((n+1))
  done
  {{ "$1" --version </dev/null 2>/dev/null & c=$!
    ( sleep {_VERSION_S}; kill -s KILL $c ) >/dev/null 2>&1 & k=$!
    wait $c; kill $k; }} 2>/dev/null | head -n 1
}}
look() {{
  P=; for c in $2; do P=$(find_program "$c") && break; done
  B=; for c in $3; do B=$(find_program "$c") && break; done
  S=no; for c in $4; do [ -s "$HOME/$c" ] && S=yes; done; for c in $5; do has "$c" && S=yes; done
  [ -z "$P" ] || V=$(version "$P" | tr -dc '[:print:]' | cut -c 1-100)
  printf '{_MARK}%s|%s|%s|%s|%s\\n' "$1" "$S" "${{B:+yes}}" "${{V-}}" "$P"
}}
{looks}
wait
echo "{_MARK}end $(uname -s)"
"""


def parse(said: bytes, known: tuple[Known, ...] = KNOWN) -> list[CodeAgent] | None:
    """None when the server did not say all of it."""
    lines = [line for line in said.decode("utf-8", "replace").split("\n") if line.startswith(_MARK)]
    told = {parts[0]: parts[1:] for line in lines if len(parts := line[len(_MARK) :].split("|", 4)) == 5}
    end = next((line for line in lines if line.startswith(f"{_MARK}end")), None)
    if end is None:
        return None
    keychain = "Darwin" in end  # signing in leaves no file there
    return [_agent(one, told.get(one.name, ["no", "", "", ""]), keychain) for one in known]


def _agent(one: Known, told: list[str], keychain: bool) -> CodeAgent:
    signed, beside, version, path = told
    found = printable(path, 400) if path.startswith("/") else None
    if found is None:
        lacks = f"{one.label} is there, but not what speaks the protocol. Install it: " if beside else ""
        return CodeAgent(one.name, one.label, None, None, None, f"{lacks}{one.install}")
    signed_in = True if signed == "yes" else (False if one.sure and not keychain else None)
    number = _VERSION.search(version)
    return CodeAgent(
        one.name, one.label, number[0] if number else None, signed_in, found, "" if signed_in else one.sign_in
    )
