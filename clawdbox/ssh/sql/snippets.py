"""Rows of `snippets`."""

import msgspec

from clawdbox.errors import NotFound
from clawdbox.ssh.model.fleet import Snippet
from clawdbox.store import Reader, Tx

SNIPPET = ", ".join(Snippet.__struct_fields__)


def all_of(r: Reader, account_id: str) -> list[Snippet]:
    return r.structs(
        Snippet,
        f"SELECT {SNIPPET} FROM snippets WHERE account_id = ? ORDER BY label COLLATE NOCASE, id",
        (account_id,),
    )


def get(r: Reader, account_id: str, snippet_id: str) -> Snippet:
    """Raises NotFound."""
    found = r.struct(
        Snippet, f"SELECT {SNIPPET} FROM snippets WHERE id = ? AND account_id = ?", (snippet_id, account_id)
    )
    if found is None:
        raise NotFound
    return found


def by_label(r: Reader, account_id: str, label: str) -> str | None:
    """The id of the snippet of that label."""
    found: str | None = r.value(
        "SELECT id FROM snippets WHERE account_id = ? AND label = ?", (account_id, label)
    )
    return found


def count(r: Reader, account_id: str) -> int:
    return int(r.value("SELECT count(*) FROM snippets WHERE account_id = ?", (account_id,)))


def insert(tx: Tx, snippet: Snippet) -> None:
    tx.insert("snippets", msgspec.structs.asdict(snippet) | {"variables": variables(snippet)})


def save(tx: Tx, snippet: Snippet) -> None:
    tx.run(
        "UPDATE snippets SET label = ?, description = ?, command = ?, variables = ?, updated_at = ? WHERE id = ?",
        (
            snippet.label,
            snippet.description,
            snippet.command,
            variables(snippet),
            snippet.updated_at,
            snippet.id,
        ),
    )


def delete(tx: Tx, snippet_id: str) -> None:
    tx.run("DELETE FROM snippets WHERE id = ?", (snippet_id,))


def variables(snippet: Snippet) -> str:
    return msgspec.json.encode(snippet.variables).decode()
