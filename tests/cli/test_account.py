"""People come, are disabled and come back."""

from pathlib import Path

import pytest

from tests.cli.command import answer, clawdbox


@pytest.fixture
def where(data_dir: Path) -> list[str]:
    return ["--data-dir", str(data_dir)]


def test_an_account_has_a_key_of_its_own(where: list[str]) -> None:
    made = answer("account", "create", "Anna", "--json", *where)
    assert (made["display_name"], made["role"]) == ("Anna", "operator")
    keys = answer("db", "query", "SELECT account_id FROM agent_keypairs", "--format", "json", *where)
    assert {"account_id": made["id"]} in keys
    assert len(keys) == 2


def test_a_name_is_given_once(where: list[str]) -> None:
    assert clawdbox("account", "create", "Anna", *where).returncode == 0
    again = clawdbox("account", "create", " Anna ", *where)
    assert again.returncode == 1
    assert "already" in again.stderr


def test_disabling_ends_tokens_and_lets_none_be_made_until_it_is_undone(where: list[str]) -> None:
    clawdbox("account", "create", "Anna", *where)
    new_token = ["token", "create", "--name", "x", "--account", "Anna", *where]
    assert clawdbox(*new_token).returncode == 0
    assert clawdbox("account", "disable", "Anna", *where).returncode == 0
    assert answer("token", "list", "--json", *where) == []
    refused = clawdbox(*new_token)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "clawdbox account enable" in refused.stderr
    assert clawdbox("account", "enable", "Anna", *where).returncode == 0
    assert clawdbox(*new_token).returncode == 0


def test_the_only_owner_stays(where: list[str]) -> None:
    clawdbox("account", "create", "Anna", *where)
    refused = clawdbox("account", "disable", "Owner", *where)
    assert refused.returncode == 1
    assert "only owner" in refused.stderr
