"""Pages over rows: filter, order and continuation become SQL with bound parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from cell.api.context import Context
from cell.api.models import ListQuery
from cell.database import SQL
from runtime.api.filters import Column, filter_sql, parse_filter
from runtime.api.ordering import Order, after_sql, order_sql, parse_order
from runtime.api.pages import page_size


@dataclass(frozen=True, slots=True)
class Listing:
    """A list: its query, what it may be filtered and ordered by, and the field that makes any order total."""

    query: str
    count: str
    columns: Mapping[str, Column]
    orders: Mapping[str, Order]
    tie: str


@dataclass(frozen=True, slots=True)
class Rows:
    """A page of rows."""

    rows: Sequence[asyncpg.Record]
    next_page_token: str
    total_size: int | None


async def page(context: Context, listing: Listing, query: ListQuery, parent: Sequence[str] = ()) -> Rows:
    """Read one page of what lies under `parent`. ApiError 400 for filters, orders and tokens that are none."""
    orders = parse_order(query.order_by, listing.orders, listing.tie)
    made_for = (context.caller.tenant_id, listing.query, *parent, query.filter, query.order_by)
    condition, parameters = filter_sql(parse_filter(query.filter), listing.columns, len(parent) + 1)
    bound: list[Any] = [*parent, *parameters]
    after, continued = "TRUE", list(bound)
    if query.page_token:
        place = context.tools.tokens.open(made_for, query.page_token)
        after = after_sql(orders, len(bound) + 1)
        continued = [*bound, *place]
    size = page_size(query.page_size)
    sql = SQL[listing.query].format(
        keys=", ".join(f"({order.column})::text AS key_{i}" for i, order in enumerate(orders)),
        filter=condition,
        after=after,
        order=order_sql(orders),
        limit=size + 1,  # one more than asked for tells whether there is a next page
    )
    rows = await context.connection.fetch(sql, *continued)
    token = context.tools.tokens.seal(made_for, _place(rows[size - 1], orders)) if len(rows) > size else ""
    total = await _total(context, listing, condition, bound) if query.include_total_size else None
    return Rows(rows[:size], token, total)


def _place(row: asyncpg.Record, orders: Sequence[Order]) -> list[str]:
    return [row[f"key_{i}"] for i in range(len(orders))]


async def _total(context: Context, listing: Listing, condition: str, bound: Sequence[Any]) -> int:
    sql = SQL[listing.count].format(filter=condition)
    total: int = await context.connection.fetchval(sql, *bound)
    return total


def times(prefix: str = "") -> dict[str, Column]:
    """The two times that every resource has, to filter by."""
    return {
        "create_time": Column(f"{prefix}created_at", "time"),
        "update_time": Column(f"{prefix}updated_at", "time"),
    }


def orders(tie: str, tie_column: str, prefix: str = "", **more: str) -> dict[str, Order]:
    """What every list may be ordered by: its identifier, the two times, and `more` text columns."""
    return {
        tie: Order(tie, tie_column),
        "create_time": Order("create_time", f"{prefix}created_at", cast="timestamptz"),
        "update_time": Order("update_time", f"{prefix}updated_at", cast="timestamptz"),
        **{field: Order(field, f'({column} COLLATE "C")') for field, column in more.items()},
    }
