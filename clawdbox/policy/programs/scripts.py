"""sed and awk: their little programs, of which only harmless ones are taken."""

import re

from clawdbox.policy.model import Class, Finding, words
from clawdbox.policy.rule import Call, Style, parsed, sort
from clawdbox.policy.weigh import reading, unknown, writing


def _pattern(mark: str) -> str:
    """What stands before a mark. Sets in it have no mark, and no `]` or `[` of their own: there versions of sed differ."""
    end = re.escape(mark)
    named = "" if mark == ":" else r"\[:[a-z]+:\]|"
    members = rf"(?:{named}[^]\[^{end}\\\n])(?:{named}[^]\[{end}\\\n])*"
    return rf"(?:[^{end}\[\\\n]|\\[^\n]|\[\^?{members}\])*"


# An address, a range of them, and what may follow.
_REGEX = rf"/{_pattern('/')}/I?"
_ADDRESS = rf"(?:\d+(?:~\d+)?|\$|{_REGEX})"
_RANGE = rf"(?:{_ADDRESS}(?:,(?:[+~]?\d+|\$|{_REGEX}))?\s*!?)?\s*"
_SUBSTITUTE = "|".join(
    rf"s{re.escape(mark)}{_pattern(mark)}{re.escape(mark)}(?:[^{re.escape(mark)}\\\n]|\\[^\n])*{re.escape(mark)}[gpIi\d]*"
    for mark in "/|#,:@"
)
_COMMAND = rf"{_RANGE}(?:[pdq=]|{_SUBSTITUTE})"
_SED = re.compile(rf"\s*{_COMMAND}\s*(?:;\s*{_COMMAND}\s*)*;?\s*")

_SED_OPTIONS = (
    "-nErsuz -e= --quiet --silent --regexp-extended --separate --unbuffered --null-data --expression= --posix -i=? "
    "--in-place=? --sandbox"
)


_LONGEST = 1000


def sed(call: Call) -> list[Finding]:
    """Addresses, `p`, `d`, `q`, `=` and `s` without its flags that write or run."""
    given = sort(call.words, parsed(_SED_OPTIONS, Style.LETTERS), Style.LETTERS)
    in_place = given.has("-i", "--in-place")
    scripts = [word for name, word in given.options if name in ("-e", "--expression") and word]
    files = given.operands if scripts else given.operands[1:]
    scripts = scripts or list(given.operands[:1])
    does = "changes files in place" if in_place else "edits the text that flows through it"
    found = [Finding(Class.CHANGE if in_place else Class.READ, f"It runs `sed`, which {does}.")]
    if given.odd is not None:
        found.append(unknown(f"sed {given.odd}", "an option that the box does not know."))
    if any(not word.known for word in call.words) or not scripts:
        found.append(unknown("sed", "with words that only the running shell knows."))
    if any(word.glob and word.text[0] in "*?[" for word in call.words):
        found.append(
            unknown("sed", "where a file could be named like an option. Write ./ before the pattern.")
        )
    if not all(len(word.text) < _LONGEST and _SED.fullmatch(word.text) for word in scripts):
        found.append(
            unknown("sed", "with a program that can write files or run others, as far as the box can tell.")
        )
    for word in files:
        found += reading(word, call) + (writing(word, call) if in_place else [])
    return found


_WORDS = words(
    "BEGIN END if else for in while do next exit break continue delete return print printf getline length "
    "substr index split sub gsub match sprintf tolower toupper int sqrt exp log sin cos rand srand NR NF FNR "
    "FS OFS RS ORS FILENAME RSTART RLENGTH SUBSEP strftime systime mktime gensub"
) - {"getline", "while", "do", "return"}
_AWK_OPTIONS = "-F= -v= --field-separator= --assign="
_TOKEN = re.compile(
    r'\s+|"(?:[^"\\\n]|\\[^\n])*"|(?P<name>[A-Za-z_]\w*)|\d+(?:\.\d+)?|(?P<op>\|\||&&|>=|[-+*%!=<>~?:,;{}()\[\]$^.])|(?P<slash>/)'
)
_LITERAL = re.compile(r"/(?:[^/\\\n\[]|\\[^\n]|\[\^?[^]\\\n/]+\])+/")
# Behind these a slash begins a pattern. Behind a variable or a number it divides; what else there is, is not taken.
_BEFORE_PATTERN = words("~ ! ( , && || { } ; print") | {"", "\n"}
_VARIABLES = frozenset(["NR", "NF", "FNR", "RSTART", "RLENGTH"])


def harmless_awk(program: str) -> bool:
    """Whether an awk program only computes and prints: no files, pipes, functions of its own or unknown words."""
    if re.search(
        r"system|getline|close|fflush|function|func\b|@|\\\n|ARG[VC]|SYMTAB|FUNCTAB|PROCINFO", program
    ):
        return False
    at, before, braces, brackets = 0, "", 0, 0
    while at < len(program):
        token = _token(program, at, before)
        if token is None or (token == ">" and braces and not brackets):
            return False  # `print > "file"`; a comparison stands in brackets
        braces += (token == "{") - (token == "}")
        brackets += (token == "(") - (token == ")")
        before = "\n" if "\n" in token else before if token.isspace() else token
        at += len(token)
    return braces == brackets == 0


def _token(program: str, at: int, before: str) -> str | None:
    """The next one, or None where it is not known or not harmless."""
    found = _TOKEN.match(program, at)
    if not found:
        return None
    token = found[0]
    if found["slash"]:
        literal = _LITERAL.match(program, at) if before in _BEFORE_PATTERN else None
        return literal[0] if literal else "/" if _divides(before) else None
    called = found["name"] and token not in _WORDS and re.match(r"\s*\(", program[at + len(token) :])
    return None if called else token


def _divides(before: str) -> bool:
    return before.isdigit() or before in _VARIABLES or (before.isidentifier() and before not in _WORDS)


def awk(call: Call) -> list[Finding]:
    """The first word is a program, the others are files or values."""
    given = sort(call.words, parsed(_AWK_OPTIONS, Style.LETTERS), Style.LETTERS, stop=True)
    program = given.operands[0].text if given.operands else ""
    found = [Finding(Class.READ, f"It runs `{call.program}`, which takes text apart.")]
    if given.odd is not None or not program:
        found.append(
            unknown(f"{call.program} {given.odd or ''}".strip(), "in a way that the box does not know.")
        )
    if any(not word.known for word in call.words):
        found.append(unknown(call.program, "with words that only the running shell knows."))
    if len(program) > _LONGEST or not harmless_awk(program):
        found.append(
            unknown(
                call.program, "with a program that can write files or run others, as far as the box can tell."
            )
        )
    if "ENVIRON" in program:
        found.append(Finding(Class.READ, "It shows variables of the environment.", credentials=True))
    for word in given.operands[1:]:
        found += reading(word, call)
    return found
