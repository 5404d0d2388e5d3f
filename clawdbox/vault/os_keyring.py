"""The keyring of the operating system (Secret Service, KWallet), through the package `keyring`. Asked only when chosen."""

import contextlib

from clawdbox.errors import StartRefused

_SERVICE = "clawdbox"


def put(name: str, value: str) -> None:
    """Raises StartRefused("keyring_os_unavailable")."""
    import keyring
    from keyring.errors import KeyringError

    try:
        keyring.set_password(_SERVICE, name, value)
        kept = keyring.get_password(_SERVICE, name)
    except KeyringError as error:
        raise _unavailable(error) from None
    if kept != value:
        raise _unavailable(None)


def get(name: str) -> str | None:
    """Raises StartRefused("keyring_os_unavailable")."""
    import keyring
    from keyring.errors import KeyringError

    try:
        return keyring.get_password(_SERVICE, name)
    except KeyringError as error:
        raise _unavailable(error) from None


def forget(name: str) -> None:
    """As far as it can be reached: what is left there opens nothing any more."""
    import keyring
    from keyring.errors import KeyringError

    with contextlib.suppress(KeyringError):
        keyring.delete_password(_SERVICE, name)


def _unavailable(error: Exception | None) -> StartRefused:
    from keyring.errors import NoKeyringError

    if error is None:
        why = "it did not keep what it was given"
    elif isinstance(error, NoKeyringError):
        why = "there is none here, as on most machines without a desktop"
    else:
        why = str(error) or type(error).__name__
    return StartRefused(
        "keyring_os_unavailable",
        f"The keyring of the operating system cannot be used: {why}. Start the box within the session of its user, or make a "
        "host key file with the 24 words: clawdbox keyring recover",
    )
