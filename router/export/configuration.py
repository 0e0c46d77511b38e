"""The whole configuration as text. Pure."""

from collections.abc import Iterable, Iterator

from router.export import answers, forwarding, identification
from router.export.forwarding import milliseconds
from router.export.identification import REQUEST_ID
from router.export.plan import BACKEND, Plan, Server

HEAD = """# Written by `cellway router export haproxy`, and again whenever a cell comes or moves: do not edit.
# What is your own goes into another file: haproxy -f THIS -f YOURS. HAProxy 2.6 or newer.
"""
BUFFER_BYTES = 32_768
REWRITE_BYTES = 4096
"""A request's head may be as long as the buffer less this, which is for what we add."""


def configuration(plan: Plan, servers: Iterable[Server]) -> str:
    """haproxy.cfg with these cells."""
    ordered = sorted(servers, key=lambda server: server.name)
    sections: list[tuple[str, Iterable[str]]] = [
        ("global", _global(plan)),
        ("defaults", _defaults(plan)),
        ("frontend tenants", _frontend(plan)),
        (f"backend {BACKEND}", forwarding.cells(plan, ordered)),
    ]
    if plan.lua:
        sections.append(("frontend again", forwarding.again(plan)))
    return HEAD + "".join(f"\n{title}\n" + "".join(f"    {line}\n" for line in lines) for title, lines in sections)


def _global(plan: Plan) -> Iterator[str]:
    yield f"stats socket {plan.folder.socket} mode 600 level admin expose-fd listeners"
    yield "stats timeout 1h"
    yield "log stderr format raw daemon notice"
    yield f"hard-stop-after {milliseconds(plan.settings.drain_seconds)}"
    yield f"tune.bufsize {BUFFER_BYTES}"
    yield f"tune.maxrewrite {REWRITE_BYTES}"
    yield "tune.http.maxhdr 160"
    if plan.lua:
        yield f"lua-load-per-thread {plan.folder.script}"


def _defaults(plan: Plan) -> Iterator[str]:
    settings = plan.settings
    yield "mode http"
    yield "log global"
    yield "option httplog"
    yield "option dontlognull"
    yield "option dontlog-normal"
    yield "option http-restrict-req-hdr-names reject"
    yield f"timeout http-request {milliseconds(settings.head_seconds)}"
    yield f"timeout http-keep-alive {milliseconds(settings.idle_seconds)}"
    yield f"timeout client {milliseconds(max(settings.body_idle_seconds, settings.write_idle_seconds))}"
    yield f"timeout connect {milliseconds(settings.connect_seconds)}"
    yield f"timeout queue {milliseconds(settings.cell_wait_seconds)}"
    yield f"timeout server {milliseconds(forwarding.server_seconds(plan))}"
    yield f"timeout tunnel {milliseconds(settings.pipe_idle_seconds)}"
    yield from answers.of_haproxy()


def _frontend(plan: Plan) -> Iterator[str]:
    settings = plan.settings
    secure = f" ssl crt {plan.certificate} alpn http/1.1" if plan.certificate else ""
    introduced = " accept-proxy" if settings.proxy_protocol else ""
    yield f"bind {plan.listen}{introduced}{secure}"
    if settings.client_connections is not None:
        yield f"maxconn {settings.client_connections}"
    yield "option disable-h2-upgrade"
    sound = f"{{ req.fhdr_cnt(x-request-id) eq 1 }} {{ req.fhdr(x-request-id) -m reg '{REQUEST_ID}' }}"
    yield f"http-request set-var(txn.ident) req.fhdr(x-request-id) if {sound}"
    yield "http-request set-var(txn.ident) uuid,regsub(-,,g) if !{ var(txn.ident) -m found }"
    yield "# What two parsers could read differently"
    yield from identification.strictness(plan)
    yield "# Which tenant"
    yield from identification.sources(settings)
    yield from identification.agreement(settings)
    yield "# Where it lives"
    yield from forwarding.home_of(plan)
    yield "# What its cell gets"
    yield from identification.stripped(settings)
    yield from forwarding.to_cell(plan)
    yield from forwarding.last_words()
    yield f"default_backend {BACKEND}"
