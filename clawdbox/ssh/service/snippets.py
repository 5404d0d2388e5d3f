"""The verbs of snippets."""

from collections.abc import Mapping

import msgspec

from clawdbox.errors import Conflict, Invalid
from clawdbox.events import Actor, Ledger
from clawdbox.ids import new_id
from clawdbox.ssh.model.fleet import Snippet, Variable
from clawdbox.ssh.rules import snippets as rules
from clawdbox.ssh.rules.places import places
from clawdbox.ssh.sql import snippets as sql
from clawdbox.store import Store, Tx

MAX_SNIPPETS = 500


class Snippets:
    """Every verb takes the account whose snippets it may touch; another account's are NotFound."""

    def __init__(self, store: Store, ledger: Ledger) -> None:
        self._store = store
        self._ledger = ledger

    async def all_of(self, account_id: str) -> list[Snippet]:
        return await self._store.read(lambda r: sql.all_of(r, account_id))

    async def get(self, account_id: str, snippet_id: str) -> Snippet:
        return await self._store.read(lambda r: sql.get(r, account_id, snippet_id))

    async def create(
        self,
        actor: Actor,
        account_id: str,
        *,
        label: str,
        description: str,
        command: str,
        variables: list[Variable],
    ) -> Snippet:
        """Raises Invalid, and Conflict `label_taken` or `snippet_limit_reached`."""
        written = rules.check(label, description, command, variables)

        def change(tx: Tx) -> Snippet:
            if sql.count(tx, account_id) >= MAX_SNIPPETS:
                raise Conflict(
                    "snippet_limit_reached", f"You have {MAX_SNIPPETS} snippets. Remove one you do not use."
                )
            _check_label(tx, account_id, written.label, None)
            snippet = Snippet(
                new_id(tx.now),
                account_id,
                written.label,
                written.description,
                written.command,
                written.variables,
                tx.now,
                tx.now,
            )
            sql.insert(tx, snippet)
            self._tell(tx, actor, snippet, "snippet.created", "snippet.create")
            return snippet

        return await self._store.write(change)

    async def change(
        self,
        actor: Actor,
        account_id: str,
        snippet_id: str,
        *,
        label: str | None = None,
        description: str | None = None,
        command: str | None = None,
        variables: list[Variable] | None = None,
    ) -> Snippet:
        """Only what is given changes; the whole must fit together. Raises as `create` does."""

        def change(tx: Tx) -> Snippet:
            now = sql.get(tx, account_id, snippet_id)
            written = rules.check(
                now.label if label is None else label,
                now.description if description is None else description,
                now.command if command is None else command,
                now.variables if variables is None else variables,
            )
            _check_label(tx, account_id, written.label, snippet_id)
            after = msgspec.structs.replace(now, **msgspec.structs.asdict(written), updated_at=tx.now)
            sql.save(tx, after)
            self._tell(tx, actor, after, "snippet.updated", "snippet.update")
            return after

        return await self._store.write(change)

    async def remove(self, actor: Actor, account_id: str, snippet_id: str) -> Snippet:
        def change(tx: Tx) -> Snippet:
            snippet = sql.get(tx, account_id, snippet_id)
            sql.delete(tx, snippet_id)
            self._tell(tx, actor, snippet, "snippet.deleted", "snippet.delete")
            return snippet

        return await self._store.write(change)

    async def rendered(self, account_id: str, snippet_id: str, values: Mapping[str, str]) -> tuple[str, str]:
        """(its label, its command with the values in their places). Raises NotFound, Invalid."""
        snippet = await self.get(account_id, snippet_id)
        return snippet.label, rules.rendered(snippet, values)

    def _tell(self, tx: Tx, actor: Actor, snippet: Snippet, event: str, action: str) -> None:
        detail = {"label": snippet.label}
        self._ledger.event(tx, snippet.account_id, event, "snippet", snippet.id, detail)
        self._ledger.audit(tx, actor, action, "snippet", snippet.id, detail=detail)


def _check_label(tx: Tx, account_id: str, label: str, own: str | None) -> None:
    other = sql.by_label(tx, account_id, label)
    if other and other != own:
        raise Conflict(
            "label_taken", f"There is a snippet named “{label}” already. Choose another name.", field="label"
        )


def preview(
    command: str, variables: list[Variable], values: Mapping[str, str]
) -> tuple[str | None, list[str], list[Invalid]]:
    """(the command with its values, or None; the names it uses; what is wrong), for a page that shows it while typing."""
    try:
        text = rules.check_command(command)
        used = list(dict.fromkeys(place.name for place in places(text)))
    except Invalid as problem:
        return None, [], [problem]
    try:
        chosen = rules.declared(text, variables)
        return (
            rules.render(text, chosen, {name: value for name, value in values.items() if name in used}),
            used,
            [],
        )
    except Invalid as problem:
        return None, used, [problem]
