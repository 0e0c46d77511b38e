"""A shop: an ordinary service over Postgres, for several customers.

    SHOP_DSN=postgresql://… python shop.py 8000

Of cells it knows what is in `elsewhere`, and nothing more.
"""

import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
from aiohttp import web

POOL = web.AppKey("pool", asyncpg.Pool)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def elsewhere(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A write that the database refuses because the customer lives in another one now: the router asks there."""
    try:
        return await handler(request)
    except asyncpg.PostgresError as error:
        if error.sqlstate != "CW001":
            raise
        return web.Response(status=421, headers={"Cellway-Epoch": error.detail or "0"})


def customer(request: web.Request) -> int:
    """Whoever stands in front of the shop has asked for a password and says who it is."""
    try:
        return int(request.headers["X-Customer"])
    except (KeyError, ValueError):
        raise web.HTTPUnauthorized from None


async def sign_up(request: web.Request) -> web.Response:
    """PUT /me {"name": …}"""
    name = (await request.json())["name"]
    sql = "INSERT INTO customers (id, name) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET name = excluded.name"
    await request.app[POOL].execute(sql, customer(request), name)
    return web.json_response({"id": customer(request), "name": name})


async def order(request: web.Request) -> web.Response:
    """POST /orders {"tea": 2, "cup": 1}"""
    wanted = await request.json()
    async with request.app[POOL].acquire() as connection, connection.transaction():
        sql = "INSERT INTO orders (customer_id) VALUES ($1) RETURNING id"
        number = await connection.fetchval(sql, customer(request))
        sql = "INSERT INTO order_lines (order_id, sku, quantity) VALUES ($1, $2, $3)"
        await connection.executemany(sql, [(number, sku, quantity) for sku, quantity in wanted.items()])
        sql = "UPDATE customers SET settings = settings || jsonb_build_object('last', $2::bigint) WHERE id = $1"
        await connection.execute(sql, customer(request), number)
    return web.json_response({"order": number}, status=201)


async def pay(request: web.Request) -> web.Response:
    """POST /orders/{order}/paid"""
    sql = "UPDATE orders SET state = 'paid' WHERE customer_id = $1 AND id = $2 RETURNING id"
    number = await request.app[POOL].fetchval(sql, customer(request), int(request.match_info["order"]))
    if number is None:
        raise web.HTTPNotFound
    return web.json_response({"order": number, "state": "paid"})


async def orders(request: web.Request) -> web.Response:
    """GET /orders"""
    sql = """
        SELECT o.id, o.state::text, json_object_agg(l.sku, l.quantity) AS lines
        FROM orders o JOIN order_lines l ON l.order_id = o.id
        WHERE o.customer_id = $1 GROUP BY o.id ORDER BY o.id
    """
    rows = await request.app[POOL].fetch(sql, customer(request))
    found = [{"order": row["id"], "state": row["state"], "lines": json.loads(row["lines"])} for row in rows]
    return web.json_response({"orders": found})


async def visit(request: web.Request) -> web.Response:
    """POST /visits {"page": "/tea"}"""
    page = (await request.json())["page"]
    sql = "INSERT INTO visits (customer_id, page) VALUES ($1, $2)"
    await request.app[POOL].execute(sql, customer(request), page)
    return web.Response(status=204)


async def connected(app: web.Application) -> AsyncIterator[None]:
    """To its one database, for as long as it runs."""
    async with asyncpg.create_pool(os.environ["SHOP_DSN"], min_size=0, max_size=10) as pool:
        app[POOL] = pool
        yield


def application() -> web.Application:
    """The shop."""
    app = web.Application(middlewares=[elsewhere])
    app.cleanup_ctx.append(connected)
    app.add_routes(
        [
            web.put("/me", sign_up),
            web.post("/orders", order),
            web.post(r"/orders/{order:\d+}/paid", pay),
            web.get("/orders", orders),
            web.post("/visits", visit),
        ]
    )
    return app


if __name__ == "__main__":
    web.run_app(application(), host="127.0.0.1", port=int(sys.argv[1]))
