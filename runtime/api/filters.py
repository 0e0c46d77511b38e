"""The filter language of AIP-160: text → tree, tree → SQL with bound parameters. Pure.

state = "ACTIVE" AND (labels.env = "prod" OR create_time > "2026-01-01T00:00:00Z")
display_name = "Acme*"          a star at either end matches any text
labels:env                      has a label of that name
NOT state = "FAILED"            or  -state = "FAILED"
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from lark import Lark, Token, Transformer, UnexpectedInput, v_args
from lark.exceptions import VisitError

from runtime.api.problem import ApiError

MOST_CHARACTERS = 1000
MOST_PARENTHESES = 30

Kind = Literal["text", "integer", "time", "labels"]
Comparator = Literal["=", "!=", "<", "<=", ">", ">=", ":"]


@dataclass(frozen=True, slots=True)
class Column:
    """A field that may be filtered by. `sql` is ours, never the client's; `values` closes an enumeration."""

    sql: str
    kind: Kind = "text"
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Restriction:
    """`field comparator value`; `path` is what follows the field's first name (`labels.env` → `env`)."""

    field: str
    path: str
    comparator: Comparator
    value: str


@dataclass(frozen=True, slots=True)
class Not:
    term: "Tree"


@dataclass(frozen=True, slots=True)
class Both:
    """All of `terms` (`joiner` AND) or any of them (OR)."""

    joiner: Literal["AND", "OR"]
    terms: tuple["Tree", ...]


Tree = Restriction | Not | Both


@v_args(inline=True)
class _Shape(Transformer[Token, Tree]):
    def all(self, *terms: Tree) -> Tree:
        return terms[0] if len(terms) == 1 else Both("AND", terms)

    def any(self, *terms: Tree) -> Tree:
        return terms[0] if len(terms) == 1 else Both("OR", terms)

    def negated(self, _sign: Token, term: Tree) -> Tree:
        return Not(term)

    def field(self, *names: Token) -> tuple[str, str]:
        parts = [_unquoted(name) for name in names]
        return parts[0], ".".join(parts[1:])

    def string(self, text: Token) -> str:
        return _unquoted(text)

    def word(self, *parts: Token) -> str:
        sign = "-" if parts[0] == "-" else ""
        return sign + ".".join(part for part in parts if part != "-")

    def restriction(self, field: tuple[str, str], comparator: Token, value: str) -> Tree:
        known: dict[str, Comparator] = {c: c for c in ("=", "!=", "<", "<=", ">", ">=", ":")}
        return Restriction(field[0], field[1], known[str(comparator)], value)

    def bare(self, field: tuple[str, str]) -> Tree:
        raise _refused(f"{field[0]!r} stands alone: write a field, a comparator and a value")


def _unquoted(text: Token) -> str:
    raw = str(text)
    if raw[0] not in "\"'":
        return raw
    quote = raw[0]
    return raw[1:-1].replace("\\" + quote, quote).replace("\\\\", "\\")


@cache
def _parser() -> Lark:
    grammar = files("runtime.api").joinpath("filter.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", maybe_placeholders=False)


def parse_filter(text: str) -> Tree | None:
    """The tree of a filter, None for an empty one; ApiError 400 says where it cannot be read."""
    if len(text) > MOST_CHARACTERS or text.count("(") > MOST_PARENTHESES:
        raise _refused(f"a filter has at most {MOST_CHARACTERS} characters and {MOST_PARENTHESES} parentheses")
    if not text.strip():
        return None
    try:
        return _Shape().transform(_parser().parse(text))
    except UnexpectedInput as error:
        raise _refused(f"the filter cannot be read at character {max(error.column, 1)}") from None
    except VisitError as error:
        raise error.orig_exc if isinstance(error.orig_exc, ApiError) else error from None


def filter_sql(tree: Tree | None, columns: Mapping[str, Column], first_parameter: int) -> tuple[str, list[Any]]:
    """The WHERE condition and its parameters; ApiError 400 for unknown fields and values of the wrong kind."""
    writer = _Writer(columns, first_parameter)
    return ("TRUE" if tree is None else writer.condition(tree)), writer.parameters


class _Writer:
    def __init__(self, columns: Mapping[str, Column], first_parameter: int) -> None:
        self._columns = columns
        self._first = first_parameter
        self.parameters: list[Any] = []

    def condition(self, tree: Tree) -> str:
        match tree:
            case Not(term):
                return f"(NOT {self.condition(term)})"
            case Both(joiner, terms):
                return "(" + f" {joiner} ".join(self.condition(term) for term in terms) + ")"
            case Restriction():
                return self._restriction(tree)

    def _restriction(self, r: Restriction) -> str:
        column = self._columns.get(r.field)
        if column is None or (r.path and column.kind != "labels"):
            raise _refused(f"there is no field {r.field!r} to filter by, only {', '.join(sorted(self._columns))}")
        return _KINDS[column.kind](self, column, r)

    def _bind(self, value: Any, sql_type: str) -> str:
        self.parameters.append(value)
        return f"${self._first + len(self.parameters) - 1}::{sql_type}"

    def _text(self, column: Column, r: Restriction) -> str:
        if column.values and r.comparator in ("=", "!=") and r.value not in column.values:
            raise _refused(f"{r.field} is one of {', '.join(column.values)}")
        return self._compare_text(column.sql, r)

    def _compare_text(self, sql: str, r: Restriction) -> str:
        if r.comparator in ("=", "!=") and r.value != "*" and (r.value.startswith("*") or r.value.endswith("*")):
            like = f"{sql} LIKE {self._bind(_like(r.value), 'text')}"
            return like if r.comparator == "=" else f"(NOT {like})"
        if r.comparator == ":":
            return f"{sql} LIKE {self._bind(_like('*' + r.value + '*'), 'text')}"
        return f"{sql} {_operator(r)} {self._bind(r.value, 'text')}"

    def _integer(self, column: Column, r: Restriction) -> str:
        digits = r.value.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
            raise _refused(f"{r.field} is compared with a whole number")
        return f"{column.sql} {_operator(r)} {self._bind(int(r.value), 'bigint')}"

    def _time(self, column: Column, r: Restriction) -> str:
        try:
            time = datetime.fromisoformat(r.value)
            # Now, because the first and the last day do not exist in every time zone.
            utc = time.astimezone(UTC) if time.tzinfo else None
        except (ValueError, OverflowError):
            utc = None
        if utc is None:
            raise _refused(f'{r.field} is compared with an RFC 3339 time such as "2026-01-31T12:00:00Z"')
        return f"{column.sql} {_operator(r)} {self._bind(utc, 'timestamptz')}"

    def _labels(self, column: Column, r: Restriction) -> str:
        if r.comparator == ":" and not r.path:
            return f"jsonb_exists({column.sql}, {self._bind(r.value, 'text')})"
        if not r.path:
            raise _refused(f"write {r.field}.KEY = VALUE, or {r.field}:KEY")
        key = self._bind(r.path, "text")
        if r.comparator == ":" and r.value == "*":
            return f"jsonb_exists({column.sql}, {key})"
        # A label that is not there is unlike any value, and NULL would vanish under NOT.
        return self._compare_text(f"COALESCE({column.sql} ->> {key}, '')", r)


_KINDS: Mapping[Kind, Callable[[_Writer, Column, Restriction], str]] = {
    "text": _Writer._text,
    "integer": _Writer._integer,
    "time": _Writer._time,
    "labels": _Writer._labels,
}


def _operator(r: Restriction) -> str:
    # ":" on a plain value is equality (AIP-160, "has" on non-repeated fields).
    return {"!=": "<>", ":": "="}.get(r.comparator, r.comparator)


def _like(value: str) -> str:
    start, end = value.startswith("*"), value.endswith("*")
    core = value[1 if start else 0 : len(value) - 1 if end else len(value)]
    escaped = core.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return ("%" if start else "") + escaped + ("%" if end else "")


def _refused(message: str) -> ApiError:
    return ApiError("INVALID_ARGUMENT", message, field="filter")
