"""Rows of `model_providers`."""

from datetime import datetime

from clawdbox.agents.model_providers.model import ModelProvider
from clawdbox.agents.rules.model_providers import Written
from clawdbox.errors import NotFound
from clawdbox.store import Reader, Tx

_FIELDS = [name for name in ModelProvider.__struct_fields__ if name != "has_key"]
PROVIDER = ", ".join([*_FIELDS, "api_key_enc IS NOT NULL AS has_key"])
_LIVING = "account_id = ? AND removed_at IS NULL"


def all_of(r: Reader, account_id: str) -> list[ModelProvider]:
    return r.structs(
        ModelProvider, f"SELECT {PROVIDER} FROM model_providers WHERE {_LIVING} ORDER BY label", (account_id,)
    )


def get(r: Reader, account_id: str, provider_id: str) -> ModelProvider:
    """Raises NotFound for one that was removed, too."""
    found = r.struct(
        ModelProvider,
        f"SELECT {PROVIDER} FROM model_providers WHERE {_LIVING} AND id = ?",
        (account_id, provider_id),
    )
    if found is None:
        raise NotFound
    return found


def by_label(r: Reader, account_id: str, label: str) -> str | None:
    """The id of the one of that label."""
    found: str | None = r.value(
        f"SELECT id FROM model_providers WHERE {_LIVING} AND label = ?", (account_id, label)
    )
    return found


def count(r: Reader, account_id: str) -> int:
    return int(r.value(f"SELECT count(*) FROM model_providers WHERE {_LIVING}", (account_id,)))


def sealed_key(r: Reader, provider_id: str) -> str | None:
    found: str | None = r.value("SELECT api_key_enc FROM model_providers WHERE id = ?", (provider_id,))
    return found


def insert(tx: Tx, provider_id: str, account_id: str, written: Written, key: str | None) -> None:
    tx.insert(
        "model_providers",
        {
            "id": provider_id,
            "account_id": account_id,
            "label": written.label,
            "kind": written.kind,
            "base_url": written.base_url,
            "model": written.model,
            "api_key_enc": key,
            "created_at": tx.now,
            "updated_at": tx.now,
        },
    )


def save(tx: Tx, provider_id: str, written: Written) -> None:
    tx.run(
        "UPDATE model_providers SET label = ?, kind = ?, base_url = ?, model = ?, updated_at = ? WHERE id = ?",
        (written.label, written.kind, written.base_url, written.model, tx.now, provider_id),
    )


def save_key(tx: Tx, provider_id: str, key: str | None) -> None:
    tx.run("UPDATE model_providers SET api_key_enc = ? WHERE id = ?", (key, provider_id))


def remove(tx: Tx, provider_id: str, at: datetime) -> None:
    tx.run(
        "UPDATE model_providers SET api_key_enc = NULL, removed_at = ?, updated_at = ? WHERE id = ?",
        (at, at, provider_id),
    )
