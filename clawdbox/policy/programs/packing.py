"""What packs, unpacks, patches and cuts files: what is read, and where it lands."""

import re

from clawdbox.policy.model import Finding, Word
from clawdbox.policy.rule import Call, Given
from clawdbox.policy.weigh import reading, reading_tree, showing_tree, unknown, writing


def packed(call: Call, given: Given) -> list[Finding]:
    """`tar`: what is packed is read, what is unpacked may be anything inside of the folder."""
    away = any(":" in archive for archive in given.values("-f", "--file"))
    found = [unknown("tar", "with an archive on another machine.")] if away else []
    operands = given.operands
    if operands and not given.options and re.fullmatch(r"[A-Za-z]+", operands[0].text):
        return [*found, unknown("tar", "with letters that have no dash before them: write tar -x, tar -c …")]
    archives = [word for name, word in given.options if name in ("-f", "--file") and word]
    folders = [word for name, word in given.options if name in ("-C", "--directory") and word]
    if given.has("-x", "--extract", "--get", "-t", "--list"):
        found += [finding for word in archives for finding in reading(word, call)]
        return found if given.has("-t", "--list", "-O") else found + _unpacked(call, given, folders)
    found += [finding for word in archives for finding in writing(word, call)]
    words = [_below(folder, word) for folder in folders or [Word(".")] for word in operands]
    look = showing_tree if any(word.text == "-" for word in archives) else reading_tree
    return found + [finding for word in (*operands, *words) for finding in look(word, call)]


def _below(folder: Word, word: Word) -> Word:
    text = word.text if word.text.startswith(("/", "~")) else f"{folder.text}/{word.text}"
    return Word(text, word.start, word.end, word.bare, word.glob, word.known)


def _unpacked(call: Call, given: Given, folders: list[Word]) -> list[Finding]:
    """What is unpacked may be called anything, inside of its folder."""
    found = [f for word in folders or [Word(".")] for f in writing(word, call, tree=True)]
    if len(folders) > 1 or given.has("-P", "--absolute-names"):
        found.append(unknown(call.program, "which may write to any folder."))
    return found


def unzipped(call: Call, given: Given) -> list[Finding]:
    if given.has("-l", "-t", "-v", "-Z"):
        return []
    return _unpacked(call, Given(), [word for name, word in given.options if name == "-d" and word])


def zipped(call: Call, given: Given) -> list[Finding]:
    """The first word is written, the others are packed."""
    found = [finding for word in given.operands[:1] for finding in writing(word, call)]
    to_screen = any(word.text == "-" for word in given.operands[:1])
    look = reading if not given.has("-r") else showing_tree if to_screen else reading_tree
    return found + [finding for word in given.operands[1:] for finding in look(word, call)]


def patched(call: Call, given: Given) -> list[Finding]:
    """A patch names its files itself."""
    if given.has("--dry-run"):
        return []
    return _unpacked(call, Given(), [word for name, word in given.options if name == "-d" and word])


def pieces(call: Call, given: Given) -> list[Finding]:
    """`split file prefix`: all that begins with the prefix."""
    prefix = given.operands[1].text if len(given.operands) > 1 else "x"
    return writing(Word(f"{prefix}*", glob=True), call)


def streamed(call: Call, given: Given) -> list[Finding]:
    if given.has("-f", "-k") or not given.has("-c", "--stdout", "-l", "--list", "-t", "--test"):
        deep = given.has("-r", "--recursive")
        bare = [Word(_SUFFIX.sub("", word.text)) for word in given.operands]
        found = [f for word in (*given.operands, *bare) for f in writing(word, call, tree=deep)]
        named = given.has("-N") and call.program in ("gzip", "gunzip")
        return [*found, unknown(call.program, "which takes names from what it unpacks.")] if named else found
    return []


_SUFFIX = re.compile(r"\.(?:t?gz|t?xz|lzma|t?bz2?|tbz2|t?zst|z|taz)$", re.IGNORECASE)
