"""Programs that run another one, judged by what they run; and interpreters, into whose programs nobody looks."""

from clawdbox.policy.model import Class, Finding, Word
from clawdbox.policy.rule import Call, Entry, Operands, Rule, Special, Style, parsed, sort
from clawdbox.policy.table import table
from clawdbox.policy.variables import says_only
from clawdbox.policy.weigh import unknown

_TABLE = """
== read

history: shows what people typed
  takes text, loose
  check typed

== unknown

python|python2|python3|perl|ruby|node|nodejs|php|lua|deno|bun|java|tclsh|Rscript|go|cargo|rustc|dotnet|osascript|pwsh: runs code that the box does not look into
  takes text, loose

make|cmake|ninja|gcc|g++|cc|gdb|expect|ansible|ansible-playbook|salt|puppet|chef-client|npx|uv|uvx|poetry|bundle|rake|composer: runs code that the box does not look into
  takes text, loose

csh|tcsh|m4|bc|dc|yq|ed|ex|vi|vim|nvim|nano|emacs|less|more|most|man|info|pg|dialog|whiptail: can run other programs
  takes text, loose

alias|unalias|export|unset|declare|local|readonly|typeset|read|mapfile|readarray|getopts|shopt|bind|complete|enable|let: changes how the shell reads what follows
  takes text, loose

function|wait|jobs|fg|bg|disown|pushd|popd|shift|return|break|continue|hash|umask|logout|suspend: changes how the shell reads what follows
  takes text, loose

at|batch|anacron: runs something later
  takes text, loose

fc: runs what people typed again
  takes text, loose

gpg|gpg2|pass|op|bw|vault|secret-tool|age|sops|kwallet-query|keyctl|ssh-vault: handles secrets
  takes text, loose, credentials
"""
_TYPED = Finding(Class.READ, "It shows what people typed.", secret="the history of the shell")


def _runs(options: str, *, first: int = 0, floor: Class = Class.READ, why: str = "") -> Special:
    """`timeout 5 ls`: options, `first` words of its own, and then the other program."""

    def look(call: Call) -> list[Finding]:
        given = sort(call.words, parsed(options, Style.LETTERS), Style.LETTERS, stop=True)
        inner = given.operands[first:]
        found = [Finding(floor, why)] if why else []
        if given.odd is not None or any(not word.known or word.glob for word in given.operands[:first]):
            found.append(
                unknown(f"{call.program} {given.odd or ''}".strip(), "in a way that the box does not know.")
            )
        if not inner:
            return [*found, unknown(call.program, "without a program that it should run.")]
        return found + call.inner(inner)

    return look


def _inside(options: str, first: int = 0) -> Special:
    """Wrappers that change what the other program sees, or when it runs: never less than unknown."""
    return _runs(
        options,
        first=first,
        floor=Class.UNKNOWN,
        why="It changes what another program sees, or when it runs.",
    )


_SUDO = "-nHbSEPk -u= -g= --non-interactive --user= --group= --set-home --preserve-env"
_SUDO_ASKS = (["-l"], ["-n", "-l"], ["-ln"], ["-nl"], ["-v"], ["-n", "-v"], ["-nv"], ["-k"])


def _sudo(call: Call) -> list[Finding]:
    if call.program == "sudo" and [word.text for word in call.words] in _SUDO_ASKS:
        return [Finding(Class.READ, "It asks `sudo` what is allowed.")]
    look = _as_other_user if call.program == "sudo" else _as_other_user_doas
    return look(call)


_OTHER = "It runs with the rights of another user."
_as_other_user = _runs(_SUDO, floor=Class.PRIVILEGED, why=_OTHER)
_as_other_user_doas = _runs("-n -u=", floor=Class.PRIVILEGED, why=_OTHER)


def _env(call: Call) -> list[Finding]:
    """`env A=b program`; alone it shows the environment."""
    options = parsed("-i0v -u= --ignore-environment --unset= --null", Style.LETTERS)
    given = sort(call.words, options, Style.LETTERS, stop=True)
    words = list(given.operands)
    found: list[Finding] = []
    while words and "=" in words[0].text:
        name, _, value = words.pop(0).text.partition("=")
        if not says_only(name, value):
            found.append(
                Finding(Class.UNKNOWN, f"It sets the variable {name}, which may change what programs do.")
            )
    if given.odd is not None:
        found.append(unknown(f"env {given.odd}", "an option that the box does not know."))
    if not words:
        why = "It runs `env`, which shows variables of the environment."
        return [*found, Finding(Class.READ, why, credentials=True)]
    return found + call.inner(tuple(words))


def _shell(call: Call) -> list[Finding]:
    """`sh -c '…'`: the text is judged as a line. A script is not looked into, nor is what flows to it."""
    given = sort(call.words, parsed("-celux", Style.LETTERS), Style.LETTERS, stop=True)
    first = given.operands[0] if given.operands else None
    if given.has("-c") and first is not None and first.known and not first.glob:
        found = call.line(first.text)
        if given.odd is None and len(given.operands) == 1 and not given.has("-l"):
            return found
        return [*found, unknown(call.program, "with more words than the box looks at.")]
    if call.fed or first is None:
        return [unknown(call.program, "and hands it commands that the box does not see.")]
    return [unknown(call.program, "which runs a script that the box does not look into.")]


def _eval(call: Call) -> list[Finding]:
    found = [unknown(call.program, "which reads its words as a command.")]
    known = call.words and all(word.known for word in call.words)
    return found + (call.line(" ".join(word.text for word in call.words)) if known else [])


def _xargs(call: Call) -> list[Finding]:
    """The other program gets words that nobody sees."""
    options = parsed(
        "-0rtx -d= -n= -L= -P= -s= -I= -E= --null --no-run-if-empty --max-args= --max-lines= --max-procs= --delimiter= --verbose",
        Style.LETTERS,
    )
    given = sort(call.words, options, Style.LETTERS, stop=True)
    inner = given.operands or (Word("echo"),)
    found = call.inner(inner)
    if given.odd is not None:
        found.append(unknown(f"xargs {given.odd}", "an option that the box does not know."))
    if not _takes_anything(inner[0]):
        why = "What it works on comes from another program, and the box does not see it."
        found.append(Finding(Class.UNKNOWN, why))
    return found


def _takes_anything(program: Word) -> bool:
    """Whether a program does no harm whatever its words are: it only lists names."""
    from clawdbox.policy import programs

    entry = programs.find(program.text)
    return (
        isinstance(entry, Rule)
        and entry.tame
        and entry.klass is Class.READ
        and entry.operands is Operands.LIST
    )


def _command(call: Call) -> list[Finding]:
    """`command -v x` asks; `command x` runs it."""
    if call.words and call.words[0].text in ("-v", "-V"):
        return [Finding(Class.READ, "It asks where a program is.")]
    return _runs_it(call)


_runs_it = _runs("-p")


def _crontab(call: Call) -> list[Finding]:
    words = [word.text for word in call.words]
    if words == ["-l"] or (len(words) == 3 and words[0] == "-u" and words[2] == "-l"):
        return [Finding(Class.READ, "It runs `crontab -l`, which lists what runs at which time.")]
    if "-r" in words:
        why = "It runs `crontab -r`, which deletes what runs at which time."
        return [Finding(Class.DESTRUCTIVE, why, undo="The list is gone.")]
    return [unknown("crontab", "which changes what runs at which time.")]


def _tmux(call: Call) -> list[Finding]:
    if [word.text for word in call.words] in (
        ["ls"],
        ["list-sessions"],
        ["-ls"],
        ["list-windows"],
        ["list-panes"],
    ):
        return [Finding(Class.READ, f"It lists the terminals of `{call.program}`.")]
    return [unknown(call.program, "in which any program can run.")]


# Options with which a daemon does not start; letters of others mean something else (`named -t` is a folder).
_CHECKS = {
    "sshd": "-t -T -V",
    "nginx": "-t -T -v -V",
    "apache2": "-t -v -V",
    "httpd": "-t -v -V",
    "haproxy": "-v",
    "named": "-v -V",
    "caddy": "-v",
}


def _daemon(call: Call) -> list[Finding]:
    """`sshd -t`, `nginx -t`: a look at the settings."""
    words, checks = {word.text for word in call.words}, set(_CHECKS[call.program].split())
    if words & checks and words <= {*checks, "-q"}:
        return [Finding(Class.READ, f"It runs `{call.program}` to check its settings.")]
    klass = Class.LOCK_OUT if call.program == "sshd" else Class.UNKNOWN
    return [Finding(klass, f"It runs `{call.program}`, which starts or changes a service.")]


_GOES_ON = "It goes on when nobody is there any more."
WRAPPERS: dict[str, Entry] = {
    **table(_TABLE, {"typed": lambda _call, _given: [_TYPED]}),
    **dict.fromkeys(("sudo", "doas"), _sudo),
    "env": _env,
    "timeout": _runs("-v -k= -s= --kill-after= --signal= --preserve-status --foreground --verbose", first=1),
    "nice": _runs("-NUM -n= --adjustment="),
    "ionice": _runs("-t -c= -n= --class= --classdata="),
    "time": _runs("-p"),
    "nohup": _runs("", floor=Class.CHANGE, why=_GOES_ON),
    "setsid": _runs("-fw", floor=Class.UNKNOWN, why=_GOES_ON),
    "stdbuf": _runs("-i= -o= -e= --input= --output= --error="),
    "builtin": _runs(""),
    "command": _command,
    "xargs": _xargs,
    "exec": _inside("-cl -a="),
    "chroot": _inside("", 1),
    "taskset": _inside("-c", 1),
    "chrt": _inside("-bfior", 1),
    "unshare": _inside("-imnpuUCrf"),
    "nsenter": _inside("-aimnpuUC -t="),
    "flock": _inside("-enosux -w=", 1),
    "watch": _inside("-bcdegtx -n="),
    "script": _inside("-q"),
    "systemd-run": _inside(
        "-tPGq -p= -u= --user --scope --unit= --wait --pipe --pty --collect --property= --on-active="
    ),
    "strace": _inside("-f -e= -o= -p="),
    "runuser": _inside("-u= -l="),
    "su": _inside("-l"),
    **dict.fromkeys(
        ("busybox", "toybox", "parallel", "ltrace", "unbuffer", "chronic", "caffeinate"), _inside("")
    ),
    **dict.fromkeys(("sh", "bash", "dash", "zsh", "ksh", "ash", "rbash", "fish", "mksh"), _shell),
    **dict.fromkeys(("eval", ".", "source", "trap"), _eval),
    "crontab": _crontab,
    **dict.fromkeys(("tmux", "screen", "byobu"), _tmux),
    **dict.fromkeys(_CHECKS, _daemon),
}
