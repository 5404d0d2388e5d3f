"""What every verb is told with, and what it answers."""

from typing import Annotated, Any

import msgspec

Text = Annotated[str, msgspec.Meta(max_length=200)]
Passphrase = Annotated[str, msgspec.Meta(max_length=1024)]
Answer = dict[str, Any]


class Args(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a verb may be told."""
