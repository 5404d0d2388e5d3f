"""Programs that work on text that flows through them, and small ones of the shell itself."""

import re

from clawdbox.policy.model import Class, Finding
from clawdbox.policy.programs.scripts import awk, sed
from clawdbox.policy.rule import Call, Given
from clawdbox.policy.table import table
from clawdbox.policy.weigh import reading, unknown

_TABLE = """
== read

echo: writes a text
  takes text, loose, tame

printf: writes a text
  takes text
  check computed

true|false|:: does nothing
  takes text, loose

test|[: compares values
  takes text, loose
  check computed

exit: ends here
  takes text
  check computed

seq: counts
  takes text
  -NUM -w -f= -s= --equal-width --format= --separator=

sleep: waits
  takes text

sort: sorts lines
  takes read
  -bcCdfghiMmnrRsuVz -k= -t= -S= --ignore-leading-blanks --dictionary-order --ignore-case --general-numeric-sort
  --human-numeric-sort --ignore-nonprinting --month-sort --numeric-sort --random-sort --reverse --sort= --version-sort
  --check=? --key= --merge --stable --field-separator= --unique --zero-terminated --parallel= --buffer-size= --debug
  change -o=write --output=write: writes a file

uniq: leaves out lines
  takes read, most 1
  -cdDiuz -f= -s= -w= --count --repeated --all-repeated=? --skip-fields= --ignore-case --skip-chars= --unique
  --check-chars= --group=?

cut: cuts lines
  takes read, tame
  -nsz -b= -c= -d= -f= --bytes= --characters= --delimiter= --fields= --complement --only-delimited --output-delimiter=
  --zero-terminated

tr: replaces letters
  takes text
  -cCdst --complement --delete --squeeze-repeats --truncate-set1

rev: turns lines around
  takes read, tame

column: makes columns
  takes read
  -enRtxJ -c= -l= -N= -o= -s= -T= -H= -r= -d --table --separator= --json

fold|fmt: breaks lines
  takes read
  -NUM -bcstu -w= -p= --bytes --spaces --width=

expand|unexpand: replaces tabs
  takes read
  -ai -t= --all --initial --tabs=

paste|join: joins lines
  takes read
  -sz -d= -a= -e= -j= -o= -t= -v= -1= -2= --delimiters= --serial

numfmt: writes numbers
  takes text
  -d= --from= --to= --field= --suffix= --padding= --format= --header=?

iconv: turns letters into others
  takes read
  -cl -f= -t= --from-code= --to-code=

jq: takes JSON apart
  takes text
  check filtered
  -CMRSacejnrs --compact-output --raw-output --raw-input --slurp --null-input --sort-keys --tab
  --indent= --exit-status --color-output --monochrome-output --join-output --ascii-output
"""


def _filtered(call: Call, given: Given) -> list[Finding]:
    """jq: the first word is its program, the others are files."""
    found = [finding for word in given.operands[1:] for finding in reading(word, call)]
    program = given.operands[0].text if given.operands else ""
    if re.search(r"import|include|input_filename|modulemeta|get_search_list", program):
        found.append(unknown("jq", "with a program that reads other files."))
    if "env" in program or "ENV" in program:
        found.append(Finding(Class.READ, "It shows variables of the environment.", credentials=True))
    return found


def _computed(call: Call, _given: Given) -> list[Finding]:
    """Where shells compute, a value can be code: `test -v 'a[$(id)]'`, `printf %n 'a[$(id)]'`."""
    texts = [word.text for word in call.words]
    odd = {"-v", "-R", "-N"} & set(texts) or any("$" in text or "`" in text for text in texts)
    count = call.program == "printf" and re.search(r"%[^a-zA-Z%]*[nqQ(]", texts[0] if texts else "")
    return [unknown(call.program, "with values that some shells compute.")] if odd or count else []


TEXT = table(
    _TABLE, {"filtered": _filtered, "computed": _computed}, sed=sed, awk=awk, gawk=awk, mawk=awk, nawk=awk
)
