"""Snippets: a value is one argument and nothing else, in every place that is taken; every other place is refused."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clawdbox.errors import Invalid
from clawdbox.ssh.model.fleet import Kind, Variable
from clawdbox.ssh.rules import snippets as rules
from clawdbox.ssh.rules.places import MAX_PLACES, places

TAKEN = [
    "systemctl restart {{v}}",
    "ls -- {{v}}",
    "grep -r --include={{v}} x /etc",
    'X={{v}}; echo "$X"',
    'echo "$(cat {{v}})"',
    "sudo systemctl restart {{v}}",
    "sudo -u bob ls {{v}}",
    "timeout 5 ls {{v}}",
    "sudo --user=bob ls {{v}}",
    "sh -c 'echo \"$1\"' sh {{v}}",
    "docker restart {{v}}",
    "docker ps --format '{{.Names}}{{range .}}{{end}}' {{v}}",
    "echo {{v}}>/tmp/f",
    "cat <<< {{v}}",
    'for i in {{v}} b; do echo "$i"; done',
    "if ls {{v}}; then echo y; fi",
    "ls {{v}} | wc -l & wait",
    "awk -v x={{v}} '{print x}' f",
    "awk '{print}' {{v}}",
    "find {{v}} -name x",
    'ls "$HOME"/{{v}}',
    "[ -e /x ] && ls {{v}}",
    "case {{v}} in a) ls;; esac",
    "ls >{{v}}",
    "! ls {{v}}",
]
REFUSED = [
    'echo "{{v}}"',
    "echo '{{v}}'",
    "echo $'{{v}}'",
    'echo "$(echo "{{v}}")"',
    "echo `cat {{v}}`",
    "cat <<E\n{{v}}\nE",
    'cat <<E\n"$(cat {{v}})"\nE',
    "cat <<{{v}}\nx\n{{v}}",
    "[ a = {{v}} ]",
    "[[ a -eq {{v}} ]]",
    "test {{v}} = a",
    "echo ${{v}}",
    "echo $F{{v}}",
    "echo ${a:-{{v}}}",
    "echo \\{{v}}",
    "echo ~{{v}}",
    "echo {a,{{v}}}",
    "echo *{{v}}",
    "echo $(({{v}}+1))",
    "ls # {{v}}",
    "a[{{v}}]=1",
    "export A={{v}}",
    "unset {{v}}",
    "let {{v}}",
    "printf -v {{v}} x",
    "eval {{v}}",
    '"ev"al {{v}}',
    "\\eval {{v}}",
    "$CMD {{v}}",
    "eval >x {{v}}",
    "trap {{v}} EXIT",
    ". {{v}}",
    "sh -c {{v}}",
    "/bin/bash -lc {{v}}",
    "sudo sh -c {{v}}",
    "busybox sh -c {{v}}",
    "sudo {{v}}",
    "sudo -u {{v}} ls",
    "sudo -u bob {{v}}",
    "sudo --user bob {{v}}",
    "timeout --signal KILL 5 {{v}}",
    "env --chdir /tmp {{v}}",
    "{{v}} x",
    "{{v}}=5",
    "ssh h {{v}}",
    "su -c {{v}}",
    "timeout 5 {{v}}",
    "env A=b {{v}}",
    "env -S {{v}} ls",
    "xargs {{v}}",
    "find . -exec {{v}}",
    "docker exec c sh -c {{v}}",
    "python3 -c {{v}}",
    "perl -e{{v}}",
    "awk {{v}} f",
    "sed -e {{v}}",
    "cat <(cat {{v}})",
    'echo "unfinished {{v}}',
]
VARIABLE = Variable("v")
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
nasty = st.text(st.sampled_from(list("'\"\\$`!;&|<>(){}[]*?~# \t\n-=%^,:a2é")), max_size=24)


@pytest.mark.parametrize("command", TAKEN)
def test_a_place_where_quoting_holds_is_taken(command: str) -> None:
    assert [place.name for place in places(command)] == ["v"] * command.count("{{v}}")


@pytest.mark.parametrize("command", REFUSED)
def test_a_place_where_quoting_would_be_undone_is_refused_and_says_what_to_write_instead(
    command: str,
) -> None:
    with pytest.raises(Invalid) as refused:
        places(command)
    assert refused.value.field == "command"
    assert "x={{v}}" in refused.value.message or "not closed" in refused.value.message


SHOWN = [
    "set_ {{v}}",
    "set_ a{{v}}",
    "set_ --x={{v}}",
    'X={{v}}; set_ "$X"',
    'set_ "$(printf %s. {{v}})"',
    "for i in {{v}}; do set_ \"$i\"; done",
    "sh -c 'printf \"%s\\0\" \"$@\"' sh {{v}}",
    "if true; then set_ {{v}}; fi",
    "set_ {{v}}{{v}}",
    "set_ {{v}};:",
    "(set_ {{v}})",
]  # fmt: skip


@pytest.mark.parametrize("shell", ["bash", "dash"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.one_of(texts, nasty), shown=st.sampled_from(SHOWN))
def test_a_real_shell_passes_exactly_the_value_as_one_argument_and_runs_nothing_else(
    tmp_path: Path, shell: str, value: str, shown: str
) -> None:
    try:
        line = rules.render(shown, [VARIABLE], {"v": value})
    except Invalid:
        if not value.startswith("-"):
            raise
        return
    program = f"set_() {{ printf '%s\\0' \"$@\"; }}\n{line}"
    ran = subprocess.run(
        [shell, "-c", program],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        env={"PATH": "/usr/bin:/bin"},
        timeout=60,
    )
    glued = {1: "a", 2: "--x="}.get(SHOWN.index(shown), "")
    wanted = f"{value}{value}" if "{{v}}{{v}}" in shown else glued + value + ("." if "%s." in shown else "")
    assert (ran.stdout, ran.stderr, ran.returncode) == (wanted.encode() + b"\0", b"", 0)
    assert list(tmp_path.iterdir()) == [], "nothing was written"


PIECES = [
    "echo",
    " ",
    "{{v}}",
    "'",
    '"',
    "$(",
    ")",
    "`",
    ";",
    "|",
    "\n",
    "\\",
    "<<E",
    "E",
    "#",
    "x=",
    "$",
    "{",
    "}",
    "eval ",
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(st.sampled_from(PIECES), min_size=2, max_size=14))
def test_no_template_that_is_taken_lets_a_value_run_anything(tmp_path: Path, pieces: list[str]) -> None:
    command = "".join(pieces)
    hostile = "';touch hit;\"$(touch hit)\"`touch hit`\ntouch hit\n#'"
    try:
        line = rules.render(command, [VARIABLE], {"v": hostile})
    except Invalid:
        return
    for shell in ("bash", "dash"):
        subprocess.run(
            [shell, "-c", line],
            check=False,
            cwd=tmp_path,
            capture_output=True,
            env={"PATH": "/usr/bin:/bin"},
            timeout=60,
        )
        assert not (tmp_path / "hit").exists(), (shell, line)


def test_a_dash_needs_a_place_behind_two_dashes() -> None:
    for command in ("rm {{v}}", "sudo rm -f {{v}}"):
        with pytest.raises(Invalid, match="taken for an option"):
            rules.render(command, [VARIABLE], {"v": "-rf"})
    assert rules.render("rm -- {{v}}", [VARIABLE], {"v": "-rf"}) == "rm -- '-rf'"
    assert rules.render("ls --color={{v}}", [VARIABLE], {"v": "-x"}) == "ls --color='-x'"


@pytest.mark.parametrize(
    "kind, good, bad",
    [
        (Kind.NAME, ["nginx", "a@b.service", "x_1"], ["", "-a", "a b", "a;b", "a\n"]),
        (Kind.PATH, ["/etc/a b", "x"], ["", "~/x", "-x", "a\nb"]),
        (Kind.NUMBER, ["1", "80.5", "007"], ["", "x", "1e5", "٣", "1\n"]),
        (Kind.TEXT, ["", "a\nb", "~/x"], ["\0", "\ud800", "x" * 5000]),
    ],
)
def test_each_kind_takes_its_values(kind: Kind, good: list[str], bad: list[str]) -> None:
    variable = Variable("v", kind)
    for value in good:
        rules.render("echo -- {{v}}", [variable], {"v": value})
    for value in bad:
        with pytest.raises(Invalid) as refused:
            rules.render("echo -- {{v}}", [variable], {"v": value})
        assert refused.value.field == "v"


def test_a_choice_is_one_of_its_choices_and_a_default_stands_in() -> None:
    variable = Variable("v", Kind.CHOICE, default="b", choices=["a", "b"])
    assert rules.render("echo {{ v }}", [variable], {}) == "echo 'b'"
    with pytest.raises(Invalid):
        rules.render("echo {{v}}", [variable], {"v": "c"})


@pytest.mark.parametrize(
    "command, variables",
    [
        ("echo {{v}}", []),
        ("echo x", [VARIABLE]),
        ("echo {{v}}", [VARIABLE, VARIABLE]),
        ("echo {{V}}", [Variable("V")]),
        ("echo {{v}}", [Variable("v", Kind.CHOICE)]),
        ("echo {{v}}", [Variable("v", choices=["a"])]),
        ("echo {{v}}", [Variable("v", Kind.NUMBER, default="x")]),
        ("", []),
        ("a\0b", []),
    ],
)
def test_what_does_not_fit_together_is_not_kept(command: str, variables: list[Variable]) -> None:
    with pytest.raises(Invalid):
        rules.check("Label", "", command, variables)


def test_text_beyond_ascii_does_not_shift_a_place() -> None:
    assert rules.render("echo 'äöü€🎉' {{v}} é", [VARIABLE], {"v": "ß"}) == "echo 'äöü€🎉' 'ß' é"


@pytest.mark.parametrize(
    "command",
    [
        "echo " + " ".join(["{{a}}"] * 3000),
        "echo " + "x " * 5000 + "{{a}}",
        "echo $(" * 1000 + "echo {{a}}" + ")" * 1000,
    ],
    ids=["places", "words", "depth"],
)
def test_a_command_that_would_take_long_to_look_at_is_refused(command: str) -> None:
    with pytest.raises(Invalid) as caught:
        places(command)
    assert caught.value.field == "command"


def test_as_many_places_as_there_may_be_are_taken() -> None:
    assert len(places("echo " + " ".join(["{{a}}"] * MAX_PLACES))) == MAX_PLACES
