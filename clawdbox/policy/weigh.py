"""A command against its rule: what its options, operands and paths add up to."""

from clawdbox.policy import paths
from clawdbox.policy.model import Class, Finding, Word
from clawdbox.policy.rule import Call, Entry, Given, Group, Operands, Rule, Takes, parsed, sort

_QUIET = frozenset({"/dev/null", "/dev/stdout", "/dev/stderr", "/dev/tty", "-"})
_PLAIN = frozenset({"-", "/dev/stdin", "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/fd/0"})

# Folders of which everything may be shown: no settings of an application lie there.
_DULL = ("/var/log/", "/usr/include/", "/usr/lib/", "/usr/share/doc/")


def weigh(entry: Entry, call: Call, name: str) -> list[Finding]:
    """What a command does, with its own sentence first."""
    if isinstance(entry, Rule):
        return _by_rule(entry, call, name)
    if isinstance(entry, Group):
        return _by_group(entry, call, name)
    return entry(call)


def unknown(name: str, why: str) -> Finding:
    return Finding(Class.UNKNOWN, f"It runs `{name}`, {why}")


def _by_group(group: Group, call: Call, name: str) -> list[Finding]:
    known = parsed(group.options, group.style)
    given = sort(call.words, known, group.style, stop=True)
    other = group.commands.get("*")
    if given.odd is not None:
        named = f"{name} {given.odd}"
        return (
            weigh(other, call, named) if other else [unknown(named, "an option that the box does not know.")]
        )
    found = [finding for option, value in given.options for finding in _value(known[option], value, call)]
    if not given.operands:
        if group.alone is None:
            return [
                *found,
                unknown(name, "which does nothing that the box knows without a command of its own."),
            ]
        bare = Call(call.program, (), call.cwd, call.fed, call.inner, call.line)
        return found + _by_rule(group.alone, bare, name)
    first = given.operands[0]
    plain = first.known and not first.glob and first.text != "*"
    entry = group.commands.get(first.text, other) if plain else other
    if entry is None:
        if group.alone is not None and group.alone.operands is not Operands.NONE:
            return found + _by_rule(group.alone, call, name)
        return [*found, unknown(f"{name} {first.text}", "which the box does not know.")]
    behind = Call(call.program, given.operands[1:], call.cwd, call.fed, call.inner, call.line)
    return weigh(entry, behind, f"{name} {first.text}") + found


def _by_rule(rule: Rule, call: Call, name: str) -> list[Finding]:
    known = dict(parsed(rule.options, rule.style))
    for worse in rule.raises:
        known.update(parsed(worse.options, rule.style))
    given = sort(call.words, known, rule.style)
    strange = _strange(rule, call, given, name)
    if strange and rule.otherwise is not None:
        klass, does = rule.otherwise
        return [Finding(klass, f"It runs `{name}`, which {does}.")]
    found = [
        Finding(
            rule.klass,
            f"It runs `{name}`, which {rule.does}.",
            rule.helpers,
            rule.undo,
            egress=rule.egress,
            credentials=rule.credentials,
        )
    ]
    for worse in rule.raises:
        used = [option for option, _ in given.options if option in parsed(worse.options, rule.style)]
        if used:
            does = worse.does or rule.does
            found.append(Finding(worse.klass, f"It runs `{name} {used[0]}`, which {does}.", undo=worse.undo))
    found += strange
    for option, value in given.options:
        found += _value(known[option], value, call)
    found += _operands(rule, call, given.operands)
    return found + (rule.check(call, given) if rule.check else [])


def _strange(rule: Rule, call: Call, given: Given, name: str) -> list[Finding]:
    """Why the table says too little about these words."""
    found: list[Finding] = []
    if any(not word.known for word in call.words):
        found.append(unknown(name, "with words that only the running shell knows."))
    if rule.loose:
        return found
    if given.odd is not None:
        found.append(unknown(f"{name} {given.odd}", "an option that the box does not know."))
    if rule.needs and not given.has(*rule.needs):
        found.append(unknown(name, f"which it only knows with {' or '.join(sorted(rule.needs))}."))
    most = 0 if rule.operands is Operands.NONE else rule.most
    if most is not None and len(given.operands) > most:
        found.append(
            unknown(f"{name} {given.operands[most].text}", "with a word that the box does not expect there.")
        )
    open_ended = [word for word in _before_dashes(call.words) if word.glob and word.text[0] in "*?["]
    if open_ended and not rule.tame:
        found.append(
            unknown(
                f"{name} {open_ended[0].text}",
                "where a file could be named like an option. Write ./ before the pattern.",
            )
        )
    return found


def _before_dashes(words: tuple[Word, ...]) -> tuple[Word, ...]:
    texts = [word.text for word in words]
    return words[: texts.index("--")] if "--" in texts else words


def _value(takes: Takes, value: Word | None, call: Call) -> list[Finding]:
    if value is None:
        return []
    if takes is Takes.READ:
        return reading(value, call)
    if takes is Takes.WRITE:
        return writing(value, call)
    return []


def _operands(rule: Rule, call: Call, operands: tuple[Word, ...]) -> list[Finding]:
    found: list[Finding] = []
    for word in operands:
        if rule.operands is Operands.READ:
            found += reading(word, call)
        elif rule.operands is Operands.WRITE:
            found += writing(word, call)
        elif rule.operands is Operands.DELETE:
            found += writing(word, call, tree=True)
    return found


def reading(word: Word, call: Call) -> list[Finding]:
    """What it means that the content of a path is shown."""
    return reading_path(word.text, call.cwd)


def reading_path(path: str, cwd: str | None) -> list[Finding]:
    if path in _PLAIN:
        return []
    sight = paths.secret(path, cwd)
    if sight is None:
        return []
    if sight.sure:
        return [Finding(Class.READ, f"It reads {sight.path}, in which secrets are kept.", secret=sight.path)]
    return [Finding(Class.UNKNOWN, f"It may read secrets: {sight.path} can be many files.", credentials=True)]


def reading_tree(word: Word, call: Call) -> list[Finding]:
    """What it means that everything inside of a path is shown."""
    found = reading(word, call) or reading_path(f"{word.text}/any", call.cwd)
    if not found and paths.holds_secrets(word.text, call.cwd):
        why = f"It reads everything in {word.text}, where secrets may lie: name a folder further down."
        return [Finding(Class.UNKNOWN, why, credentials=True)]
    return found


def showing_tree(word: Word, call: Call) -> list[Finding]:
    """The same where it comes back to whoever asked: settings of an application have passwords in them."""
    found = reading_tree(word, call)
    if found or word.text.startswith(_DULL):
        return found
    return [Finding(Class.READ, f"It shows what is in {word.text}.", credentials=True)]


def landing(into: Word, sources: tuple[Word, ...], call: Call, *, tree: bool = False) -> list[Finding]:
    """What it means to put files into a folder, or over a file: names do not tell which of the two it is."""
    found = writing(into, call)
    for word in sources:
        name = word.text.rstrip("/").rpartition("/")[2]
        if name in ("", ".", ".."):
            found += writing(into, call, tree=True)
        else:
            target = Word(f"{into.text}/{name}", word.start, word.end, word.bare, word.glob, word.known)
            found += writing(target, call, tree=tree)
    return found


def writing(word: Word, call: Call, *, tree: bool = False) -> list[Finding]:
    """What it means that a path is changed, or (`tree`) goes with all that is in it."""
    if word.text in _QUIET:
        return []
    change = paths.change(word.text, call.cwd, tree=tree)
    undo = f"What was in {word.text} before is gone." if change.klass is Class.DESTRUCTIVE else None
    return [Finding(change.klass, change.why, undo=undo)]
