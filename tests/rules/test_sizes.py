"""Whose size a terminal has."""

from clawdbox.ssh.rules.sizes import Sizes

PHONE, DESK = (40, 20), (120, 40)


def both() -> Sizes:
    sizes = Sizes()
    sizes.came("phone")
    sizes.came("desk")
    return sizes


def test_the_first_that_has_a_size_gives_it() -> None:
    sizes = both()
    assert sizes.wish("phone", PHONE) == PHONE
    assert sizes.wish("desk", DESK) is None
    assert sizes.owner == "phone"


def test_typing_takes_the_size_and_asking_for_it_does() -> None:
    sizes = both()
    sizes.wish("phone", PHONE)
    sizes.wish("desk", DESK)
    assert sizes.typed("desk") == DESK
    assert sizes.typed("desk") is None
    assert sizes.wish("phone", PHONE, take=True) == PHONE
    assert sizes.owner == "phone"


def test_a_device_without_a_size_takes_none() -> None:
    sizes = both()
    sizes.wish("phone", PHONE)
    assert sizes.typed("desk") is None
    assert sizes.owner == "phone"


def test_an_owner_that_leaves_with_its_last_socket_gives_the_size_up() -> None:
    sizes = both()
    sizes.came("phone")
    sizes.wish("phone", PHONE)
    sizes.left("phone")
    assert sizes.wish("desk", DESK) is None
    sizes.left("phone")
    assert sizes.wish("desk", DESK) == DESK
