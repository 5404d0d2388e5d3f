"""A strict reading of a command line: the part of the language that the usual login shells understand alike.

Words, quotes, `|`, `&&`, `||`, `;`, new lines, redirections and quoted here-documents. Whatever else there is (variables,
substitutions, control structures, comments, braces …) raises Unclear, with a reason for a person. bash, dash, zsh and fish
agree on what is left, so that what is judged is what runs, whichever of them the server starts. csh does not: for it,
`2>&1` is a file called 1.
"""

import re
import unicodedata

from clawdbox.policy.model import Redirect, Step, Word, words

MAX_LENGTH = 16_384
MAX_STEPS = 100
MAX_WORDS = 500
MAX_PATTERNS = 16

_BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:,+%@=~*?[]-^#")
_ESCAPED = frozenset("()!;*?[]. |$+&<>\"'^{}")
_TILDE = re.compile(r"~(?:[a-z_][a-z0-9_-]*)?(?=[/\s;|&<>]|$)")
_HOME = re.compile(r"\$HOME(?![A-Za-z0-9_\[])|\$\{HOME\}")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=")
_REDIRECT = re.compile(r"([0-2]?)(>>|>&|<<-?|>|<)")
_CONTROL = words(
    "if then elif else fi for while until do done case esac function select time coproc [[ ]] { } ! in begin "
    "end switch and or not foreach repeat"
)
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Drawn as nothing although they are letters or symbols.
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")


class Unclear(Exception):
    """Why the line cannot be read exactly: a sentence for a person."""


def hidden(command: str) -> str | None:
    """Why a person cannot trust what they see of the line, or None."""
    if len(command) > MAX_LENGTH:
        return f"It is longer than {MAX_LENGTH} characters."
    if any(unicodedata.category(char) in _HIDDEN or char in _BLANK for char in command if char not in "\n\t"):
        return "It contains control or invisible characters."
    return None


def read(command: str) -> list[Step]:
    """The simple commands of a line. Raises Unclear."""
    reason = hidden(command)
    if reason:
        raise Unclear(reason)
    return _Reader(command).steps()


def decode(source: str) -> Word:
    """One word as it is written, for words found by another parser. Raises Unclear."""
    reader = _Reader(source)
    word = reader.word()
    if reader.at != len(source):
        raise Unclear("It is more than one word.")
    return word


def _empty(redirect: Redirect) -> bool:
    return redirect.op in ("<", "0<") and redirect.target is not None and redirect.target.text == "/dev/null"


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._word_at = 0
        self._quotes = {"'": self._single, '"': self._double, "\\": self._escape}
        self._bodies: list[tuple[str, bool]] = []  # here-documents that begin at the next new line
        self._width = 0  # bytes of the text up to …
        self._measured = 0  # … this character

    def steps(self) -> list[Step]:
        steps: list[Step] = []
        join = ""
        while True:
            self._blanks(lines=join != "|")
            if self._end():
                break
            step = self._step(join)
            steps.append(step)
            self._limit(steps)
            join = self._join()
        if join in ("|", "&&", "||"):
            raise Unclear("It ends in the middle.")
        if self._bodies:
            raise Unclear("A here-document has no end.")
        return steps

    def _limit(self, steps: list[Step]) -> None:
        """What a look at a line may cost."""
        words = [word for step in steps for word in step.words]
        if len(steps) > MAX_STEPS or len(words) > MAX_WORDS:
            raise Unclear(f"It has more than {MAX_STEPS} commands, or {MAX_WORDS} words.")
        if sum(word.glob for word in words) > MAX_PATTERNS:
            raise Unclear(f"It has more than {MAX_PATTERNS} patterns of names.")

    def _end(self) -> bool:
        return self.at >= len(self.text)

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _blanks(self, *, lines: bool) -> None:
        while not self._end():
            char = self._peek()
            if char in " \t" or (char == "\n" and lines and not self._bodies):
                self.at += 1
            elif self.text.startswith("\\\n", self.at) and (self.at == 0 or self.text[self.at - 1] in " \t"):
                self.at += 2
            else:
                return

    def _join(self) -> str:
        for mark in ("&&", "||", "|&", "|", ";;", ";", "\n"):
            if self.text.startswith(mark, self.at):
                self.at += len(mark)
                if mark in ("|&", ";;"):
                    break
                if mark == "\n":
                    self._skip_bodies()
                    return ";"
                if mark in ("&&", "||") and self._bodies:
                    raise Unclear("A here-document stands in the middle of a line.")
                return mark
        else:
            if self._end():
                return ""
        if self._peek() == "&":
            raise Unclear("It runs something in the background.")
        raise Unclear(
            f"It uses “{self.text[self.at - 1 : self.at + 1].strip()}”, which shells read differently."
        )

    def _skip_bodies(self) -> None:
        for mark, tabs in self._bodies:
            while True:
                if self._end():
                    raise Unclear("A here-document has no end.")
                end = self.text.find("\n", self.at)
                end = len(self.text) if end < 0 else end
                line = self.text[self.at : end]
                self.at = min(end + 1, len(self.text))
                if (line.lstrip("\t") if tabs else line) == mark:
                    break
        self._bodies = []

    def _step(self, join: str) -> Step:
        words: list[Word] = []
        assigned: list[tuple[str, Word]] = []
        redirects: list[Redirect] = []
        fed = join == "|"
        while True:
            self._blanks(lines=False)
            found = _REDIRECT.match(self.text, self.at)
            if found:
                redirect = self._redirect(found)
                fed = fed or (redirect.op.startswith(("<", "0<")) and not _empty(redirect))
                redirects.append(redirect)
                continue
            if self._end() or self._peek() in "|&;\n":
                break
            word = self.word(first=not words)
            name = _ASSIGNMENT.match(self.text, self._word_at, self.at)
            if name and not words:
                value = word.text[len(name[0]) :]
                assigned.append((name[1], Word(value, word.start, word.end, word.bare, word.glob)))
            elif len(words) < MAX_WORDS:
                words.append(word)
            else:
                raise Unclear(f"It has more than {MAX_WORDS} words.")
        if not words and not redirects and not assigned:
            raise Unclear("A command is missing.")
        return Step(tuple(words), tuple(assigned), tuple(redirects), join, fed)

    def _redirect(self, found: re.Match[str]) -> Redirect:
        number, mark = found[1], found[2]
        self.at = found.end()
        if mark == ">&":
            to = self._peek()
            self.at += 1
            if to not in ("1", "2") or (not self._end() and self._peek() not in " \t\n;|&<>"):
                raise Unclear("It redirects to something that shells read differently.")
            return Redirect(f"{number}>&{to}")
        if self._peek() in ("(", ">", "<", "&", "|", ""):
            raise Unclear("It uses a redirection that shells read differently.")
        self._blanks(lines=False)
        target = self.word()
        if mark.startswith("<<"):
            if target.bare or "\n" in target.text:
                raise Unclear(
                    "It has a here-document in which the shell replaces variables: quote its end mark."
                )
            self._bodies.append((target.text, mark == "<<-"))
            return Redirect(f"{number}<<", target)
        if target.glob:
            raise Unclear("It redirects to a file whose name is a pattern.")
        return Redirect(number + mark, target)

    def word(self, *, first: bool = False) -> Word:
        self._word_at = start = self.at
        text, bare, glob = "", True, False
        if self._peek() in ("=", "^", "#", "%"):
            raise Unclear(
                f"A word begins with “{self._peek()}”, which shells read differently: put it in quotes."
            )
        if self._peek() == "~" and not _TILDE.match(self.text, self.at):
            raise Unclear("A word begins with “~” in a way that shells read differently.")
        while not self._end() and self._peek() not in " \t\n|&;<>":
            char = self._peek()
            if char in self._quotes:
                text, bare = text + self._quotes[char](), False
            elif char == "$":
                text += self._home()
            else:
                glob = glob or char in "*?["
                text += self._plain(char)
        if self.at == start:
            raise Unclear("A word is missing.")
        if first and bare and text in _CONTROL:
            raise Unclear("It has a control structure of the shell.")
        begin = self._bytes(start)
        return Word(text, begin, self._bytes(self.at), bare, glob)

    def _bytes(self, at: int) -> int:
        if at < self._measured:
            self._width = self._measured = 0
        self._width += len(self.text[self._measured : at].encode(errors="replace"))
        self._measured = at
        return self._width

    def _plain(self, char: str) -> str:
        if self.text.startswith("{}", self.at):
            self.at += 2
            return "{}"
        if not char.isascii():
            raise Unclear("It has letters outside of quotes that look like others.")
        if char not in _BARE:
            if char == "!" and re.match(r"!(?=[\s=]|$)", self.text[self.at :]):
                self.at += 1
                return char
            raise Unclear(_ODD.get(char, f"It uses “{char}” outside of quotes."))
        self.at += 1
        return char

    def _single(self) -> str:
        end = self.text.find("'", self.at + 1)
        if end < 0:
            raise Unclear("A quote is not closed.")
        text = self.text[self.at + 1 : end]
        if "\\\\" in text or text.endswith("\\"):
            raise Unclear("A backslash stands before another one or a quote, which shells read differently.")
        self.at = end + 1
        return text

    def _double(self) -> str:
        text = ""
        self.at += 1
        while not self._end():
            char = self._peek()
            if char == '"':
                self.at += 1
                return text
            if char == "`" or (char == "!" and not re.match(r"![\s=\"]", self.text[self.at :])):
                raise Unclear(_ODD.get(char, "It uses “!” inside of quotes, which some shells replace."))
            if char == "\\" and self.text[self.at + 1 : self.at + 2] in ("\\", '"', "$", "`", "\n", "!", ""):
                raise Unclear("A backslash stands inside of double quotes: use single quotes.")
            if char == "$" and not re.match(r"\$[\" /|)]", self.text[self.at :]):
                text += self._home()
                continue
            text += char
            self.at += 1
        raise Unclear("A quote is not closed.")

    def _escape(self) -> str:
        char = self.text[self.at + 1 : self.at + 2]
        if char not in _ESCAPED:
            raise Unclear("A backslash stands before a letter.")
        self.at += 2
        return char

    def _home(self) -> str:
        found = _HOME.match(self.text, self.at)
        if not found:
            raise Unclear(_ODD["$"])
        self.at = found.end()
        return "~"


_ODD = {
    "$": "It uses a variable or a substitution, which only the running shell knows.",
    "`": "It runs a command inside of another one.",
    "(": "It uses brackets of the shell.",
    ")": "It uses brackets of the shell.",
    "{": "It uses braces of the shell.",
    "}": "It uses braces of the shell.",
    "#": "It has a comment, which not every shell leaves out.",
}
