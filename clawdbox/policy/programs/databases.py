"""Databases: a query is read word by word, and is harmless only when all of its words are."""

import re

from clawdbox.policy.model import Class, Finding, words
from clawdbox.policy.rule import Call, Entry, Given, Style, parsed, sort
from clawdbox.policy.table import table
from clawdbox.policy.weigh import reading, unknown, weigh

_TABLE = """
== read

pg_isready: asks whether the database runs
  check away
  -q -h= -p= -U= -d= -t=

pg_lsclusters: lists databases
  -h

mysqladmin status|ping|version|processlist|variables|extended-status: asks the database

== change

pg_dump|pg_dumpall: writes all data of a database
  takes text
  -abcCOsxv -F= -d= -f=write -h= -p= -t= -U= -Z= -j= --format= --file=write --schema-only --data-only

mysqldump|mariadb-dump: writes all data of a database
  takes text
  -AdnqtB -h= -P= -u= -r=write --all-databases --databases --single-transaction --no-data --routines --triggers --quick
  --result-file=write

== destructive

dropdb|dropuser: deletes a database or a user of it
  takes text, loose
  undo The data is gone, unless there is a backup.

mysqladmin drop|shutdown: deletes or stops a database
  takes text, loose
  undo The data is gone, unless there is a backup.

== unknown

mongosh|mongo|cqlsh|influx|clickhouse-client|pg_restore|createdb|createuser: changes a database
  takes text, loose

== before

mysqladmin:
  -h= -u= -P=
"""

# What a query may call without doing anything.
_FUNCTIONS = words(
    "count sum avg min max now version current_database current_user database user round coalesce lower upper "
    "length trim substring concat date date_trunc extract age to_char pg_size_pretty pg_database_size "
    "pg_total_relation_size pg_relation_size pg_table_size pg_is_in_recovery current_setting "
    "pg_postmaster_start_time inet_server_addr distinct cast case and or in not exists values on using over "
    "partition as from where nullif greatest least array_agg string_agg json_agg row_number rank floor ceil "
    "abs if ifnull format by"
)
_ASKS = words("select show explain describe desc table values with")
_CHANGES = words("insert update create grant set merge analyze begin commit start comment use")
_DESTROYS = re.compile(
    r"\b(?:drop|truncate|delete|alter|replace|revoke|reindex|vacuum|flush|purge|reset|detach|kill|shutdown|rename|optimize|repair)\b"
    r"|pg_terminate_backend|pg_cancel_backend",
    re.IGNORECASE,
)
_DANGER = re.compile(
    r"\b(?:program|outfile|dumpfile|infile|load_file|copy|lo_\w+|dblink\w*|pg_read\w*|pg_ls\w*|pg_write\w*|xp_\w+|sys_\w+|"
    r"load_extension|writefile|readfile|edit|execute|do|call|attach|security|language|system|source|handler|plugin|soname)\b"
    r"|(?<!insert )\binto\b|[\\$#@]|--|/\*|''\s*\(|\.\s*\w+\s*\(|:=",
    re.IGNORECASE,
)
_WRITES = re.compile(r"\b(?:insert|update|merge|analyze|for\s+(?:share|no))\b", re.IGNORECASE)
_SECRETS = re.compile(
    r"pg_shadow|pg_authid|mysql\.user|authentication_string|rolpassword|passw", re.IGNORECASE
)
_STRING = re.compile(r"'(?:[^'\\]|'')*'|\"[^\"\\]*\"|`[^`\\]*`")


def sql(query: str, program: str) -> list[Finding]:
    """What a query does, as far as its words tell."""
    if len(query) > _LONGEST:
        return [unknown(program, "with a query that is too long to be looked at.")]
    bare = re.sub(r"\\G\s*;?\s*$", "", _STRING.sub("''", query))
    found: list[Finding] = []
    if _SECRETS.search(query):
        found.append(Finding(Class.READ, "It reads a place in which passwords may stand.", credentials=True))
    destroys = bool(_DESTROYS.search(bare))
    if destroys:
        undo = "Data that is deleted is gone, unless there is a backup."
        found.append(Finding(Class.DESTRUCTIVE, f"It deletes or changes data with `{program}`.", undo=undo))
    if _DANGER.search(bare) or re.search(r"['\"`]", bare.replace("''", "")):
        beyond = not destroys or _BEYOND.search(bare)
        return [*found, unknown(program, "with a query that can do more than ask.")] if beyond else found
    statements = (part.strip() for part in bare.split(";"))
    return found + [_statement(statement, program) for statement in statements if statement]


_LONGEST = 4000
# What leaves the database: then it does not matter that something is deleted, too.
_BEYOND = re.compile(r"\\|\b(?:program|outfile|system|source|load_extension|execute)\b", re.IGNORECASE)


def _statement(text: str, program: str) -> Finding:
    verb = text.split(maxsplit=1)[0].lower()
    calls = {name.lower() for name in re.findall(r"([A-Za-z_]\w*)\s*\(", text)}
    if verb in _ASKS and calls <= _FUNCTIONS and not _WRITES.search(text):
        return Finding(Class.READ, f"It asks the database with `{program}`.")
    if verb in _CHANGES:
        undo = "Data that is changed does not come back by itself."
        return Finding(Class.CHANGE, f"It changes data with `{program}`.", undo=undo)
    if _DESTROYS.match(verb):
        return Finding(Class.DESTRUCTIVE, f"It deletes or changes data with `{program}`.")
    return unknown(program, "with a query that the box does not know.")


_HERE = re.compile(r"localhost|127\.0\.0\.1|::1|/[\w./-]*")
# A name, not `host=…` or `postgresql://…`, which reach another machine.
_DATABASE = re.compile(r"[\w.-]+")


def _named(given: Given) -> list[str]:
    return [*given.values("-d", "--dbname"), *(word.text for word in given.operands)]


def _away(_call: Call, given: Given) -> list[Finding]:
    """Whether the database that is asked is on another machine."""
    hosts, named = given.values("-h", "--host"), _named(given)
    here = all(_HERE.fullmatch(host) for host in hosts) and all(_DATABASE.fullmatch(name) for name in named)
    return [] if here else [Finding(egress=True)]


def _client(options: str, query: tuple[str, ...], looks: str) -> Entry:
    """A client with its query in an option, or (sqlite3) as its second word."""
    harmless = re.compile(looks)
    style = Style.LETTERS if query else Style.WORDS

    def look(call: Call) -> list[Finding]:
        given = sort(call.words, parsed(options, style), style)
        queries = [word for name, word in given.options if name in query and word]
        files = () if query else given.operands[:1]
        queries = queries if query else list(given.operands[1:])
        found = [finding for word in files for finding in reading(word, call)]
        asked = queries or given.has("-l", "--list")
        if given.odd is not None or not all(word.known for word in call.words) or not asked or call.fed:
            found.append(
                unknown(
                    f"{call.program} {given.odd or ''}".strip(), "with a query that the box does not see."
                )
            )
        elif not queries:
            found.append(Finding(Class.READ, f"It runs `{call.program}`, which lists databases."))
        if files and not given.has("-readonly"):
            why = "It runs `sqlite3` without -readonly, which makes a database that is not there."
            found.append(Finding(Class.CHANGE, why))
        if not all(_HERE.fullmatch(host) for host in given.values("-h", "--host")):
            found.append(Finding(egress=True))
        if query and not all(_DATABASE.fullmatch(name) for name in _named(given)):
            found += [
                unknown(call.program, "with a database that may be on another machine."),
                Finding(egress=True),
            ]
        for word in queries:
            asks = harmless.fullmatch(word.text)
            found += (
                [Finding(Class.READ, f"It asks the database with `{call.program}`.")]
                if asks
                else sql(word.text, call.program)
            )
        return found

    return look


_PSQL = (
    "-AtxqXlnw -c= -d= -h= -p= -U= -F= -R= --command= --dbname= --host= --port= --username= --no-align --tuples-only "
    "--expanded --no-psqlrc --quiet --list --csv --no-password"
)
_MYSQL = "-BNtsEHrv -e= -D= -h= -P= -u= --execute= --database= --host= --port= --user= --batch --skip-column-names --table --silent"
_SQLITE = "-readonly -header -column -csv -json -list -line -batch -bail -safe"

_REDIS_ASKS = words("ping info dbsize time lastsave ttl type exists scard llen hlen zcard strlen")
_REDIS_DELETES = frozenset(["flushall", "flushdb", "del", "unlink", "shutdown"])
_REDIS_CHANGES = words("set expire incr lpush rpush hset sadd zadd bgsave save")


def _redis(call: Call) -> list[Finding]:
    given = sort(
        call.words, parsed("-h= -p= -n= -s= --raw --no-raw", Style.LETTERS), Style.LETTERS, stop=True
    )
    verb = given.operands[0].text.lower() if given.operands else ""
    away = _away(call, Given(given.options))
    if given.odd is not None or not all(word.known for word in call.words) or call.fed:
        return [*away, unknown("redis-cli", "in a way that the box does not know.")]
    if verb in _REDIS_ASKS:
        return [*away, Finding(Class.READ, "It asks the database with `redis-cli`.")]
    if verb in _REDIS_DELETES:
        undo = "Data that is deleted is gone."
        return [*away, Finding(Class.DESTRUCTIVE, f"It deletes data with `redis-cli {verb}`.", undo=undo)]
    if verb in _REDIS_CHANGES:
        return [*away, Finding(Class.CHANGE, f"It changes data with `redis-cli {verb}`.")]
    return [*away, unknown("redis-cli", "in a way that the box does not know.")]


def _mysqladmin(call: Call) -> list[Finding]:
    given = sort(call.words, parsed("-h= -u= -P=", Style.LETTERS), Style.LETTERS, stop=True)
    return [*weigh(_ADMIN, call, "mysqladmin"), *_away(call, Given(given.options))]


DATABASES = table(
    _TABLE,
    {"away": _away},
    psql=_client(_PSQL, ("-c", "--command"), r"\\(?:l|dt|d|du|dn|di|conninfo)\+?(?: [\w.*]+)?"),
    mysql=_client(_MYSQL, ("-e", "--execute"), r"(?!)"),
    mariadb=_client(_MYSQL, ("-e", "--execute"), r"(?!)"),
)
DATABASES["sqlite3"] = _client(_SQLITE, (), r"\.(?:tables|schema|databases|indexes)(?: \w+)?")
DATABASES["redis-cli"] = _redis
_ADMIN = DATABASES["mysqladmin"]
DATABASES["mysqladmin"] = _mysqladmin
