"""What runs on the server: POSIX sh alone, read by `sh` from its input, so that no login shell has to understand it.

One private folder a conversation: `in` is the FIFO that the agent reads, `out` the log that it writes, `sent/` one
folder for each message that was handed to it, `leader` the process that leads its group and when that began, `gen`
which start this is. The agent's own output goes through `cat`, since some of them cannot write to a regular file.
Values are quoted words; ids are checked.
"""

import re
from collections.abc import Mapping, Sequence
from shlex import quote

_ID = re.compile(r"[0-9a-f-]{8,64}")
_KEY = re.compile(r"[0-9a-zA-Z_-]{1,100}")
_OUT_BLOCKS = 1_048_576  # of 512 bytes: nobody is there to read, so the log has to end somewhere
_ERR_BYTES = 1_048_576
_WATCHES = 20
PLACES = (
    "$HOME/.local/bin $HOME/bin $HOME/.npm-global/bin $HOME/.npm/bin $HOME/.bun/bin $HOME/.cargo/bin $HOME/.deno/bin"
    " $HOME/.volta/bin $HOME/.nvm/versions/node/*/bin $HOME/.local/share/fnm/node-versions/*/installation/bin"
    " $HOME/.local/share/mise/shims $HOME/.asdf/shims $HOME/.opencode/bin $HOME/.claude/local /usr/local/bin"
    " /opt/homebrew/bin /opt/*/bin /snap/bin"
)

# `born`: when a process began, so that a later one with its number is not taken for it. A zombie has ended.
_PROCESSES = """
born() {
  if [ -r "/proc/$1/stat" ]; then
    { read -r s < "/proc/$1/stat"; read -r b < /proc/sys/kernel/random/boot_id; } 2>/dev/null || return 1
    set -- ${s##*) }
    [ "$1" != Z ] && echo "$b ${20}"
  else ps -o lstart= -p "$1" 2>/dev/null
  fi
}
mark() { { echo "$2"; born "$2"; } > "$1.new" && mv "$1.new" "$1"; }
living() {
  p=; { read -r p; IFS= read -r q; } 2>/dev/null < "$1" || return 1
  [ -n "$p" ] && [ -n "$q" ] && kill -s 0 "$p" 2>/dev/null && [ "$(born "$p")" = "$q" ]
}
nap() { sleep 0.1 2>/dev/null || sleep 1; }
"""

# The agent, its group, all that descends from it, and whatever carries its mark though it has left the family.
_ENDING = """
processes() {
  if [ -r /proc/self/stat ]; then
    for d in /proc/[0-9]*; do
      { read -r s < "$d/stat"; } 2>/dev/null || continue
      i=${d#/proc/}; set -- ${s##*) }
      [ "$1" = Z ] || echo "$i $2 $3"
    done
  else ps -A -o pid= -o ppid= -o pgid=
  fi
}
victims() {
  m=$(grep -lzxF "CLAWDBOX_AGENT=$I" /proc/[0-9]*/environ 2>/dev/null | tr -dc "0-9\\n" | tr "\\n" " ")
  l=; living leader && l=$p
  processes | awk -v l="$l" -v m="$m" -v me=$$ '
    { parent[$1] = $2; if (l != "" && ($1 == l || $3 == l)) want[$1] = 1 }
    END {
      n = split(m, marked, " "); for (i = 1; i <= n; i++) if (marked[i] in parent) want[marked[i]] = 1
      do { more = 0; for (c in parent) if (!(c in want) && (parent[c] in want)) { want[c] = 1; more = 1 } } while (more)
      for (c in want) if (c != me) printf "%s ", c
    }'
}
end_all() {
  n=0
  while v=$(victims); [ -n "$v" ]; do
    if [ $n -eq 0 ]; then kill -s TERM $v; elif [ $n -ge 10 ]; then kill -s KILL $v; fi 2>/dev/null
    n=$((n+1)); [ $n -lt 60 ] || return 1
    nap
  done
}
"""

# What a login has, for programs and keys that its profile names: an agent is started as a person would start it.
_LOGIN = f"""
case "${{SHELL##*/}}" in bash|zsh|ksh|mksh|fish|sh|dash|ash) login="$SHELL -l" ;; *) login=sh ;; esac
env_of_login=$($login -c env </dev/null 2>/dev/null)
own_path=$(printf '%s\\n' "$env_of_login" | sed -n 's/^PATH=//p' | tail -n 1)
PATH="${{own_path:-$PATH}}:/usr/local/bin:/usr/bin:/bin"
find_program() {{
  command -v "$1" 2>/dev/null | grep '^/' && return
  for d in {PLACES}; do [ -f "$d/$1" ] && [ -x "$d/$1" ] && echo "$d/$1"; done | tail -n 1 | grep .
}}
"""


def folder(conversation_id: str) -> str:
    if not _ID.fullmatch(conversation_id):
        raise ValueError(f"no id of a conversation: {conversation_id!r}")
    return f"""
umask 077
I={conversation_id}
D="${{XDG_STATE_HOME:-$HOME/.local/state}}/clawdbox/agents/$I"
"""


def start(
    conversation_id: str,
    gen: str,
    *,
    programs: Sequence[str],
    arguments: Sequence[str],
    command: str | None,
    directory: str | None,
    environment: Mapping[str, str],
    idle_s: float,
) -> str:
    """Start the agent, unless this very start has run before. Answers `key=value` lines; `state` says how it went."""
    names = " ".join(quote(name) for name in programs)
    exports = "".join(f"export {name}={quote(value)}; " for name, value in environment.items())
    what = f"sh -c {quote(command)}" if command else " ".join(['"$P"', *(quote(word) for word in arguments)])
    step = max(1, round(idle_s / _WATCHES))
    return f"""
{folder(conversation_id)}{_PROCESSES}{_ENDING}
mkdir -p "$D" && cd "$D" || {{ echo state=no_folder; exit 0; }}
n=0
until mkdir lock 2>/dev/null; do
  living lock/holder || {{ n=$((n+1)); [ $n -lt 5 ] || {{ rm -rf lock; n=0; }}; }}
  nap
done
mark lock/holder $$
if living leader && [ "$(cat gen 2>/dev/null)" = {gen} ]; then
  rm -rf lock; echo state=alive; echo "cwd=$(cat cwd)"; exit 0
fi
end_all
rm -rf in out err leader line sent status cwd
{_LOGIN}
if [ -n {quote(command or "")} ]; then P=
else
  P=; for c in {names or "-"}; do P=$(find_program "$c") && break; done
  [ -n "$P" ] || {{ rm -rf lock; echo state=not_found; exit 0; }}
fi
W=$(cd -- {quote(directory) if directory else '"$HOME"'} 2>/dev/null && pwd) || {{ rm -rf lock; echo state=no_directory; exit 0; }}
mkfifo in && mkdir sent && : > out && : > used && printf '%s\\n' "$W" > cwd && printf '%s\\n' {gen} > gen ||
  {{ rm -rf lock; echo state=no_folder; exit 0; }}
cat > run <<'CLAWDBOX_RUN'
cd "$CLAWDBOX_FOLDER" || exit 1
D=$CLAWDBOX_FOLDER; I=$CLAWDBOX_AGENT; W=$CLAWDBOX_DIRECTORY; P=$CLAWDBOX_PROGRAM
unset CLAWDBOX_FOLDER CLAWDBOX_DIRECTORY CLAWDBOX_PROGRAM
export CLAWDBOX_AGENT
trap "" HUP
{_PROCESSES}{_ENDING}
mark leader $$
exec 3<>in
( touch watched; n=0
  while sleep {step}; do
    if [ -n "$(find out used -newer watched 2>/dev/null)" ]; then n=0; touch watched; else n=$((n+1)); fi
    [ $n -lt {_WATCHES} ] || {{ trap "" TERM; end_all; }}
  done ) 3<&- &
[ -z "$P" ] || PATH="${{P%/*}}:$PATH"
PATH="$PATH:/usr/local/bin:/usr/bin:/bin"; export PATH; {exports}
cd "$W" || exit 1
{{ {{ {{ {what} <&3 2>&1 >&4 3<&- 4>&-; printf '\\n{{"clawdbox":"ended","status":%d}}\\n' $? >&4; }} |
  {{ head -c {_ERR_BYTES} > "$D/err"; exec cat > /dev/null; }} 3<&- 4>&-; }} 4>&1; }} |
  {{ ulimit -f {_OUT_BLOCKS}; exec cat >> "$D/out"; }} 3<&-
CLAWDBOX_RUN
CLAWDBOX_AGENT=$I CLAWDBOX_FOLDER=$D CLAWDBOX_DIRECTORY=$W CLAWDBOX_PROGRAM=$P
export CLAWDBOX_AGENT CLAWDBOX_FOLDER CLAWDBOX_DIRECTORY CLAWDBOX_PROGRAM
if command -v setsid >/dev/null 2>&1; then
  setsid $login -c 'exec sh "$CLAWDBOX_FOLDER/run"' </dev/null >/dev/null 2>&1 &
else
  set -m; nohup $login -c 'exec sh "$CLAWDBOX_FOLDER/run"' </dev/null >/dev/null 2>&1 & set +m
fi
n=0; until living leader; do n=$((n+1)); [ $n -lt 150 ] || {{ rm -rf lock; echo state=slow; exit 0; }}; nap; done
rm -rf lock
echo state=started; echo "cwd=$W"; echo "path=$P"
"""


def line(conversation_id: str, gen: str, offset: int) -> str:
    """Listen to the agent from `offset` on, and hand it messages: pairs of lines, a key and the message.

    The first line of stdout says whether it lives, how long its log is; then comes the log. Of each key, stderr says
    `sent`, `again` (it was handed over before) or `unknown` (somebody began to, and nobody knows how that ended).
    """
    return f"""
{folder(conversation_id)}{_PROCESSES}
cd "$D" 2>/dev/null && [ "$(cat gen 2>/dev/null)" = {gen} ] || {{ echo "gone 0"; exit 0; }}
if living line; then
  o=$p; kill -s TERM "$o"; n=0
  while living line; do n=$((n+1)); [ $n -lt 20 ] || kill -s KILL "$o"; nap; done
fi
mark line $$
: > used
stop=; trap 'stop=1' TERM; trap '' PIPE
exec 3<&0 5<>in
if living leader; then echo "alive $(($(wc -c < out)))"; else echo "dead $(($(wc -c < out)))"; fi
tail -c +{int(offset) + 1} -f out 2>/dev/null 3<&- 5>&- & t=$!
( while living leader; do sleep 1; done; sleep 1; kill $t; kill -s TERM $$ ) 3<&- 5>&- >/dev/null 2>&1 & w=$!
while [ -z "$stop" ] && IFS= read -r k <&3 && IFS= read -r m <&3; do
  : > used
  if mkdir "sent/$k" 2>/dev/null; then
    if printf '%s\\n' "$m" >&5; then : > "sent/$k/done"; echo "sent $k" >&2; else echo "unknown $k" >&2; fi
  elif [ -e "sent/$k/done" ]; then echo "again $k" >&2
  else echo "unknown $k" >&2
  fi
done
kill $t $w 2>/dev/null
"""


def call_off(
    conversation_id: str,
    gen: str,
    messages: Sequence[tuple[str, str]],
    needle: str,
    offset: int,
    grace_s: float,
) -> str:
    """Hand over the last messages, and wait until the agent has said `needle`; if it does not, end it and all it began."""
    put = "".join(
        f"mkdir sent/{_key(key)} 2>/dev/null && {{ printf '%s\\n' {quote(message)} >&5; : > sent/{key}/done; }}\n"
        for key, message in messages
    )
    return f"""
{folder(conversation_id)}{_PROCESSES}{_ENDING}
trap '' HUP PIPE
cd "$D" 2>/dev/null && [ "$(cat gen 2>/dev/null)" = {gen} ] || {{ echo gone; exit 0; }}
living leader || {{ end_all; echo ended; exit 0; }}
exec 5<>in
{put}exec 5>&-
n=0
while [ $n -lt {int(grace_s * 10)} ]; do
  tail -c +{int(offset) + 1} out | grep -q {quote(needle)} && {{ echo ended; exit 0; }}
  living leader || break
  n=$((n+1)); nap
done
end_all && echo killed || echo left
"""


def kill(agents: Mapping[str, str], *, remove: bool = False) -> str:
    """End these agents (conversation → which start, "" for any) and all that they began, at once.

    Says `had` for each that lived, and `left` for one that could not be ended.
    """
    after = 'cd /; rm -rf "$D"' if remove else ":"
    parts = "".join(
        f"({folder(one)}{_PROCESSES}{_ENDING}trap '' HUP; cd \"$D\" 2>/dev/null || exit 0\n"
        f'G={quote(gen)}; [ -z "$G" ] || [ "$(cat gen 2>/dev/null)" = "$G" ] || exit 0\n'
        f"living leader && echo had; end_all || echo left\n{after}\n) &\n"
        for one, gen in agents.items()
    )
    return f"{parts}wait"


def last_words(conversation_id: str) -> str:
    """What the agent wrote to its error output at last."""
    return f'{folder(conversation_id)}tail -c 2000 "$D/err" 2>/dev/null'


def answers(said: bytes) -> dict[str, str]:
    """The `key=value` lines of an answer."""
    lines = said.decode("utf-8", "replace").splitlines()
    return {key: value for key, found, value in (text.partition("=") for text in lines) if found}


def login_part() -> str:
    return _LOGIN


def _key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"no key of a message: {key!r}")
    return key


def words(names: Sequence[str]) -> str:
    """Several words as one argument, to be split again."""
    return quote(" ".join(names))
