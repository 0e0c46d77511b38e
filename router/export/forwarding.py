"""To the cell and back: `router.rules.headers` in HAProxy's language, and second attempts. Pure.

A request that a cell refuses with 421 goes once more through HAProxy's own socket `again`, where a script waits
until the map knows a newer epoch of its tenant; then it is sent to where the tenant lives. Only such requests take
that way, so the others cost nothing more.
"""

from collections.abc import Iterable, Iterator

from router.errors import no_such_tenant
from router.export import answers
from router.export.answers import refusal
from router.export.plan import BACKEND, Plan, Server
from router.rules.headers import HOP_BY_HOP
from runtime.api.problem import unauthenticated

AGAIN = "_again"
"""A server's name that no cell can have. It alone has a weight, so HAProxy sends there what lost its server."""
RETRY_STATUS = 425
"""HAProxy 2.6 retries on this status and not on 421; either says that nothing was done (RFC 8470 section 5.2)."""
WEBSOCKET = "{ req.hdr(connection) -m str -i upgrade } { req.fhdr(upgrade) -m str -i websocket } { req.ver 1.1 }"
POLL_SECONDS = 0.02


def script(plan: Plan) -> str:
    """What HAProxy's own rules cannot do: try again on 421, and wait for a map to change.

    In a request that is complete, `inspect-delay` does not wait; a script may sleep, and costs nothing meanwhile.
    """
    times = max(1, round(plan.settings.refresh_seconds / POLL_SECONDS))
    return f"""-- Written by `cellway router export haproxy`.
local recent = Map.new("{plan.folder.recent}", Map._str)
local base = Map.new("{plan.folder.base}", Map._str)

-- HAProxy does not retry on 421; on {RETRY_STATUS}, which the status is for a moment, it does.
core.register_action("misdirected", {{ "tcp-res" }}, function(txn)
  txn:set_var("txn.misdirected", 1)
  txn.http:res_set_status({RETRY_STATUS})
end)

-- Wait until the tenant's home is another one than that which refused, but not for ever.
core.register_action("newer", {{ "http-req" }}, function(txn)
  local tenant, known = txn:get_var("txn.tenant"), txn:get_var("txn.known")
  for _ = 1, {times} do
    local home = recent:lookup(tenant) or base:lookup(tenant) or ""
    if home:match(":(%d+)$") ~= known then return end
    core.msleep({round(POLL_SECONDS * 1000)})
  end
end)
"""


def home_of(plan: Plan) -> Iterator[str]:
    """Where the tenant in `txn.tenant` lives: one look into a map gives cell and epoch, so they always fit."""
    folder = plan.folder
    yield f"http-request set-var(txn.home) var(txn.tenant),map_str({folder.recent})"
    yield f"http-request set-var(txn.home) var(txn.tenant),map_str({folder.base}) if !{{ var(txn.home) -m found }}"
    for condition in ("!{ var(txn.home) -m found }", "{ var(txn.home) -m str -- - }"):
        yield f"http-request return {refusal(unauthenticated())} if {{ var(txn.by_key) -m found }} {condition}"
        yield f"http-request return {refusal(no_such_tenant())} if {condition}"
    yield "http-request set-var(txn.epoch) var(txn.home),field(2,:)"
    yield f"http-request set-var(txn.server) var(txn.home),field(1,:),map_str({folder.cells})"
    yield f"http-request return {refusal(answers.no_cell())} if !{{ var(txn.server) -m found }}"


def to_cell(plan: Plan) -> Iterator[str]:
    """The headers that a cell gets."""
    yield f"http-request set-var(txn.websocket) bool(1) if {WEBSOCKET}"
    yield "http-request set-var(txn.scheme) ssl_fc,iif(https,http)"
    for name in sorted(name.decode() for name in HOP_BY_HOP - {b"transfer-encoding", b"upgrade"}):
        yield f"http-request del-header {name}"
    yield "http-request del-header upgrade if !{ var(txn.websocket) -m bool }"
    yield "http-request set-header Connection upgrade if { var(txn.websocket) -m bool }"
    yield "http-request del-header cellway- -m beg"
    trusted = " ".join(plan.settings.trusted_proxies)
    believed = f"{{ src {trusted} }}" if trusted else "{ always_false }"
    for name in ("x-forwarded- -m beg", "forwarded", "x-real-ip"):
        yield f"http-request del-header {name} if !{believed}"
    yield "http-request add-header X-Forwarded-For %[src]"
    for name, value in (("proto", "%[var(txn.scheme)]"), ("host", "%[req.fhdr(host)]")):
        told = f"{{ req.fhdr(x-forwarded-{name}) -m found }}"
        yield f"http-request set-header X-Forwarded-{name.title()} {value} if !{told}"
    yield (
        "http-request set-header X-Forwarded-Prefix %[req.fhdr(x-forwarded-prefix)]%[var(txn.prefix)]"
        " if { var(txn.prefix) -m found }"
    )
    yield from _forwarded()
    yield f'http-request add-header Via "%[req.ver] {plan.via}"'
    yield "http-request set-header X-Request-Id %[var(txn.ident)]"
    yield "http-request set-header Cellway-Tenant %[var(txn.tenant)]"
    yield "http-request set-header Cellway-Epoch %[var(txn.epoch)]"
    yield "http-request set-var(txn.idempotent) bool(1) if { method GET HEAD PUT DELETE OPTIONS }"


def _forwarded() -> Iterator[str]:
    """RFC 7239: an IPv6 address is quoted, and the host is left out when there is none."""
    yield "http-request set-var(txn.node) src"
    yield "http-request set-var-fmt(txn.node) '\"[%[src]]\"' if { src -m sub : }"
    host = "{ req.fhdr_cnt(host) gt 0 }"
    yield (
        "http-request add-header Forwarded "
        f"'for=%[var(txn.node)];host=\"%[req.fhdr(host)]\";proto=%[var(txn.scheme)]' if {host}"
    )
    yield f"http-request add-header Forwarded 'for=%[var(txn.node)];proto=%[var(txn.scheme)]' if !{host}"


def to_client(plan: Plan) -> Iterator[str]:
    """The headers of a cell's answer that a client gets. Refusals of a cell's that are not the client's to see."""
    moving = refusal(answers.misdirected())
    yield f"http-response return {moving} if {{ status 421 }}"
    yield f"http-response return {moving} if {{ status {RETRY_STATUS} }} {{ var(txn.misdirected) -m found }}"
    if plan.settings.require_api_key:
        # HAProxy's own 401 must not differ from a cell's: by that one could try out who exists.
        yield f"http-response return {refusal(unauthenticated())} if {{ status 401 }}"
    yield "http-response deny deny_status 502 if { status 101 } !{ var(txn.websocket) -m bool }"
    yield "http-response del-header cellway- -m beg"
    hidden = HOP_BY_HOP - {b"transfer-encoding", b"upgrade", b"connection"} | {b"server", b"x-powered-by"}
    for name in sorted(name.decode() for name in hidden | {b"x-request-id"}):
        yield f"http-response del-header {name}"
    yield "http-response set-header Date %[date,http_date] if !{ res.hdr(date) -m found }"
    yield "http-response set-var(txn.of_cell) bool(1)"


def last_words() -> Iterator[str]:
    """For every answer, also HAProxy's own."""
    yield "http-after-response set-header X-Request-Id %[var(txn.ident)] if { var(txn.ident) -m found }"
    yield "http-after-response set-header Date %[date,http_date] if !{ res.hdr(date) -m found }"
    ours = "{ status 502 504 } !{ var(txn.of_cell) -m bool } { var(txn.idempotent) -m bool }"
    yield f"http-after-response set-header Retry-After 1 if {ours}"


def cells(plan: Plan, servers: Iterable[Server]) -> Iterator[str]:
    """The backend: every cell a server, chosen by name."""
    settings = plan.settings
    yield "balance roundrobin"
    yield "http-reuse safe"
    if plan.lua:
        yield f"retry-on {RETRY_STATUS}"
        yield "retries 1"
        yield "option redispatch 1"
        yield f"tcp-response inspect-delay {milliseconds(server_seconds(plan))}"
        yield "tcp-response content lua.misdirected if { status 421 }"
    else:
        yield "retry-on none"
    yield from to_client(plan)
    yield "use-server %[var(txn.server)] if { var(txn.server) -m found }"
    for server in servers:
        yield f"server {server.name} {server.words(settings)}"
    if plan.lua:
        yield f"server {AGAIN} unix@{plan.folder.again} weight 1"


def again(plan: Plan) -> Iterator[str]:
    """The frontend for second attempts. It trusts its headers: nobody else may connect to its socket."""
    yield f"bind unix@{plan.folder.again} mode 600"
    yield "http-request set-var(txn.tenant) req.fhdr(cellway-tenant)"
    yield "http-request set-var(txn.known) req.fhdr(cellway-epoch)"
    yield "http-request set-var(txn.by_key) bool(1) if { req.fhdr_cnt(authorization) gt 0 }"
    yield f"http-request set-var(txn.websocket) bool(1) if {WEBSOCKET}"
    yield "http-request lua.newer"
    yield from home_of(plan)
    yield "http-request set-header Cellway-Epoch %[var(txn.epoch)]"
    yield "http-request disable-l7-retry"
    yield f"default_backend {BACKEND}"


def server_seconds(plan: Plan) -> float:
    """HAProxy has one deadline for a cell's head and between two pieces of its body: the longer of ours."""
    return max(plan.settings.response_seconds, plan.settings.response_idle_seconds)


def milliseconds(seconds: float) -> str:
    """A duration in HAProxy's words; it knows whole milliseconds."""
    return f"{max(1, round(seconds * 1000))}ms"
