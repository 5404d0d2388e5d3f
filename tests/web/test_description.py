"""The OpenAPI description says what the API does."""

from typing import Any

import pytest

from tests.web.routes import UNSAFE, all_routes
from tests.web.served import Client


@pytest.fixture
async def schema(stranger: Client) -> dict[str, Any]:
    answer = await stranger.ask("GET", "/schema/openapi.json")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def operations(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, item in schema["paths"].items()
        for method, operation in item.items()
    }


async def test_it_is_openapi_3_1_of_every_route(schema: dict[str, Any]) -> None:
    assert schema["openapi"].startswith("3.1")
    routes = {str(route) for route in all_routes() if route.method != "WEBSOCKET"}
    assert set(operations(schema)) == routes | {"GET /health", "GET /metrics"}


async def test_every_operation_says_what_it_is_for_and_how_it_fails(schema: dict[str, Any]) -> None:
    ids = [operation["operationId"] for operation in operations(schema).values()]
    assert len(set(ids)) == len(ids)
    tags = {tag["name"] for tag in schema["tags"]}
    for name, operation in operations(schema).items():
        assert operation["summary"], name
        assert operation["description"], name
        assert set(operation["tags"]) <= tags, name
        for status, response in operation["responses"].items():
            assert response["description"], (name, status)
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"], (name, status)
                assert response["content"]["application/problem+json"]["schema"]["$ref"].endswith(
                    "ProblemBody"
                )


async def test_logins_headers_and_what_needs_none_are_told(schema: dict[str, Any]) -> None:
    assert set(schema["components"]["securitySchemes"]) == {"cookie", "bearer"}
    assert schema["security"] == [{"cookie": []}, {"bearer": []}]
    for route in all_routes():
        if route.method in UNSAFE:
            operation = operations(schema)[str(route)]
            headers = {
                parameter["name"]
                for parameter in operation.get("parameters", [])
                if parameter["in"] == "header"
            }
            assert headers == (set() if route.public else {"Idempotency-Key", "X-CSRF-Token"})
            assert operation.get("security") == ([] if route.public else None)
    assert operations(schema)["GET /health"]["security"] == []


async def test_every_number_that_comes_in_has_bounds(schema: dict[str, Any]) -> None:
    """One without would overflow a column into a fault of the box."""
    schemas = schema["components"]["schemas"]
    for name, operation in operations(schema).items():
        parts = [parameter["schema"] for parameter in operation.get("parameters", [])]
        body = (
            operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        )
        if "$ref" in body:
            parts += schemas[body["$ref"].rpartition("/")[2]]["properties"].values()
        for part in parts:
            told = [part.get("type"), *(one.get("type") for one in part.get("oneOf", []))]
            kinds = {kind for one in told for kind in (one if isinstance(one, list) else [one])}
            if kinds & {"integer", "number"}:
                assert {"maximum"} <= set(part), (name, part)
                assert {"minimum", "exclusiveMinimum"} & set(part), (name, part)


async def test_every_text_in_a_body_has_a_length(schema: dict[str, Any]) -> None:
    schemas = schema["components"]["schemas"]
    for name in (
        "PairRequest",
        "NewConnection",
        "ConnectionPatch",
        "TestRequest",
        "ExecRequest",
        "NewTurn",
        "NewSession",
    ):
        for field, part in schemas[name]["properties"].items():
            if "string" in {part.get("type"), *(one.get("type") for one in part.get("oneOf", []))}:
                assert {"maxLength", "enum"} & set(part), (name, field)


async def test_every_body_has_an_example_that_fits(schema: dict[str, Any]) -> None:
    import jsonschema_rs

    for name, operation in operations(schema).items():
        bodies = [operation.get("requestBody", {})]
        bodies += [answer for status, answer in operation["responses"].items() if int(status) < 300]
        for body in bodies:
            media = body.get("content", {}).get("application/json")
            if media is not None:
                rooted = {**media["schema"], "components": schema["components"]}
                assert jsonschema_rs.is_valid(rooted, media["example"]), (name, media["example"])
