"""Whom a request is for."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.rules.identify import Identified, Sources, Unidentified, can_be_name, identify
from router.rules.requests import RequestHead
from tests.router.rules.heads import KEY, OTHER_KEY, bearer, head, read, written

OPEN = Sources(require_key=False)
STRICT = Sources()
TENANT = (b"X-Tenant", b"acme")


@pytest.mark.parametrize(
    ("request_head", "tenant", "target", "prefix"),
    [
        (head(host=b"acme.api.localhost"), b"acme", b"/v1/things", None),
        (head(host=b"acme.api.localhost:8080"), b"acme", b"/v1/things", None),
        (head(host=b"ACME.Api.LocalHost"), b"acme", b"/v1/things", None),
        (head(host=b"acme.api.localhost."), b"acme", b"/v1/things", None),
        (head(TENANT), b"acme", b"/v1/things", None),
        (head(bearer(KEY)), b"acme", b"/v1/things", None),
        (head((b"authorization", b"bearer  " + KEY)), b"acme", b"/v1/things", None),
        (head(target=b"/t/acme/v1/things?x=1"), b"acme", b"/v1/things?x=1", b"/t/acme"),
        (head(target=b"/t/acme"), b"acme", b"/", b"/t/acme"),
        (head(target=b"/t/acme/"), b"acme", b"/", b"/t/acme"),
        (head(target=b"/t/acme?x=/t/beta/"), b"acme", b"/?x=/t/beta/", b"/t/acme"),
        (head(target=b"/t/acme//a/%2e%2E/%2f?%00=%zz"), b"acme", b"//a/%2e%2E/%2f?%00=%zz", b"/t/acme"),
        (head(target=b"/t/acme/../beta/v1"), b"acme", b"/../beta/v1", b"/t/acme"),
        (head(target=b"http://acme.api.localhost/v1?q", host=b"other"), b"acme", b"/v1?q", None),
        (head(target=b"http://acme.api.localhost", host=b"other"), b"acme", b"/", None),
        (head(target=b"HTTP://acme.api.localhost?q", host=b"other"), b"acme", b"/?q", None),
        (head(TENANT, host=b"[::1]:80"), b"acme", b"/v1/things", None),
        (head(TENANT, target=b"/T/beta/x"), b"acme", b"/T/beta/x", None),
        (head(TENANT, target=b"/%74/beta/x"), b"acme", b"/%74/beta/x", None),
        (head(TENANT, bearer(KEY), host=b"acme.api.localhost", target=b"/t/acme/x"), b"acme", b"/x", b"/t/acme"),
    ],
)
def test_a_tenant_is_found_in_every_place_that_may_name_it(
    request_head: RequestHead, tenant: bytes, target: bytes, prefix: bytes | None
) -> None:
    """Decisions are taken on the bytes that came, and what is passed on is those same bytes."""
    found = identify(request_head, OPEN)
    assert isinstance(found, Identified)
    assert (found.tenant, found.target, found.prefix) == (tenant, target, prefix)


@pytest.mark.parametrize(
    "request_head",
    [
        head(TENANT, host=b"beta.api.localhost"),
        head(TENANT, target=b"/t/beta/x"),
        head(bearer(KEY), host=b"beta.api.localhost"),
        head(bearer(KEY), (b"X-Tenant", b"beta")),
        head(bearer(OTHER_KEY), target=b"/t/acme/x"),
        head(bearer(KEY), (b"X-Tenant", b"nobody-has-this-name")),
        head(host=b"a.b.api.localhost"),
        head(host=b"-acme.api.localhost"),
        head(host=b"a.api.localhost"),
        head((b"X-Tenant", b"Acme")),
        head((b"X-Tenant", b"acme,beta")),
        head((b"X-Tenant", b"ac\xffme")),
        head((b"X-Tenant", b"")),
        head(target=b"/t//x"),
        head(target=b"/t/ac%6de/x"),
        head(target=b"/t/" + b"a" * 41),
    ],
)
def test_what_disagrees_or_cannot_be_a_name_is_no_such_tenant(request_head: RequestHead) -> None:
    """One answer for all of them, so that nobody learns which tenants exist."""
    assert identify(request_head, OPEN) is Unidentified.NO_SUCH_TENANT


@pytest.mark.parametrize(
    "request_head",
    [
        head(),
        head(host=b"api.localhost"),
        head(host=b"acme.api.localhost.evil.com"),
        head(host=b"acmeapi.localhost"),
        head(target=b"/t"),
        head(target=b"*", method=b"OPTIONS"),
        head((b"X_Tenant", b"acme")),
        head((b"Authorization", b"Basic " + KEY)),
        head((b"Authorization", b"Bearer ck_acme_short")),
        head((b"Authorization", b"Bearer ck_acme_" + b"k" * 44)),
        head((b"Authorization", b"Bearer CK_acme_" + b"k" * 43)),
    ],
)
def test_nothing_that_names_a_tenant_is_said_so(request_head: RequestHead) -> None:
    """The client is told what to send."""
    assert identify(request_head, OPEN) is Unidentified.NO_TENANT


@pytest.mark.parametrize("target", [b"/", b"/t/acme/x", b"/t/nobody/x"])
@pytest.mark.parametrize("host", [b"example.com", b"acme.api.localhost", b"nobody.api.localhost"])
@pytest.mark.parametrize(
    "credentials",
    [(), ((b"Authorization", b"Bearer nonsense"),), ((b"Authorization", b"Basic YTpi"),), ((b"X-Key", KEY),)],
)
def test_without_a_key_nothing_else_is_looked_at(
    target: bytes, host: bytes, credentials: tuple[tuple[bytes, bytes], ...]
) -> None:
    """Where keys are required, the lack of one is answered the same for every tenant, real or not."""
    assert identify(head(*credentials, target=target, host=host), STRICT) is Unidentified.NO_KEY


def test_sources_that_are_off_name_nobody() -> None:
    """And a path is only taken apart when paths may name tenants."""
    only_key = replace(STRICT, host=False, path=False, header=False)
    found = identify(
        head(bearer(KEY), (b"X-Tenant", b"beta"), host=b"beta.api.localhost", target=b"/t/beta/x"), only_key
    )
    assert isinstance(found, Identified)
    assert (found.tenant, found.target) == (b"acme", b"/t/beta/x")


def test_domains_and_the_header_are_settings() -> None:
    """Several domains may be served, and the header may have another name."""
    sources = replace(OPEN, domains=(b"a.example", b"b.example"), tenant_header=b"x-customer")
    for request_head in (head(host=b"acme.b.example"), head((b"X-Customer", b"acme"), sources=sources)):
        found = identify(request_head, sources)
        assert isinstance(found, Identified)
    assert identify(head(TENANT, sources=sources), sources) is Unidentified.NO_TENANT


BYTES = st.one_of(
    st.binary(max_size=60),
    st.text("abcz019-.:/?%[]_ \t", max_size=60).map(str.encode),
    st.sampled_from([b"acme", b"acme.api.localhost", b"Bearer " + KEY, b"t/acme/x?y"]),
)


@given(target=BYTES, host=BYTES, tenant=BYTES, credential=BYTES)
def test_whatever_comes_is_either_a_proper_name_or_refused(
    target: bytes, host: bytes, tenant: bytes, credential: bytes
) -> None:
    """No bytes make identification fail, and what stays of a target is its own end, byte for byte."""
    data = written((b"X-Tenant", tenant), (b"Authorization", credential), target=b"/" + target, host=host)
    request_head = read(data)
    if request_head is None:
        return
    found = identify(request_head, OPEN)
    if isinstance(found, Identified):
        assert found.tenant == request_head.values(b"x-tenant")[0]
        assert can_be_name(found.tenant)
        taken_off = found.prefix or b""
        assert taken_off + found.target in (request_head.target, request_head.target.replace(b"?", b"/?", 1)) or (
            found.target == b"/" and taken_off == request_head.target
        )


@given(rest=st.one_of(st.binary(max_size=80), st.text("az09/?%&=.~'\"", max_size=80).map(str.encode)))
def test_a_path_after_its_prefix_stays_as_it_is(rest: bytes) -> None:
    """`/t/acme` + anything that begins with a slash → that anything."""
    request_head = read(written(target=b"/t/acme/" + rest))
    if request_head is None:
        assert any(not 0x21 <= each <= 0x7E or each == 0x23 for each in rest)
        return
    found = identify(request_head, OPEN)
    assert isinstance(found, Identified)
    assert found.target == b"/" + rest
