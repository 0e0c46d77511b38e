"""`order_by` (AIP-132), and the keyset condition that continues after a row. Pure.

Pages by keyset cost the same at any depth and neither skip nor repeat rows that stay as they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runtime.api.problem import ApiError

MOST_FIELDS = 3


@dataclass(frozen=True, slots=True)
class Order:
    """One field to sort by. `column` is SQL of ours, never of the client's."""

    field: str
    column: str
    descending: bool = False
    cast: str = "text"


def parse_order(text: str, columns: Mapping[str, Order], tie: str) -> tuple[Order, ...]:
    """`"create_time desc, account"` → orders, made total by ending with the field `tie`.

    `columns` names the fields that may be sorted by; ApiError 400 for any other.
    """
    orders = [_parse_one(part.split(), columns) for part in text.split(",") if part.strip()]
    names = [order.field for order in orders]
    if len(set(names)) != len(names) or len(orders) > MOST_FIELDS:
        raise _refused(f"order_by takes up to {MOST_FIELDS} different fields")
    return tuple(orders) if tie in names else (*orders, columns[tie])


def _parse_one(words: list[str], columns: Mapping[str, Order]) -> Order:
    direction = words[1].lower() if len(words) == 2 else "asc"
    if words[0] not in columns or len(words) > 2 or direction not in ("asc", "desc"):
        known = ", ".join(sorted(columns))
        raise _refused(f"order_by takes fields of {known}, each with an optional asc or desc")
    known_as = columns[words[0]]
    return Order(known_as.field, known_as.column, direction == "desc", known_as.cast)


def _refused(message: str) -> ApiError:
    return ApiError("INVALID_ARGUMENT", message, field="order_by")


def order_sql(orders: Sequence[Order]) -> str:
    """The ORDER BY list."""
    return ", ".join(f"{order.column} {'DESC' if order.descending else 'ASC'}" for order in orders)


def after_sql(orders: Sequence[Order], first_parameter: int) -> str:
    """The condition for rows after the one whose values are bound from `$first_parameter` on.

    (a > $1) OR (a = $1 AND b < $2) OR …, which fits any mixture of directions.
    """
    places = [f"${first_parameter + i}::text::{order.cast}" for i, order in enumerate(orders)]
    branches = []
    for i, order in enumerate(orders):
        equal = [f"{earlier.column} = {places[j]}" for j, earlier in enumerate(orders[:i])]
        beyond = f"{order.column} {'<' if order.descending else '>'} {places[i]}"
        branches.append("(" + " AND ".join([*equal, beyond]) + ")")
    return "(" + " OR ".join(branches) + ")"
