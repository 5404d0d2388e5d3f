"""Snippets over the API."""

from tests.web.routes import ABSENT
from tests.web.served import Client, Served

SNIPPET = {
    "label": "Restart",
    "description": "One service",
    "command": "systemctl restart -- {{service}}",
    "variables": [{"name": "service", "kind": "name", "description": "Which", "default": "nginx"}],
}


async def test_a_snippet_is_kept_changed_and_removed(served: Served, phone: Client) -> None:
    made = (await phone.post("/snippets", SNIPPET)).json()["snippet"]
    assert made["variables"] == [{**SNIPPET["variables"][0], "choices": []}]  # type: ignore[dict-item]
    assert [one["id"] for one in (await phone.get("/snippets")).json()["snippets"]] == [made["id"]]
    changed = await phone.patch(f"/snippets/{made['id']}", {"description": "Another"})
    assert changed.json()["snippet"]["description"] == "Another"
    assert changed.json()["snippet"]["command"] == SNIPPET["command"]
    assert (await phone.delete(f"/snippets/{made['id']}")).status_code == 200
    assert (await phone.get(f"/snippets/{made['id']}")).status_code == 404
    actions = [row["action"] for row in await served.audit(target_type="snippet")]
    assert actions == ["snippet.create", "snippet.update", "snippet.delete"]


async def test_a_place_that_cannot_be_quoted_is_refused_when_it_is_kept(phone: Client) -> None:
    answer = await phone.post("/snippets", {**SNIPPET, "command": 'sh -c "restart {{service}}"'})
    assert (answer.status_code, answer.json()["field"]) == (422, "command")
    assert "inside quotes" in answer.json()["detail"]
    made = (await phone.post("/snippets", SNIPPET)).json()["snippet"]
    changed = await phone.patch(f"/snippets/{made['id']}", {"command": "eval {{service}}"})
    assert changed.status_code == 422
    lost = await phone.patch(f"/snippets/{made['id']}", {"command": "true"})
    assert lost.json()["field"] == "variables"


async def test_two_snippets_of_an_account_have_two_labels(served: Served, phone: Client) -> None:
    first = (await phone.post("/snippets", SNIPPET)).json()["snippet"]
    assert (await phone.post("/snippets", SNIPPET)).json()["code"] == "label_taken"
    assert (await phone.patch(f"/snippets/{first['id']}", {"label": "Restart"})).status_code == 200
    other = await served.browser(await served.account())
    assert (await other.post("/snippets", SNIPPET)).status_code == 201


async def test_another_account_finds_none_of_them(served: Served, phone: Client) -> None:
    made = (await phone.post("/snippets", SNIPPET)).json()["snippet"]
    other = await served.browser(await served.account())
    absent = await other.get(f"/snippets/{ABSENT}")
    for answer in (
        await other.get(f"/snippets/{made['id']}"),
        await other.patch(f"/snippets/{made['id']}", {"label": "x"}),
        await other.delete(f"/snippets/{made['id']}"),
    ):
        assert (answer.status_code, answer.json()) == (404, absent.json())


async def test_the_preview_shows_what_would_run_and_what_is_wrong(phone: Client) -> None:
    async def preview(command: str, **values: str) -> dict[str, object]:
        body = {"command": command, "variables": [{"name": "v"}], "values": values}
        found: dict[str, object] = (await phone.post("/snippets/preview", body)).json()
        return found

    assert (await preview("ls {{v}}", v="a b"))["command"] == "ls 'a b'"
    missing = await preview("ls {{v}}")
    assert (missing["command"], missing["used"]) == (None, ["v"])
    assert missing["errors"] == [{"field": "v", "message": "Give this a value."}]
    wrong = await preview('ls "{{v}}"', v="x")
    assert wrong["errors"][0]["field"] == "command"  # type: ignore[index]
    assert (await phone.get("/snippets")).json() == {"snippets": []}
