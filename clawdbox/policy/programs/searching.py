"""find, grep and rg: what they look into, and what else they can be made to do."""

from clawdbox.policy import paths
from clawdbox.policy.model import Class, Finding, Word, words
from clawdbox.policy.rule import Call, Given
from clawdbox.policy.table import table
from clawdbox.policy.weigh import reading, showing_tree, unknown, writing

_TABLE = """
== read

grep: searches files
  takes text
  check searched
  -NUM -abcEFGhHiIlLnoPqRrsTUvwxyzZ -A= -B= -C= -d= -D= -e= -f=read -m= --text --byte-offset --count --color=?
  --colour=? --extended-regexp --fixed-strings --basic-regexp --perl-regexp --with-filename --no-filename
  --ignore-case --no-ignore-case --line-number --files-with-matches --files-without-match --only-matching --quiet
  --silent --recursive --dereference-recursive --no-messages --invert-match --word-regexp --line-regexp --null
  --null-data --after-context= --before-context= --context= --directories= --devices= --regexp= --file=read
  --max-count= --include= --exclude= --exclude-dir= --exclude-from=read --label= --line-buffered --binary-files=
  --initial-tab

rg: searches files
  takes text
  check ripped
  -NUM -abcFHhiIlLNnoPpqsSuUvVwx0. -A= -B= -C= -d= -e= -f=read -g= -j= -M= -m= -r= -t= -T= --after-context=
  --before-context= --context= --color= --count --count-matches --files --files-with-matches --files-without-match
  --fixed-strings --glob= --iglob= --heading --no-heading --hidden --ignore-case --smart-case --case-sensitive
  --invert-match --json --line-number --no-line-number --line-regexp --max-columns= --max-count= --max-depth=
  --max-filesize= --multiline --no-config --no-ignore --no-ignore-vcs --no-messages --null --only-matching --pcre2
  --pretty --quiet --regexp= --file=read --replace= --sort= --sortr= --stats --text --threads= --trim --type=
  --type-not= --type-list --unrestricted --vimgrep --with-filename --no-filename --word-regexp --column --follow
"""


def _searched(call: Call, given: Given) -> list[Finding]:
    """The first word is the pattern, unless -e or -f gave one; the rest is searched."""
    patterns = given.has("-e", "-f", "--regexp", "--file")
    files = given.operands if patterns else given.operands[1:]
    deep = given.has("-r", "-R", "--recursive", "--dereference-recursive") or not (
        set(given.values("-d", "--directories")) <= {"read", "skip"}
    )
    included = [word for name, word in given.options if name == "--include"]
    if not deep or (included and all(_harmless(word) for word in included)):
        return [finding for word in files for finding in reading(word, call)]
    return [finding for word in files or (Word("."),) for finding in showing_tree(word, call)]


def _harmless(word: Word | None) -> bool:
    """`--include=*.conf`: no secret is called like that."""
    return word is not None and not any(paths.secret(f"{folder}/{word.text}") for folder in ("~", "/x"))


def _ripped(call: Call, given: Given) -> list[Finding]:
    """Hidden files are left out unless it is told otherwise."""
    if given.has("--files", "--type-list"):
        return []
    patterns = given.has("-e", "-f", "--regexp", "--file")
    files = given.operands if patterns else given.operands[1:]
    if given.has("-.", "--hidden", "-u", "--unrestricted"):
        return [finding for word in files or (Word("."),) for finding in showing_tree(word, call)]
    return [finding for word in files for finding in reading(word, call)]


_RULES = table(_TABLE, {"searched": _searched, "ripped": _ripped})
grep, ripgrep = _RULES["grep"], _RULES["rg"]

# What find only looks at, and how many words each takes.
_TESTS = {
    **dict.fromkeys(
        words(
            "-true -false -empty -executable -readable -writable -nouser -nogroup -daystart -depth -d -follow "
            "-mount -xdev -noleaf -ignore_readdir_race -noignore_readdir_race -warn -nowarn -print -print0 -prune "
            "-quit -ls -a -and -o -or -not ! ( ) ,"
        ),
        0,
    ),
    **dict.fromkeys(
        words(
            "-amin -anewer -atime -cmin -cnewer -ctime -fstype -gid -group -ilname -iname -inum -ipath -iregex "
            "-iwholename -links -lname -maxdepth -mindepth -mmin -mtime -name -newer -newermt -newerct -newerat "
            "-path -perm -regex -regextype -samefile -size -type -uid -used -user -wholename -xtype -context "
            "-printf"
        ),
        1,
    ),
}
_RUNS = frozenset({"-exec", "-execdir", "-ok", "-okdir"})
_WRITES = {"-fprint": 1, "-fprint0": 1, "-fls": 1, "-fprintf": 2}
_GONE = "What is deleted is gone: there is no waste basket on a server."


def find(call: Call) -> list[Finding]:
    """Every word must be a folder or a test; `-exec` and its like are held against the program they run."""
    return _Find(call).look()


class _Find:
    def __init__(self, call: Call) -> None:
        self._call = call
        self._words = call.words
        self._at = 0
        self._found = [Finding(Class.READ, "It runs `find`, which lists files.")]
        self._roots: list[Word] = []

    def look(self) -> list[Finding]:
        while self._more() and self._text() in ("-H", "-L", "-P", "-O1", "-O2", "-O3"):
            self._at += 1
        while self._more() and not self._text().startswith("-") and self._text() not in ("(", "!", ")", ","):
            self._roots.append(self._words[self._at])
            self._at += 1
        while self._more():
            self._test()
        if any(not word.known for word in self._words):
            self._found.append(unknown("find", "with words that only the running shell knows."))
        if any(word.glob and word.text[0] in "*?[" for word in self._words):
            self._found.append(unknown("find", "with a pattern that is not quoted: put it in quotes."))
        return self._found

    def _more(self) -> bool:
        return self._at < len(self._words)

    def _text(self) -> str:
        return self._words[self._at].text

    def _test(self) -> None:
        name = self._text()
        self._at += 1
        if name in _TESTS:
            self._at += _TESTS[name]
        elif name == "-delete":
            self._found.append(
                Finding(Class.DESTRUCTIVE, "It runs `find -delete`, which deletes files.", undo=_GONE)
            )
            for root in self._roots or [Word(".")]:
                self._found += writing(root, self._call, tree=True)
        elif name in _WRITES:
            if self._more():
                self._found += writing(self._words[self._at], self._call)
            self._at += _WRITES[name]
            self._found.append(Finding(Class.CHANGE, f"It runs `find {name}`, which writes a file."))
        elif name in _RUNS:
            self._run(name)
        else:
            self._found.append(unknown(f"find {name}", "a test that the box does not know."))
        if self._at > len(self._words):
            self._found.append(unknown(f"find {name}", "which lacks a word."))

    def _run(self, name: str) -> None:
        start = self._at
        while self._more() and not self._ends():
            self._at += 1
        inner = self._words[start : self._at]
        self._at += 1
        for root in self._roots or [Word(".")]:
            if inner:
                self._found += self._call.inner(tuple(_filled(word, root) for word in inner))
        self._found.append(unknown(f"find {name}", "which runs another program on everything it finds."))

    def _ends(self) -> bool:
        return self._text() == ";" or (self._text() == "+" and self._words[self._at - 1].text == "{}")


def _filled(word: Word, root: Word) -> Word:
    if "{}" not in word.text:
        return word
    text = word.text.replace("{}", f"{root.text.rstrip('/')}/*")
    return Word(text, word.start, word.end, bare=False, glob=True, known=root.known)
