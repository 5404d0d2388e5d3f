"""Files and folders: looking at them, and changing them."""

from clawdbox.policy.model import Finding, Word
from clawdbox.policy.programs.packing import packed, patched, pieces, streamed, unzipped, zipped
from clawdbox.policy.programs.searching import find, grep, ripgrep
from clawdbox.policy.rule import Call, Given
from clawdbox.policy.table import table
from clawdbox.policy.weigh import landing, reading, reading_tree, showing_tree, unknown, writing

_TABLE = """
== read

ls: lists files
  takes list, tame
  -aAbBcCdfFgGhHiklLmnNopqQrRsStuUvxXZ1 -I= -w= -T= --all --almost-all --author --block-size= --color=? --directory
  --classify=? --file-type --format= --full-time --group-directories-first --no-group --human-readable --si --hide=
  --ignore= --inode --kibibytes --dereference --numeric-uid-gid --literal --quote-name --quoting-style= --reverse
  --recursive --size --sort= --time= --time-style= --width= --context --zero --escape --ignore-backups

cat: shows files
  takes read, tame
  -AbeEnstTuv --show-all --number-nonblank --show-ends --number --squeeze-blank --show-tabs --show-nonprinting

head: shows the beginning of files
  takes read, tame
  -NUM -qvz -n= -c= --lines= --bytes= --quiet --silent --verbose --zero-terminated

tail: shows the end of files
  takes read, tame
  -NUM -fFqvz -n= -c= -s= --lines= --bytes= --follow=? --retry --pid= --sleep-interval= --quiet --silent --verbose
  --zero-terminated

tac: shows files from the end
  takes read
  -br -s= --before --regex --separator=

nl: shows files with numbers
  takes read
  -p -b= -d= -f= -h= -i= -l= -n= -s= -v= -w=

wc: counts lines
  takes list
  -clLmw --bytes --chars --lines --words --max-line-length --total=

stat: shows what files are
  takes list, tame
  -Lftx -c= --dereference --file-system --terse --format= --printf= --cached=

file: tells what files are
  takes list
  -bhikLNnprsv0 -F= --brief --mime --mime-type --mime-encoding --dereference --no-dereference --separator=
  --keep-going --raw --no-pad

du: measures folders
  takes list
  -0abcDhHklLmPSsx -d= -t= -B= -X=read --all --apparent-size --block-size= --bytes --total --max-depth=
  --human-readable --inodes --count-links --one-file-system --separate-dirs --si --summarize --threshold= --exclude=
  --time=? --time-style= --dereference --no-dereference --null

df: shows how full disks are
  takes list, tame
  -ahHiklPTv -B= -t= -x= --all --block-size= --human-readable --si --inodes --local --no-sync --output=? --portability
  --print-type --total --type= --exclude-type=

tree: lists folders
  takes list
  -adfilpsughDFqNQnCAStrUvxc -L= -P= -I= --noreport --dirsfirst --du --si --inodes --device --prune --filelimit=
  --sort= --charset=

fd|fdfind: lists files
  takes text
  -HIsigLp0aFu -d= -e= -E= -t= -S= -c= --hidden --no-ignore --type= --extension= --max-depth= --exclude=
  --absolute-path --follow --full-path --glob --size= --color= --case-sensitive --ignore-case --changed-within=

readlink: tells where links lead
  takes list, tame
  -efmnqsvz --canonicalize --canonicalize-existing --canonicalize-missing --no-newline

realpath: tells where links lead
  takes list
  -emLPqsz --canonicalize-existing --canonicalize-missing --logical --physical --strip --no-symlinks --relative-to=
  --relative-base=

basename: cuts a path
  takes list, tame
  -az -s= --multiple --suffix= --zero

dirname: cuts a path
  takes list, tame
  -z --zero

namei: lists the parts of a path
  takes list
  -xmovln

pwd: says where it is
  -LP

cd: goes to a folder
  takes list, most 1
  check gone
  -LP

md5sum|sha1sum|sha224sum|sha256sum|sha384sum|sha512sum|b2sum: adds files up
  takes list
  -bt --tag --binary --text

cksum|sum: adds files up
  takes list

cmp: compares files
  takes read
  -bls -i= -n= --print-bytes --verbose --silent --quiet --bytes=

diff: compares files
  takes read
  check compared
  -abBdeEiNpqrstTuwyZ -C= -U= -W= -x= -I= -F= --brief --report-identical-files --unified=? --context=?
  --side-by-side --recursive --new-file --ignore-case --ignore-all-space --ignore-space-change --ignore-blank-lines
  --text --strip-trailing-cr --color=? --suppress-common-lines --width= --exclude= --minimal --no-dereference --label=

comm: compares files
  takes read
  -123z --check-order --nocheck-order --total

strings: shows the texts in files
  takes read
  check no_lists
  -afow -n= -t= -e= --all --bytes= --radix=

od: shows the bytes of files
  takes read
  -abcdfiloqsvx -A= -j= -N= -t= --address-radix= --skip-bytes= --read-bytes= --format= --output-duplicates

hexdump: shows the bytes of files
  takes read
  -bcCdovx -n= -s=

xxd: shows the bytes of files
  takes read, most 1
  -abeiuC -c= -g= -l= -s=

zcat: shows packed files
  takes read
  starts sh gzip
  -fv

xzcat: shows packed files
  takes read
  -q

bzcat: shows packed files
  takes read
  -s

base64|base32: writes files as letters
  takes read
  -di -w= --decode --wrap= --ignore-garbage

lsattr: lists attributes of files
  takes list
  -adlpRv

getfacl: lists rights of files
  takes list
  -acdenRtpLP --omit-header --recursive --numeric

getcap: lists capabilities of files
  takes list
  -nrv

== change

mkdir: makes folders
  takes write
  -pvZ -m= --parents --verbose --mode=

touch: makes files, or changes their times
  takes write
  -acfhm -d= -t= -r= --no-create --date= --reference= --time=

cp: copies files over what is there
  takes list
  check copied
  undo A file that it copies over is gone.
  -abdfHiLlnPpRrsTuvxZ -S= -t=write --archive --backup=? --force --interactive --no-clobber --no-dereference
  --preserve=? --no-preserve= --recursive --reflink=? --sparse= --suffix= --target-directory=write
  --no-target-directory --update=? --verbose --one-file-system --parents --dereference --link --symbolic-link

mv: moves files over what is there
  takes list
  check moved
  undo A file that it moves over is gone.
  -bfinTuvZ -S= -t=write --backup=? --force --interactive --no-clobber --suffix= --target-directory=write
  --no-target-directory --update=? --verbose

ln: makes links
  takes list
  check copied
  -bdfFiLnPrsTv -S= -t=write --backup=? --force --interactive --no-dereference --relative --symbolic
  --target-directory=write --no-target-directory --verbose

install: copies files over what is there
  takes list
  check copied
  undo A file that it copies over is gone.
  -bcCdDpTv -g= -m= -o= -S= -t=write --mode= --owner= --group= --directory --target-directory=write --verbose

chmod: changes who may use files
  takes list
  check granted
  -cfRvrwxXstugo --changes --quiet --silent --verbose --recursive --preserve-root --reference=

chgrp: changes whose files they are
  takes list
  check granted
  -cfhHLPRv --changes --quiet --silent --verbose --recursive --preserve-root --no-dereference --reference=

tee: writes files
  takes write
  undo What was in the files before is gone, unless it appends.
  -aip --append --ignore-interrupts --output-error=?

mktemp: makes a temporary file
  takes list
  -dqtu -p= --directory --tmpdir=? --suffix=

patch: changes files as a patch says
  takes write
  check patched
  -bcEfNnRstu -d= -F= -i=read -p= -o=write -r=write --backup --dry-run --forward --input=read --reverse --strip=
  --verbose

split: cuts a file in pieces
  takes read, most 2
  check pieces
  -d -a= -b= -l= -n= -C= --bytes= --lines=

tar: packs or unpacks files
  takes list
  check packed
  starts gzip bzip2 xz zstd
  undo Files that it unpacks over are gone.
  -cjJkmOpPtuvxzahS -f= -C=write -T=read -X=read --create --extract --get --list --file= --directory=write --exclude=
  --exclude-from=read --gzip --bzip2 --xz --zstd --verbose --strip-components= --wildcards --no-same-owner
  --same-owner --numeric-owner --preserve-permissions --keep-old-files --one-file-system --totals --sort= --mtime=
  --owner= --group= --auto-compress --dereference --xattrs --acls --selinux --absolute-names --no-recursion

gzip|gunzip: packs or unpacks files, which replaces them
  takes read
  check streamed
  -cdfkNnqrtlv123456789 --best --fast --stdout --decompress --keep --list --test --recursive --verbose

xz|unxz|bzip2|bunzip2: packs or unpacks files, which replaces them
  takes read
  check streamed
  -cdfkqtlv0123456789e -T= --keep --stdout --decompress --list --test

zstd|unzstd: packs or unpacks files
  takes read
  check streamed
  -cdfkqtlvr0123456789 -T= -o=write --keep --stdout --decompress --list --test

unzip: unpacks files
  takes read
  check unzipped
  undo Files that it unpacks over are gone.
  -aCjlLnoqtuvVXZ -d=write -x=

zip: packs files
  takes read
  check zipped
  -0123456789ejqruvyX -x= -i=

== privileged

chown: changes whose files they are
  takes list
  check granted
  -cfhHLPRv --changes --quiet --silent --verbose --recursive --preserve-root --no-dereference --from= --reference=

chattr: changes attributes of files
  takes write, loose

setfacl: changes who may use files
  takes write, loose

== destructive

rm|srm: deletes files
  takes delete, loose, tame
  undo What is deleted is gone: there is no waste basket on a server.

rmdir: deletes folders
  takes delete, loose

unlink: deletes a file
  takes delete, loose
  undo What is deleted is gone: there is no waste basket on a server.

shred: overwrites files
  takes delete, loose
  undo Nothing brings them back.

truncate: cuts files off
  takes delete, loose
  undo What is cut off is gone.
  -s= -r= -c -o --size= --reference=
"""


def _copied(call: Call, given: Given) -> list[Finding]:
    """All but the last are read, the last is changed; with `-t`, all are read."""
    if given.has("-d", "--directory") and call.program == "install":
        return [finding for word in given.operands for finding in writing(word, call)]
    into = _into(given)
    sources = given.operands if given.has("-t", "--target-directory") else given.operands[:-1]
    deep = given.has("-a", "-r", "-R", "--recursive", "--archive")
    look = reading_tree if deep else reading
    found = [finding for word in sources for finding in look(word, call)]
    if given.has("--parents"):
        found.append(unknown(call.program, "which makes folders that the names of the files say."))
    if len(given.operands) == 1:
        sources = given.operands  # `ln -s file` makes a link here
    return found + [f for folder in into for f in landing(folder, sources, call, tree=deep)]


def _into(given: Given) -> tuple[Word, ...]:
    """Where files go: the last word, or what -t says; here, where there is but one."""
    told = tuple(word for name, word in given.options if name in ("-t", "--target-directory") and word)
    return told or (given.operands[-1:] if len(given.operands) > 1 else (Word("."),))


def _moved(call: Call, given: Given) -> list[Finding]:
    found = [finding for word in given.operands for finding in writing(word, call, tree=True)]
    told = given.has("-t", "--target-directory")
    sources = given.operands if told else given.operands[:-1]
    found += [finding for word in sources for finding in reading(word, call)]
    return found + [f for folder in _into(given) for f in landing(folder, sources, call, tree=True)]


def _granted(call: Call, given: Given) -> list[Finding]:
    """The first word of chmod and chown is no path."""
    deep = given.has("-R", "--recursive")
    return [finding for word in given.operands[1:] for finding in writing(word, call, tree=deep)]


def _compared(call: Call, given: Given) -> list[Finding]:
    if not given.has("-r", "--recursive"):
        return []
    return [finding for word in given.operands for finding in showing_tree(word, call)]


def _no_lists(call: Call, given: Given) -> list[Finding]:
    """A word that begins with @ names a file with further words."""
    listed = any(word.text.startswith("@") for word in given.operands)
    return [unknown(call.program, "with words that stand in a file.")] if listed else []


def _gone(_call: Call, given: Given) -> list[Finding]:
    back = any(word.text.startswith(("-", "+")) for word in given.operands)
    return [unknown("cd", "to a folder that only the running shell knows.")] if back else []


FILES = table(
    _TABLE,
    {
        "copied": _copied,
        "moved": _moved,
        "packed": packed,
        "unzipped": unzipped,
        "zipped": zipped,
        "patched": patched,
        "pieces": pieces,
        "granted": _granted,
        "compared": _compared,
        "no_lists": _no_lists,
        "streamed": streamed,
        "gone": _gone,
    },
    find=find,
    grep=grep,
    egrep=grep,
    fgrep=grep,
    rg=ripgrep,
)
