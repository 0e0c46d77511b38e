"""Which tenant a request is for: `router.rules.identify` and `router.rules.strict` in HAProxy's language. Pure.

The sources end up in `txn.by_host`, `txn.by_path`, `txn.by_header` and `txn.by_key`, what they agree on in
`txn.tenant`. Regular expressions avoid backslashes, commas and parentheses, which mean something to HAProxy.
"""

from collections.abc import Iterator

from directory.rules.names import NAME
from router.errors import malformed, no_such_tenant
from router.export import answers
from router.export.answers import refusal
from router.export.plan import Plan
from router.settings import RouterSettings
from runtime.api.problem import unauthenticated

KEY = "^[Bb][Ee][Aa][Rr][Ee][Rr] +ck_[a-z0-9-]{2,40}_[A-Za-z0-9_-]{43} *$"
HOST = r"^([A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$"
CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
"""Its parser lets all but line ends pass, even NUL."""
REQUEST_ID = "^[A-Za-z0-9._:/+=@-]{1,128}$"
AT_MOST_ONCE = ("host", "authorization", "content-length", "transfer-encoding", "idempotency-key", "expect")
SOURCES = ("host", "path", "header", "key")
NO_TENANT = "nothing names a tenant: use its host name, /t/<tenant>/…, the header {} or its API key"


def strictness(plan: Plan) -> Iterator[str]:
    """What is refused before anybody is looked for."""
    header = plan.settings.tenant_header.lower()
    yield _refused("this method is not passed on", "{ method CONNECT TRACE }")
    yield _refused("only HTTP/1.0 and HTTP/1.1 are spoken here", "!{ req.ver 1.0 1.1 }")
    for name in dict.fromkeys((*AT_MOST_ONCE, header)):
        yield _refused(f"the header {name} is given more than once", f"{{ req.fhdr_cnt({name}) gt 1 }}")
    yield _refused("the header host is missing", "{ req.ver 1.1 } !{ req.fhdr_cnt(host) gt 0 }")
    yield _refused(
        "the header host is malformed", f"{{ req.fhdr_cnt(host) gt 0 }} !{{ req.fhdr(host) -m reg '{HOST}' }}"
    )
    yield _refused("the request target holds characters that must be percent-encoded", "{ url -m sub '#' }")
    yield _refused("a header's value holds control characters", f"{{ req.hdrs -m reg '{CONTROL}' }}")
    chunked = "{ req.fhdr_cnt(transfer-encoding) gt 0 }"
    yield _refused("HTTP/1.0 has no transfer-encoding", f"{{ req.ver 1.0 }} {chunked}")
    not_chunked = "!{ req.fhdr(transfer-encoding) -m str -i chunked }"
    yield _refused("the only transfer-encoding passed on is chunked", f"{chunked} {not_chunked}")
    expects = "{ req.fhdr_cnt(expect) gt 0 } !{ req.fhdr(expect) -m str -i 100-continue }"
    only = malformed("the only expectation met here is 100-continue", status=417)
    yield f"http-request return {refusal(only)} if {expects}"
    came_round = f"{{ req.hdr(via) -m sub {plan.via} }}"
    yield f"http-request return {refusal(answers.came_round())} if {came_round}"


def _refused(reason: str, condition: str) -> str:
    return f"http-request return {refusal(malformed(reason))} if {condition}"


def sources(settings: RouterSettings) -> Iterator[str]:
    """Every source that is switched on."""
    yield "http-request set-var(txn.host) req.fhdr(host),host_only,lower,regsub([.]$,)"
    key = f"{{ req.fhdr(authorization) -m reg '{KEY}' }}"
    yield f"http-request set-var(txn.by_key) req.fhdr(authorization),field(2,_) if {key}"
    if "host" in settings.identify:
        for domain in settings.domains:
            pattern = domain.replace(".", "[.]")
            yield (
                f"http-request set-var(txn.by_host) var(txn.host),regsub([.]{pattern}$,)"
                f" if !{{ var(txn.by_host) -m found }} {{ var(txn.host) -m end .{domain} }}"
            )
    if "path" in settings.identify:
        yield "http-request set-var(txn.by_path) path,field(3,/) if { path -m beg /t/ }"
        yield "http-request set-var(txn.by_path) str(-) if { path -m beg /t/ } !{ var(txn.by_path) -m found }"
    if "header" in settings.identify:
        name = settings.tenant_header.lower()
        yield f"http-request set-var(txn.by_header) req.fhdr({name})"
        yield (
            f"http-request set-var(txn.by_header) str(-)"
            f" if {{ req.fhdr_cnt({name}) gt 0 }} !{{ var(txn.by_header) -m found }}"
        )


def agreement(settings: RouterSettings) -> Iterator[str]:
    """The tenant that all sources name, or a refusal that tells nothing about who exists."""
    used = [source for source in SOURCES if source in settings.identify]
    if settings.require_api_key:
        yield f"http-request return {refusal(unauthenticated())} if !{{ var(txn.by_key) -m found }}"
    for source in used:
        yield (
            f"http-request set-var(txn.tenant) var(txn.by_{source})"
            f" if !{{ var(txn.tenant) -m found }} {{ var(txn.by_{source}) -m found }}"
        )
    nobody = malformed(NO_TENANT.format(settings.tenant_header))
    yield f"http-request return {refusal(nobody)} if !{{ var(txn.tenant) -m found }}"
    refused = refusal(no_such_tenant())
    for source in used[1:]:
        differs = f"{{ var(txn.by_{source}) -m found }} !{{ var(txn.by_{source}),strcmp(txn.tenant) eq 0 }}"
        yield f"http-request return {refused} if {differs}"
    pattern = NAME.replace("(?:", "(")
    yield f"http-request return {refused} if !{{ var(txn.tenant) -m reg '{pattern}' }}"


def stripped(settings: RouterSettings) -> Iterator[str]:
    """The target as the cell sees it: in origin form, without the prefix, else byte for byte what came."""
    yield "http-request set-uri %[pathq] if !{ url -m beg / } !{ url -m str * }"
    if "path" in settings.identify:
        yield "http-request set-var(txn.prefix) str(/t/),concat(,txn.by_path) if { var(txn.by_path) -m found }"
        # With a trailing slash for the moment, so that one rule takes the prefix off, and once only.
        yield "http-request replace-path '^/t/[^/]*$' '\\0/' if { var(txn.prefix) -m found }"
        yield "http-request replace-path '^/t/[^/]*/(.*)$' '/\\1' if { var(txn.prefix) -m found }"
