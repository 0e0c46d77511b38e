"""The pure rules: state tables, headers, ETags, digests, labels."""

from collections.abc import Mapping
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from pydantic import BaseModel

from cell.errors import NotAllowed
from cell.rules import states
from cell.rules.digests import digest
from cell.rules.etags import check_version, etag, expected_version
from cell.rules.headers import Routed, routed
from cell.rules.labels import MOST_LABELS, merged
from runtime.api.problem import ApiError

TABLES: list[tuple[Mapping[tuple[Any, Any], Any], set[str]]] = [
    (states.NAMESPACES, set()),
    (states.JOBS, {"done"}),
]


@pytest.mark.parametrize(("table", "ends"), TABLES)
def test_nothing_leaves_an_end_and_everything_else_can_go_on(
    table: Mapping[tuple[Any, Any], Any], ends: set[str]
) -> None:
    """Ends are final; no state is a trap; no transition leads outside the table's states."""
    begun = {state for state, _ in table}
    assert begun.isdisjoint(ends)
    assert set(table.values()) <= begun | ends


@pytest.mark.parametrize(("table", "ends"), TABLES)
def test_what_is_not_in_the_table_is_refused_with_what_would_be_possible(
    table: Mapping[tuple[Any, Any], Any], ends: set[str]
) -> None:
    """Every pair of a state and an event is either in the table or refused."""
    all_states = {state for state, _ in table} | ends
    for state in all_states:
        for event in {event for _, event in table}:
            if (state, event) in table:
                assert states.after(table, state, event) == table[state, event]
            else:
                with pytest.raises(NotAllowed, match="possible: "):
                    states.after(table, state, event)


@hypothesis.given(st.lists(st.text(max_size=50), max_size=2), st.lists(st.text(max_size=30), max_size=2))
def test_headers_are_read_or_refused(tenants: list[str], epochs: list[str]) -> None:
    """Nothing else happens, whatever they hold."""
    try:
        found = routed(tenants, epochs)
    except ApiError:
        return
    assert [found.tenant_id] == tenants
    assert [str(found.epoch)] == epochs


def test_good_headers_are_read() -> None:
    """The router's belief."""
    assert routed(["acme"], ["17"]) == Routed("acme", 17)


@hypothesis.given(st.integers(0, 10**17), st.integers(0, 10**17))
def test_an_etag_matches_its_own_version_only(one: int, other: int) -> None:
    """A round trip, and a comparison."""
    assert expected_version([etag(one)]) == one
    check_version(one, one)
    check_version(None, one)
    if one != other:
        with pytest.raises(ApiError) as refused:
            check_version(one, other)
        assert refused.value.status == 412


class _Body(BaseModel):
    name: str = ""
    labels: dict[str, str] | None = None


@hypothesis.given(st.dictionaries(st.text(max_size=5), st.text(max_size=5)), st.text(max_size=5))
def test_a_digest_sees_content_and_not_spelling(labels: dict[str, str], name: str) -> None:
    """The order of fields does not matter; an absent field differs from one that is null."""
    turned = dict(reversed(list(labels.items())))
    asked = digest({"a": "x"}, _Body(name=name, labels=labels), None)
    assert asked == digest({"a": "x"}, _Body(labels=turned, name=name), None)
    assert asked != digest({"a": "y"}, _Body(name=name, labels=labels), None)
    assert asked != digest({"a": "x"}, _Body(name=name, labels=labels), '"1"')
    assert digest({}, _Body(labels=None), None) != digest({}, _Body(), None)


@hypothesis.given(
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=MOST_LABELS),
    st.dictionaries(st.text(max_size=3), st.none() | st.text(max_size=3), max_size=10),
)
def test_labels_merge_by_rfc_7396(labels: dict[str, str], patch: dict[str, str | None]) -> None:
    """What is null goes, what is given is set, the rest stays; the result is bounded."""
    try:
        after = merged(labels, patch)
    except ApiError:
        assert len({**labels, **patch}) > MOST_LABELS
        return
    assert len(after) <= MOST_LABELS
    for name in {*labels, *patch}:
        assert after.get(name) == (patch[name] if name in patch else labels[name])
    assert merged(labels, None) == {}
