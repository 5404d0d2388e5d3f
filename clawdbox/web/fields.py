"""Kinds of fields that many requests share. Every number has bounds: an endless one would not fit into a row."""

from typing import Annotated

import msgspec
from litestar.params import FromPath, QueryParameter

MAX_SEQ = 2**62

Id = Annotated[str, msgspec.Meta(max_length=64, examples=["019b9d3c-4a10-7c3e-9d56-0d2f6a1b2c3d"])]
Label = Annotated[
    str, msgspec.Meta(max_length=256, description="A name as people write them.", examples=["Bob's NAS"])
]
Host = Annotated[
    str,
    msgspec.Meta(
        max_length=1024, description="A DNS name or an address.", examples=["nas.lan", "192.168.1.20"]
    ),
]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535, description="The SSH port.", examples=[22])]
Username = Annotated[
    str, msgspec.Meta(max_length=256, description="A user on that server.", examples=["bob"])
]
Fingerprint = Annotated[
    str,
    msgspec.Meta(
        max_length=128,
        description="As OpenSSH writes it.",
        examples=["SHA256:uNiVztksCsDhcc0u9e8BgrJXVGDmfjS0RnlAwx8m9cE"],
    ),
]
Cols = Annotated[int, msgspec.Meta(ge=1, le=1000, description="Width in characters.", examples=[80])]
Rows = Annotated[int, msgspec.Meta(ge=1, le=1000, description="Height in lines.", examples=[24])]

PathId = FromPath[str]
After = Annotated[
    int, QueryParameter(ge=0, le=MAX_SEQ, description="Only what comes after this sequence number.")
]
