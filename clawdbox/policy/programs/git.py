"""git, which runs what a repository's own settings name: it refuses those of other users, and the box those it is given."""

import re

from clawdbox.policy import paths
from clawdbox.policy.model import Class, Finding, Word, words
from clawdbox.policy.rule import Call, Given
from clawdbox.policy.table import table
from clawdbox.policy.weigh import reading, unknown, writing

_TABLE = """
== shared

@diff:
  -NUM -pPuszwbRaB -U= -M=? -C=? -S= -G= --patch --no-patch --stat=? --shortstat --numstat --name-only --name-status
  --summary --raw --color=? --no-color --word-diff=? --ignore-all-space --ignore-space-change --ignore-blank-lines
  --unified= --no-ext-diff --no-textconv --find-renames=? --diff-filter= --no-renames --minimal --patience --histogram
  --diff-algorithm= --abbrev=? --full-index --binary --check --compact-summary --dirstat=? --relative=? --text

@log:
  @diff
  -iEFqcmrtg -n= -L= --oneline --graph --all --branches=? --tags=? --remotes=? --decorate=? --no-decorate --format=
  --pretty=? --max-count= --skip= --since= --after= --until= --before= --author= --committer= --grep= --follow
  --first-parent --merges --no-merges --reverse --date= --abbrev-commit --topo-order --date-order --left-right
  --cherry-pick --source --no-show-signature --parents --simplify-by-decoration --walk-reflogs --quiet --no-notes --count

@names:
  -NUM -avrlq -n= --all --list --contains=? --merged=? --no-merged=? --points-at= --sort= --format= --color=? --no-color
  --show-current --column=? --verbose --remotes --ignore-case --abbrev=?

== read

git status: shows what has changed
  takes text
  -sbvz -u=? --short --branch --porcelain=? --untracked-files=? --ignored=? --long --show-stash --no-renames --verbose

git log|show|rev-list: shows commits
  takes text
  check inside
  @log

git diff: shows what has changed
  takes text
  check inside
  @diff
  --cached --staged --merge-base --quiet --exit-code

git blame: shows who wrote lines
  takes text
  check inside
  -bcefklnpstw -L= --date= --porcelain --since=

git grep: searches files
  takes text
  check searched
  -NUM -aiIwvEFPnlLcoqhHpW -e= -A= -B= -C= --cached --count --name-only --line-number --ignore-case --and
  --or --not --max-depth= --color=? --break --heading

git branch: lists branches
  takes text
  check naming
  @names
  change -mMcCuf --move --copy --set-upstream-to= --unset-upstream --force: changes branches
  destructive -dD --delete: deletes branches | Commits that only that branch had are hard to find again.

git tag: lists tags
  takes text
  check naming
  @names
  change -asfm -m= --annotate --force --message=: changes tags
  destructive -d --delete: deletes tags

git remote: shows where it is fetched from

git remote get-url: shows where it is fetched from
  takes text
  --all --push

git stash list|show: shows what was put aside
  takes text
  check inside
  @log

git reflog: shows what happened

git reflog show: shows what happened
  takes text
  check inside
  @log

git ls-files: lists files
  takes text
  -cdmoiksutvzf --cached --deleted --modified --others --ignored --stage --exclude-standard --full-name

git ls-tree: lists files
  takes text
  -drtlz --name-only --full-tree --long

git rev-parse: looks names of commits up
  takes text
  -q --short=? --abbrev-ref=? --verify --show-toplevel --git-dir --is-inside-work-tree --symbolic-full-name --quiet
  --show-prefix --is-bare-repository

git describe: names a commit
  takes text
  --tags --all --always --long --dirty=? --abbrev= --match= --exact-match --contains

git cat-file: shows an object
  takes text
  check inside
  -tspe

git shortlog: counts commits
  takes text
  -nsec --summary --numbered --email --since= --until= --all

git show-ref: lists names
  takes text
  -qds --heads --tags --head --verify --hash=?

git for-each-ref: lists names
  takes text
  check formats
  --count= --sort= --format= --contains=? --merged=?

git merge-base: finds a common commit
  takes text
  -a --all --is-ancestor --fork-point

git count-objects: measures it
  -vH

git name-rev: names a commit
  takes text
  --tags --name-only

git check-ignore: says what is left out
  takes text
  -qvn

git version: asks for its version

git worktree list: lists folders
  -v --porcelain

== change

git stash: puts changes aside

git stash push|save|apply|pop|branch: puts changes aside, or takes them back
  takes text
  -ukapq -m= --include-untracked --keep-index --index --message= --quiet

git worktree add|prune|move|lock|unlock: makes or moves folders
  takes text
  check placed
  -f -b= -B= --detach

git add: marks changes
  takes text
  -AuvnfN --all --update --verbose --dry-run --force --intent-to-add

git mv: moves files
  takes text
  -fknv

git commit: commits, which may run hooks
  takes text
  -avqsn -m= -F=read --all --message= --file=read --amend --no-edit --allow-empty --signoff --quiet --author= --date=
  --no-verify

git fetch|ls-remote: asks another machine for commits
  takes text, egress
  starts ssh
  check transport
  -apqtvh --all --prune --tags --quiet --verbose --depth= --unshallow --no-tags --dry-run --heads --refs

git remote show|update|prune: asks another machine for commits
  takes text, egress
  starts ssh

git pull: fetches commits and files
  takes text, egress
  starts ssh
  check transport
  -qrv --rebase=? --ff-only --no-rebase --quiet --autostash --no-edit --tags --prune

git clone: fetches a repository
  takes text, egress
  starts ssh
  check cloned
  -qnv -b= -o= --depth= --branch= --single-branch --bare --mirror --quiet --no-checkout --no-tags --filter=
  --shallow-since=

git push: sends commits to another machine
  takes text, egress
  starts ssh
  check pushed
  -uqvn --set-upstream --tags --quiet --verbose --dry-run --all --follow-tags
  destructive -fd --force --force-with-lease=? --delete --mirror --prune: replaces what others have | Commits of others that it replaces are hard to bring back.

git merge|rebase|cherry-pick|revert|am|apply: changes files and commits, and may run hooks
  takes text
  -qnv3 -s= -m= -X= --abort --continue --skip --no-ff --ff-only --no-edit --squash --no-commit --onto= --quiet --check
  --stat --cached --index --3way --autostash --allow-unrelated-histories

git switch: goes to another branch
  takes text
  -dqt -c= -C= --create= --detach --quiet --track
  destructive -f --force --discard-changes: throws changes away | Changes that were not committed are gone.

git reset: moves a branch
  takes text
  -q --soft --mixed --quiet --keep
  destructive --hard --merge: throws changes away | Changes that were not committed are gone.

git gc: tidies up
  -q --auto --quiet
  destructive --prune=? --aggressive: removes what nothing points to

git init: makes a repository
  takes text
  -q -b= --bare --initial-branch=

== privileged

git remote add|set-url|rename|remove|rm|set-head|set-branches: changes where it is fetched from
  takes text, loose

== destructive

git stash drop|clear: deletes what was put aside
  takes text, loose
  undo What was put aside is gone.

git reflog expire|delete|drop|write: forgets what happened
  takes text, loose
  undo Commits that nothing else names are hard to find again.

git worktree remove: removes a folder
  takes text, loose
  undo Changes that were not committed are gone.

git rm|clean: deletes files
  takes text, loose
  undo What is deleted, and was not committed, is gone.

git checkout|restore: goes to another state, over changes that were not committed
  takes text, loose
  undo Changes that were not committed are gone.

git prune: removes what nothing points to
  takes text, loose

== before

git:
  -P -C= --no-pager --no-optional-locks --literal-pathspecs

git remote:
  -v --verbose

git stash:
  -uka -m= -q

git reflog:
  -NUM -n= --all
"""


def _inside(call: Call, given: Given) -> list[Finding]:
    """Paths, and `HEAD:path`, may name a secret; `%G` has gpg check a signature."""
    lines = [value for name, value in given.options if name == "-L" and value]
    found = [finding for word in (*given.operands, *lines) for finding in _seen(word, call)]
    return found + _formats(call, given)


def _searched(call: Call, given: Given) -> list[Finding]:
    """`git grep`: the first word is the pattern, unless -e gave one."""
    files = given.operands if given.has("-e") else given.operands[1:]
    return [finding for word in files for finding in _seen(word, call)]


def _formats(_call: Call, given: Given) -> list[Finding]:
    formats = [value.text for _, value in given.options if value]
    if any("%G" in text or "signature" in text for text in formats):
        return [unknown("git", "with a format for which it runs gpg.")]
    return []


def _seen(word: Word, call: Call) -> list[Finding]:
    """A path or a pattern, which git itself fills in: its `*` fits hidden files and folders, too."""
    path = _path(word)
    found = reading(path, call)
    ending = _ENDING.fullmatch(path.text)
    if found or not _WILD.search(path.text) or (ending and not paths.ends_as_secret(ending[1])):
        return found
    return [unknown("git", "with a pattern that may mean files in which secrets are kept.")]


_WILD = re.compile(r"[*?\[]")
_ENDING = re.compile(r"(?:[\w.*/-]*/)?\*(\.\w+)")
_MAGIC = re.compile(r":(?:\([^)]*\)|[!^/]*)")  # `:(glob)…`, `:!…`


def _path(word: Word) -> Word:
    text = _MAGIC.sub("", word.text, count=1) if word.text.startswith(":") else word.text
    return Word(text.rpartition(":")[2], word.start, word.end, word.bare, word.glob, word.known)


def _naming(call: Call, given: Given) -> list[Finding]:
    """`git branch x` makes one; with `--list` and its like, `x` is a pattern."""
    asks = given.has("-l", "--list", "--contains", "--merged", "--no-merged", "--points-at")
    found = _formats(call, given)
    return (
        [*found, Finding(Class.CHANGE, "It makes or moves a name of a commit.")]
        if given.operands and not asks
        else found
    )


def _transport(_call: Call, given: Given) -> list[Finding]:
    odd = any("::" in word.text or word.text.startswith("-") for word in given.operands)
    return [unknown("git", "with a place that names a program.")] if odd else []


def _placed(call: Call, given: Given) -> list[Finding]:
    """What is in a folder that git makes, commits say."""
    return [finding for word in given.operands for finding in writing(word, call, tree=True)]


def _cloned(call: Call, given: Given) -> list[Finding]:
    into = given.operands[1:2] or [Word(re.sub(r"(?:/?\.git)?/*$", "", word.text)) for word in given.operands]
    names = [word if given.operands[1:] else Word(re.split(r"[/:]", word.text)[-1]) for word in into]
    return _transport(call, given) + [f for word in names for f in writing(word, call, tree=True)]


def _pushed(call: Call, given: Given) -> list[Finding]:
    found = _transport(call, given)
    if any(word.text.startswith(("+", ":")) for word in given.operands):
        found.append(Finding(Class.DESTRUCTIVE, "It replaces or deletes a branch on another machine."))
    return found


_ASKS = words("--get --get-all --list -l --get-regexp")
_ABOUT = words("--show-origin --show-scope --global --local --system --name-only --null -z")


def _asks(texts: list[str]) -> bool:
    """`--get name`, `list`, `get name`: where a word follows the first that is no option, git sets it."""
    plain = next((at for at, text in enumerate(texts) if not text.startswith("-")), len(texts))
    dashed, rest = set(texts[:plain]), texts[plain:]
    if not dashed <= _ASKS | _ABOUT:
        return False
    if dashed & _ASKS:
        return len(rest) <= 1
    names = [text for text in rest[1:] if text not in _ABOUT]
    most = {"list": 0, "get": 1}.get(rest[0] if rest else "", -1)
    return len(names) <= most and not any(text.startswith("-") for text in names)


def _config(call: Call) -> list[Finding]:
    """Only reading: what git is told to run stands in there, too."""
    if _asks([word.text for word in call.words]) and all(word.known for word in call.words):
        return [Finding(Class.READ, "It runs `git config`, which shows its settings.", credentials=True)]
    return [Finding(Class.PRIVILEGED, "It changes what git does and runs later.")]


GIT = table(
    _TABLE,
    {
        "inside": _inside,
        "searched": _searched,
        "formats": _formats,
        "naming": _naming,
        "transport": _transport,
        "placed": _placed,
        "cloned": _cloned,
        "pushed": _pushed,
    },
    git__config=_config,
)
