"""People come, are disabled and come back."""

import pytest

from tests.cli.command import Served, answer, clawdbox

pytestmark = pytest.mark.xdist_group("cli-account")  # they share a box, each with a person of its own


@pytest.fixture
def where(shared: Served) -> list[str]:
    return ["--data-dir", str(shared.data_dir)]


def test_an_account_has_a_key_of_its_own(where: list[str]) -> None:
    made = answer("account", "create", "Anna", "--json", *where)
    assert (made["display_name"], made["role"]) == ("Anna", "operator")
    keys = answer("db", "query", "SELECT account_id FROM agent_keypairs", "--format", "json", *where)
    assert keys.count({"account_id": made["id"]}) == 1


def test_a_name_is_given_once(where: list[str]) -> None:
    assert clawdbox("account", "create", "Berta", *where).returncode == 0
    again = clawdbox("account", "create", " Berta ", *where)
    assert again.returncode == 1
    assert "already" in again.stderr


def test_disabling_ends_tokens_and_lets_none_be_made_until_it_is_undone(where: list[str]) -> None:
    clawdbox("account", "create", "Clara", *where)
    new_token = ["token", "create", "--name", "x", "--account", "Clara", *where]
    assert clawdbox(*new_token).returncode == 0
    assert clawdbox("account", "disable", "Clara", *where).returncode == 0
    assert answer("token", "list", "--json", *where) == []
    refused = clawdbox(*new_token)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "clawdbox account enable" in refused.stderr
    assert clawdbox("account", "enable", "Clara", *where).returncode == 0
    assert clawdbox(*new_token).returncode == 0


def test_the_only_owner_stays(where: list[str]) -> None:
    clawdbox("account", "create", "Dora", *where)
    refused = clawdbox("account", "disable", "Owner", *where)
    assert refused.returncode == 1
    assert "only owner" in refused.stderr
