"""What may be written into a place where models are asked."""

from datetime import UTC, datetime

import pytest

from clawdbox.agents.model_providers.model import Kind, ModelProvider
from clawdbox.agents.rules import model_providers as rules
from clawdbox.errors import Conflict, Invalid

NOW = datetime(2026, 11, 28, tzinfo=UTC)
CANONICAL = {
    "http://127.0.0.1:11434/v1": "http://127.0.0.1:11434/v1",
    " http://127.0.0.1:11434/v1/ ": "http://127.0.0.1:11434/v1",
    "http://NAS.lan:8080": "http://nas.lan:8080",
    "http://192.168.1.20:8000/v1//": "http://192.168.1.20:8000/v1",
    "https://api.openai.com/v1": "https://api.openai.com/v1",
    "https://Bücher.example/v1": "https://xn--bcher-kva.example/v1",
    "http://[fd00::1]:8080/v1": "http://[fd00::1]:8080/v1",
    "https://93.184.216.34/v1": "https://93.184.216.34/v1",
}
REFUSED = {
    "": "Give an address",
    "127.0.0.1:11434": "Give an address",
    "ftp://nas.lan/v1": "Give an address",
    "http://": "Give an address",
    "http://nas.lan:99999/v1": "Give an address",
    "http://nas lan/v1": "Give an address",
    "http://nas.lan/v1\r\nhost: evil": "Give an address",
    "http://ada:secret@nas.lan/v1": "user and password",
    "http://nas.lan/v1?key=1": "from \\? or # on",
    "http://nas.lan/v1#x": "from \\? or # on",
    "http://169.254.169.254/latest": "link-local",
    "http://[fe80::1]/v1": "link-local",
    "http://0.0.0.0:11434/v1": "leads back to this box",
    "http://93.184.216.34/v1": "write https://",
    "http://127.0.0.1:8022/v1": "own address and port",
    "http://localhost:8022/v1": "own address and port",
    "http://2130706433/v1": "usual form",
    "http://[fd00:ec2::254]/v1": "credentials of its machines",
}


@pytest.mark.parametrize("given,kept", CANONICAL.items())
def test_an_address_has_one_form(given: str, kept: str) -> None:
    assert rules.canonical_url(given, 8022) == kept
    assert rules.canonical_url(kept, 8022) == kept


@pytest.mark.parametrize("given,why", REFUSED.items())
def test_an_address_that_is_none_or_that_is_not_asked(given: str, why: str) -> None:
    with pytest.raises(Invalid, match=why) as caught:
        rules.canonical_url(given, 8022)
    assert caught.value.field == "base_url"


def test_what_is_offered_to_begin_with_may_be_kept() -> None:
    for preset in rules.PRESETS:
        written = rules.check(preset.name, preset.kind, preset.base_url, preset.model_example, 8022)
        assert written.base_url == preset.base_url
        assert preset.about.endswith(".")


def test_a_kind_is_one_that_is_spoken() -> None:
    with pytest.raises(Invalid, match="Choose openai or anthropic"):
        rules.check("a", "gemini", "http://127.0.0.1:1/v1", "m", None)


@pytest.mark.parametrize("name", ["qwen3:14b", "Qwen/Qwen3-32B", " gpt-5-mini ", "a b"])
def test_a_model_is_named_as_its_provider_names_it(name: str) -> None:
    assert rules.check_model(name) == name.strip()


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\x00", "x" * 201, "a  b"])
def test_a_model_without_a_name(name: str) -> None:
    with pytest.raises(Invalid):
        rules.check_model(name)


@pytest.mark.parametrize("key", ["", " ", "two words", "ключ", "a\r\nx-evil: 1", "x" * 4097])
def test_what_cannot_stand_in_a_header_is_no_key(key: str) -> None:
    with pytest.raises(Invalid) as caught:
        rules.check_key(key)
    assert caught.value.field == "api_key"
    assert len(key) < 3 or key not in caught.value.message


def test_a_key_is_pasted_with_the_end_of_its_line() -> None:
    assert rules.check_key(" sk-1\n") == "sk-1"


@pytest.mark.parametrize(
    "url,moves",
    [
        ("https://api.example/v1", False),
        ("https://api.example/v2", False),
        ("https://api.example:443/v1", False),
        ("http://api.example/v1", True),
        ("https://evil.example/v1", True),
        ("https://api.example:8443/v1", True),
    ],
)
def test_a_key_does_not_go_to_another_place_by_itself(url: str, moves: bool) -> None:
    now = ModelProvider("p", "a", "L", Kind.OPENAI, "https://api.example/v1", "m", True, NOW, NOW)
    after = rules.Written("L", Kind.OPENAI, url, "m")
    rules.check_key_moves(now, after, key_given=True)
    if moves:
        with pytest.raises(Invalid, match="another address"):
            rules.check_key_moves(now, after, key_given=False)
    else:
        rules.check_key_moves(now, after, key_given=False)


def test_there_is_room_for_fifty() -> None:
    rules.check_room(49)
    with pytest.raises(Conflict, match="You have 50"):
        rules.check_room(50)


@pytest.mark.parametrize(
    "url,responses",
    [
        ("https://api.openai.com/v1", True),
        ("https://openrouter.ai/api/v1", False),
        ("http://nas.lan/v1", False),
    ],
)
def test_responses_is_for_openai_itself(url: str, responses: bool) -> None:
    assert rules.speaks_responses(url) is responses
