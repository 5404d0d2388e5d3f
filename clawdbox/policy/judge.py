"""A command line to a judgement: two readings that must agree, and every part held against the tables."""

import re
from pathlib import PurePosixPath

from clawdbox.policy import paths, programs, reader, tree
from clawdbox.policy.model import Class, Finding, Judgement, Redirect, Step, Word, worst
from clawdbox.policy.reader import Unclear
from clawdbox.policy.rule import Call
from clawdbox.policy.variables import says_only
from clawdbox.policy.weigh import reading, reading_path, unknown, weigh, writing

_MAX_DEPTH = 5
_MAX_FOLDERS = 8
_MAX_OPERATORS = 300
_MAX_NAMED = 50
_MOST_SENTENCES = 8
# Where the system keeps its programs; elsewhere, a program may be anything.
_FOLDERS = frozenset({"/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"})
_NAME = re.compile(r"[A-Za-z0-9_.+\[-]+")
_OPERATORS = re.compile(r"[|&;<>(){}$`\n]")
_NETWORK = re.compile(r"^/dev/(?:tcp|udp)/")
# Paths inside of other words, for the look at what cannot be understood.
_PATHS = re.compile(
    r"(?:~|\.{0,2}/|\.(?=\w))[\w.~@*?/+-]{1,256}|[\w.-]{1,60}\.(?:pem|key|env|kdbx|p12|pfx)\b|\bid_(?:rsa|dsa|ecdsa|ed25519)\b"
)


def judge(command: str, cwd: str | None = None) -> Judgement:
    """What a command line would do, begun in a folder where that is known."""
    return _judgement(_line(command, 0, cwd))


def judge_file(path: str, *, write: bool) -> Judgement:
    """What it means to read or write a file through SFTP."""
    if not write:
        found = reading_path(path, None)
        return _judgement(found or [Finding(Class.READ, f"It reads {path}.")])
    change = paths.change(path)
    return _judgement([Finding(change.klass, change.why, undo=f"What was in {path} before is replaced.")])


def _judgement(found: list[Finding]) -> Judgement:
    ranked = sorted(found, key=lambda one: -one.klass.rank)
    why = dict.fromkeys(one.why for one in ranked if one.why)
    return Judgement(
        worst([one.klass for one in found]),
        tuple(why)[:_MOST_SENTENCES],
        tuple(dict.fromkeys(program for one in found for program in one.programs)),
        next((one.undo for one in ranked if one.undo), None),
        next((one.secret for one in ranked if one.secret), None),
        any(one.egress for one in found),
        any(one.credentials for one in found),
    )


def _line(command: str, depth: int, cwd: str | None = None) -> list[Finding]:
    if not command.strip():
        return [Finding(Class.UNKNOWN, "There is no command.")]
    if depth > _MAX_DEPTH:
        return [Finding(Class.UNKNOWN, "Commands stand inside of commands, too deep to be looked at.")]
    if len(command) > reader.MAX_LENGTH:
        return [Finding(Class.UNKNOWN, f"It is longer than {reader.MAX_LENGTH} characters.")]
    try:
        steps = reader.read(command)
    except Unclear as reason:
        return _unclear(command, str(reason), depth, cwd)
    second = tree.parse(command)
    if second.odd or second.spans != tree.spans(steps):
        return _unclear(command, second.odd[0] if second.odd else "Two ways to read it differ.", depth, cwd)
    return _Line(depth, cwd).look(steps)


def _unclear(command: str, reason: str, depth: int, cwd: str | None) -> list[Finding]:
    """What can be told of a line that is not understood: what it would run, and which secrets it names."""
    if len(_OPERATORS.findall(command)) > _MAX_OPERATORS:
        return [Finding(Class.UNKNOWN, reason), *_tripwire([command])]
    second = tree.parse(command)
    words = [word.text for step in second.steps for word in step.words]
    return [
        *_Line(depth, cwd).look(list(second.steps)),
        Finding(Class.UNKNOWN, reason),
        *_tripwire([command, *words]),
    ]


def _tripwire(texts: list[str]) -> list[Finding]:
    """Secrets that are named somewhere in what is not understood."""
    named = dict.fromkeys(match for text in texts for match in _PATHS.findall(text))
    return [
        finding for path in list(named)[:_MAX_NAMED] for finding in reading_path(path, None) if finding.secret
    ]


class _Line:
    """The steps of a line, one after the other, and the folders that each of them may run in."""

    def __init__(self, depth: int, cwd: str | None = None) -> None:
        self._depth = depth
        self._now: set[str | None] = {cwd}
        self._ever: set[str | None] = {cwd}

    def look(self, steps: list[Step]) -> list[Finding]:
        found: list[Finding] = []
        for at, step in enumerate(steps):
            if step.join in (";", "||"):
                self._now = set(self._ever)
            if len(self._now) > _MAX_FOLDERS:
                return [*found, Finding(Class.UNKNOWN, "It goes to too many folders.")]
            fed = step.fed and not (step.join == "|" and _says_nothing(steps[at - 1]))
            for cwd in sorted(self._now, key=str):
                found += self._step(step, cwd, fed=fed)
            if step.words and step.words[0].text in ("cd", "pushd", "popd"):
                piped = step.join == "|" or (at + 1 < len(steps) and steps[at + 1].join == "|")
                self._move(step, piped=piped)
        return list(dict.fromkeys(found))

    def _move(self, step: Step, *, piped: bool) -> None:
        to = [word.text for word in step.words[1:] if word.text not in ("--", "-P", "-L")]
        target = to[0] if to else "~"
        moved: set[str | None] = {
            target if cwd is None or target.startswith(("/", "~")) else f"{cwd}/{target}" for cwd in self._now
        }
        self._ever |= moved
        self._now = set(self._ever) if piped else moved

    def _step(self, step: Step, cwd: str | None, *, fed: bool) -> list[Finding]:
        call = self._call("", (), cwd, fed=fed)
        found = [finding for name, value in step.assigned for finding in _assignment(name, value, step)]
        for redirect in step.redirects:
            found += _redirect(redirect, call)
        if step.words:
            found += self._command(step.words, cwd, fed=fed)
        return found

    def _call(self, name: str, words: tuple[Word, ...], cwd: str | None, *, fed: bool) -> Call:
        return Call(
            name,
            words,
            cwd,
            fed,
            lambda inner: self._inner(inner, cwd, fed=fed),
            lambda text: _line(text, self._depth + 1, cwd),
        )

    def _inner(self, words: tuple[Word, ...], cwd: str | None, *, fed: bool) -> list[Finding]:
        deeper = _Line(self._depth + 1)
        if deeper._depth > _MAX_DEPTH:
            return [Finding(Class.UNKNOWN, "Commands stand inside of commands, too deep to be looked at.")]
        return deeper._command(words, cwd, fed=fed)

    def _command(self, words: tuple[Word, ...], cwd: str | None, *, fed: bool) -> list[Finding]:
        first, rest = words[0], words[1:]
        name = _program(first)
        if name is None:
            why = f"It runs `{first.text}`, a program that the box cannot tell by its name."
            return [
                Finding(Class.UNKNOWN, why, (first.text,)),
                *_tripwire([word.text for word in words]),
            ]
        entry = programs.find(name)
        ran = Finding(programs=(name,))
        if entry is None:
            return [
                ran,
                unknown(name, "which the box does not know."),
                *_tripwire([word.text for word in rest]),
            ]
        if [word.text for word in rest] in (["--version"], ["--help"]) and programs.tells_version(
            name, placed=first.text != name
        ):
            return [ran, Finding(Class.READ, f"It asks `{name}` about itself.")]
        found = [ran, *weigh(entry, self._call(name, rest, cwd, fed=fed), name)]
        if any(one.klass is Class.UNKNOWN for one in found):
            found += _tripwire([word.text for word in rest])
        return found


def _says_nothing(step: Step) -> bool:
    """`echo | program` only ends the program's input."""
    return [word.text for word in step.words] == ["echo"] and not step.redirects and step.join != "|"


def _program(word: Word) -> str | None:
    if not word.known or not word.bare or (word.glob and word.text != "["):
        return None
    path = PurePosixPath(word.text)
    if "/" in word.text and str(path.parent) not in _FOLDERS:
        return None
    return path.name if _NAME.fullmatch(path.name) and word.text == str(path) else None


def _assignment(name: str, value: Word, step: Step) -> list[Finding]:
    if step.words and value.known and says_only(name, value.text):
        return []
    return [Finding(Class.UNKNOWN, f"It sets the variable {name}, which may change what programs do.")]


def _redirect(redirect: Redirect, call: Call) -> list[Finding]:
    target = redirect.target
    if target is None:
        return []
    if redirect.op.endswith("<<"):
        return [Finding(Class.CHANGE, "It hands a text to a program.")]
    if not target.known:
        return [Finding(Class.UNKNOWN, "It redirects to a file that only the running shell knows.")]
    if _NETWORK.match(target.text):
        return [Finding(Class.UNKNOWN, f"It connects to {target.text}.", egress=True)]
    if redirect.op.endswith("<"):
        return reading(target, call)
    return writing(target, call)
