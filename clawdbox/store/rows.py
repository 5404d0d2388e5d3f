"""Between Python values and what SQLite stores: times as fixed-width text, JSON as text, booleans as 0 and 1."""

from collections.abc import Hashable, Iterable, Mapping
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar, cast

import msgspec

from clawdbox.clock import iso

S = TypeVar("S")


def to_sqlite(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict | list | tuple):
        return msgspec.json.encode(value).decode()
    return int(value) if isinstance(value, bool) else value


def parameters(values: Iterable[Any] | Mapping[str, Any]) -> Any:
    if isinstance(values, Mapping):
        return {name: to_sqlite(value) for name, value in values.items()}
    return tuple(to_sqlite(value) for value in values)


def to_struct(kind: type[S], row: Mapping[str, Any]) -> S:
    """A row as a frozen Struct whose fields bear the columns' names; JSON columns are decoded by their field's type."""
    values = dict(row)
    for name in _json_fields(cast(Hashable, kind)):
        if isinstance(values.get(name), str):
            values[name] = msgspec.json.decode(values[name])
    return msgspec.convert(values, kind, strict=False)


@cache
def _json_fields(kind: Hashable) -> tuple[str, ...]:
    info = msgspec.inspect.type_info(kind)
    assert isinstance(info, msgspec.inspect.StructType)
    return tuple(field.name for field in info.fields if _is_container(field.type))


def _is_container(kind: msgspec.inspect.Type) -> bool:
    if isinstance(kind, msgspec.inspect.UnionType):
        return any(_is_container(part) for part in kind.types)
    return isinstance(
        kind, msgspec.inspect.DictType | msgspec.inspect.ListType | msgspec.inspect.VarTupleType
    )
