"""The registry of sealed columns: where the values lie that a rotation of the master key seals anew.

Whoever adds a column `…_enc` adds it here; a test compares the list with the schema.
"""

from typing import NamedTuple

from clawdbox.vault import BOX


class SealedColumn(NamedTuple):
    """`row` is the column of the id that a value is bound to, `account` that of its account, or BOX for the box's own.

    With `only`, the values in the other rows are no sealed ones.
    """

    table: str
    column: str
    row: str = "id"
    account: str = "account_id"
    only: tuple[str, ...] = ()


SEALED_COLUMNS = (
    SealedColumn("box_meta", "value", "key", BOX, only=("keyring_check", "vapid_key")),
    SealedColumn("audit_keys", "key_enc", "key_id", BOX),
    SealedColumn("agent_keypairs", "private_key_enc"),
    SealedColumn("model_providers", "api_key_enc"),
    SealedColumn("openclaw_gateways", "token_enc"),
    SealedColumn("openclaw_gateways", "device_key_enc"),
    SealedColumn("openclaw_gateways", "device_token_enc"),
    SealedColumn("notify_channels", "target_enc"),
    SealedColumn("recordings", "key_enc"),
    SealedColumn("login_providers", "client_secret_enc", account=BOX),
    SealedColumn("login_flows", "device_code_enc", account=BOX),
)
