"""What looks like a secret is taken out of text, before a model, the log or a push sees it.

Patterns find what has a shape; a password in a sentence has none. So this is a net below others: secret paths are denied,
and an agent works as a user who may not read what it need not know (docs/guide/agents-policy.md).
"""

import re
from collections.abc import Callable

_LONGEST_LINE = 64 * 1024  # held back at most, while a line has no end
_LONGEST_KEY = 64 * 1024  # of a block whose end never comes

_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY = "[redacted: private key]"

_NAME = (
    r"[\w.-]{0,64}(?:password|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential|auth[_-]?key)"
    r"[\w.-]{0,64}"
)
_VALUE = r"(?:\"[^\"\n]{1,4096}\"|'[^'\n]{1,4096}'|[^\s,;&\"'`]{1,4096})"
# Words that stand after such a name in settings and reports, and are nobody's secret
_PLAIN = re.compile(
    r"[\"']?(?:true|false|yes|no|on|off|null|none|nil|unset|empty|required|optional|enabled|disabled|locked|expired|never|"
    r"ask|prompt|changed|must|not|is|was|has|for|of|the|and|or|to|in|with|via|from|age|aging|\d{1,6}|\*+|x+|\.+|-+|<[^>]*>|"
    r"\[redacted[^\]]*\]?|\$\{\w+\}|(?-i:\$[A-Z_][A-Z0-9_]*)|files?|compat|systemd|sss)[\"'.,;:)]*",
    re.IGNORECASE,
)

# kind → what it looks like; group 1, where there is one, stays
_SHAPES: tuple[tuple[str, str], ...] = (
    ("token", r"\b(?:gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{20,255}|glpat-[\w-]{20,255})"),
    ("token", r"\bxox[abeoprs]-[\w-]{10,255}"),
    ("access key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    ("API key", r"\bAIza[\w-]{35}"),
    ("API key", r"\bsk-(?:[a-z]{2,8}-){0,2}[\w-]{20,512}"),
    ("API key", r"\b[rs]k_(?:live|test)_\w{16,255}"),
    ("token", r"\b(?:npm_[A-Za-z0-9]{30,64}|pypi-[\w-]{40,512}|hf_[A-Za-z0-9]{30,64}|dop_v1_[a-f0-9]{64})"),
    ("token", r"\btskey-[\w-]{10,255}"),
    ("token", r"\b\d{8,10}:[A-Za-z0-9_-]{35}\b"),
    ("token", r"\beyJ[\w-]{8,4096}\.eyJ[\w-]{8,8192}\.[\w-]{4,2048}"),
    ("private key", r"\bAGE-SECRET-KEY-1[A-Z0-9]{50,64}"),
    ("password hash", r"\$(?:1|5|6|7|y|gy|2[abxy]|argon2[a-z]{0,2}|apr1)\$[./A-Za-z0-9$=,+-]{20,512}"),
    ("password", r"(\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@\"']{0,255}:)[^\s@/\"']{1,512}(?=@)"),
    ("credentials", r"(\b(?:proxy-)?authorization[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?:bearer|basic|token|digest|negotiate)\s{1,4})[^\s\"']{4,8192}"),
    ("cookie", r"(\b(?:set-)?cookie\s{0,4}:\s{0,4})[^\r\n]{4,8192}"),
    ("token", r"(\bbearer\s{1,4})[A-Za-z0-9._~+/-]{16,8192}=*"),
    ("password", r"((?:^|\s)--?(?:password|passwd|pass|token|secret|api-?key)(?:=|\s{1,4}))(?![-=])[^\s]{4,4096}"),
    ("password", r"((?<![A-Za-z0-9])(?:passwd|pwd|pass|psk|requirepass)[\"']?\s{0,4}=\s{0,4})(?![=\s])(?!\$\()[^\s,;&\"'`/][^\s,;&\"'`]{3,4096}"),
    ("password", r"(^\s{0,8}(?:requirepass|masterauth)\s{1,8}[\"']?)[^\s\"']{1,4096}"),
    ("password", r"(\b(?:login|account|machine)\s{1,8}\S{1,255}\s{1,8}password\s{1,8})\S{1,4096}"),
    ("password", r"(^\s{0,8}password\s{1,8})\S{4,4096}(?=\s*$)"),
    ("secret", r"(\bdefine\(\s{0,8}[\"'][^\"'\n]{0,64}(?:pass|secret|key|token|salt)[^\"'\n]{0,64}[\"']\s{0,8},\s{0,8}[\"'])[^\"'\n]{1,4096}"),
    ("password", r"(\b(?:mysql\w{0,16}|mariadb(?:-\w{1,16})?|sshpass)\s(?:[^\n]{0,256}?\s)?(?-i:-p)[\"']?)[^\s\"']{1,4096}"),
    ("password", r"(\bcurl\s(?:[^\n]{0,512}?\s)?(?:(?-i:-u)|--user)[ =]?[\"']?[^\s:\"']{1,255}:)[^\s\"']{1,4096}"),
    ("key", r"((?-i:\b(?!PUBLIC)[A-Z0-9]{2,32}(?:_[A-Z0-9]{1,32}){0,4}_(?:KEY|SALT))[\"']?\s{0,4}[:=]\s{0,4}[\"']?)[^\s\"',;]{8,4096}"),
    ("password", r"(<[\w:.-]{0,64}(?:password|passwd|secret|token|api-?key)[\w.-]{0,64}>)[^<\n]{1,4096}"),
)  # fmt: skip
_COMPILED = tuple((kind, re.compile(shape, re.IGNORECASE | re.MULTILINE)) for kind, shape in _SHAPES)
_ASSIGNED = re.compile(rf"(\b{_NAME}[\"']?\s{{0,8}}(?:=>|:=|[:=])\s{{0,8}})({_VALUE})", re.IGNORECASE)
_ASSIGNS = re.compile(r"(?:pass|secret|token|key|credential)[\w.-]{0,64}[\"']?\s{0,8}[:=]", re.IGNORECASE)
_LINES = re.compile(r"[^\r\n]*[\r\n]+|[^\r\n]+")
_SIGNS = re.compile(
    r"pass|secret|token|masterauth|[A-Z0-9]_(?:key|salt)\b|_salt\b|\bdefine\(|\bcurl\s|\bmysql|\bmariadb|(?:api|access|private|auth|ts)[_-]?key|credential|pwd|psk|authorization|cookie|bearer|://|eyJ|\$(?:\d|y|gy|2|argon|apr)|xox|AKIA|ASIA|AIza|sk[-_]|rk_|gh[pousr]_"
    r"|glpat|npm_|pypi-|hf_|dop_v1|\d{8}:",
    re.IGNORECASE,
)


def _replaced(kind: str, match: "re.Match[str]") -> str:
    kept = match.group(1) if match.re.groups else ""
    return f"{kept or ''}[redacted: {kind}]"


def _assigned(match: "re.Match[str]") -> str:
    name, value = match.group(1), match.group(2)
    bare = value.strip("\"'")
    if len(bare) < 4 or _PLAIN.fullmatch(value):
        return match.group()
    kind = next(kind for word, kind in _KINDS if word in name.lower())
    return f"{name}[redacted: {kind}]"


_KINDS = (
    ("pass", "password"), ("token", "token"), ("secret", "secret"), ("key", "key"), ("", "credentials"),
)  # fmt: skip


class Redactor:
    """Of a stream of text. It holds back a line until it has its end, so that no border hides a secret."""

    def __init__(self) -> None:
        self._held = ""
        self._within: int | None = None  # characters of a private key swallowed so far
        self.found: frozenset[str] = frozenset()

    @property
    def is_within_a_key(self) -> bool:
        return self._within is not None

    def feed(self, text: str) -> str:
        whole = self._held + text
        cut = max(whole.rfind("\n"), whole.rfind("\r")) + 1
        if len(whole) - cut > _LONGEST_LINE:
            cut = max(whole.rfind(" ") + 1, len(whole) - _LONGEST_LINE // 2)
        self._held = whole[cut:]
        return self._cleaned(whole[:cut])

    def finish(self) -> str:
        held, self._held = self._held, ""
        return self._cleaned(held)

    def _cleaned(self, text: str) -> str:
        parts: list[str] = []
        while text:
            if self._within is not None:
                text = self._swallowed(text)
                continue
            begin = _BEGIN.search(text)
            parts.append(self._shapes(text[: begin.start()] if begin else text))
            if begin is None:
                break
            parts.append(_KEY)
            self._note("private key")
            self._within, text = 0, text[begin.end() :]
        return "".join(parts)

    def _swallowed(self, text: str) -> str:
        """What is left of a text after the key that it begins within."""
        assert self._within is not None
        end = _END.search(text)
        if end:
            self._within = None
            return text[end.end() :]
        room = _LONGEST_KEY - self._within
        self._within += len(text)
        if len(text) <= room:
            return ""
        self._within = None  # no key is that long: from here on it is text again
        return text[room:]

    def _shapes(self, text: str) -> str:
        """Line by line, since hardly any has a sign of a secret in it."""
        if not _SIGNS.search(text):
            return text
        return "".join(self._line(line) if _SIGNS.search(line) else line for line in _LINES.findall(text))

    def _line(self, line: str) -> str:
        for kind, shape in _COMPILED:
            line = shape.sub(self._noting(kind), line)
        return _ASSIGNED.sub(self._noted_assignment, line) if _ASSIGNS.search(line) else line

    def _noting(self, kind: str) -> Callable[["re.Match[str]"], str]:
        def replace(match: "re.Match[str]") -> str:
            if match.re.groups and _PLAIN.fullmatch(match.group()[len(match.group(1) or "") :]):
                return match.group()
            self._note(kind)
            return _replaced(kind, match)

        return replace

    def _noted_assignment(self, match: "re.Match[str]") -> str:
        after = _assigned(match)
        if after != match.group():
            self._note(after.rpartition("[redacted: ")[2].rstrip("]"))
        return after

    def _note(self, kind: str) -> None:
        self.found |= {kind}


class ProseRedactor:
    """Of what is shown while it is written: a line that has no sign of a secret comes out at once, word by word.

    One that goes on after a restart is fed its last line again, of which so many characters are `shown`.
    """

    def __init__(self, shown: int = 0) -> None:
        self._lines = Redactor()
        self._line = ""
        self._shown = shown  # characters of the line that are out already

    @property
    def unfinished(self) -> tuple[int, int] | None:
        """Characters of the last line, and how many of them are out; None where they alone would not tell how to go on."""
        return None if self._lines.is_within_a_key else (len(self._line), self._shown)

    def feed(self, text: str) -> str:
        whole = self._line + text
        cut = whole.rfind("\n") + 1
        done = self._lines.feed(whole[:cut])[self._shown :] if cut else ""
        if cut:
            self._line, self._shown = whole[cut:], 0
        else:
            self._line = whole
        if self._lines.is_within_a_key or _SIGNS.search(self._line) or "-----" in self._line:
            return done
        end = max(self._shown, len(self._line.rstrip("-")))  # the first of five dashes looks like any other
        begun, self._shown = self._line[self._shown : end], end
        return done + begun

    def finish(self) -> str:
        left = self._lines.feed(self._line) + self._lines.finish()
        shown, self._line, self._shown = self._shown, "", 0
        return left[shown:]


def redact(text: str) -> str:
    """The same for a text that is whole."""
    redactor = Redactor()
    return redactor.feed(text) + redactor.finish()
