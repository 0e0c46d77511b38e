"""Viewers look, operators run, admins may do what cannot be undone; and nobody learns who the others are."""

import contextlib
import hmac
import re
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from placement.access import Access
from placement.rules.roles import Operator, Role, allows, grants, needed
from placement.settings import PlacementSettings
from runtime.api.problem import ApiError
from runtime.errors import SettingsError
from runtime.settings import SecretStr
from tests.placement.conftest import PEOPLE, TOKEN, TOKENS, Client
from tests.placement.decisions import NEEDS, ROLES, operations

LONG = "op_" + "a" * 43
PAGE = Path(__file__).parents[2] / "docs" / "operations" / "operators.md"


async def test_every_operation_of_the_document_has_a_role_that_somebody_decided(shared: Client) -> None:
    """A new one fails here until it is in the table; its role is in the document, and the page tells of it."""
    served = list(operations((await shared("GET", "/openapi.json", token=None)).body))
    decided = {name: role for role, names in NEEDS.items() for name in names}
    assert {each.name: each.role for each in served} == decided
    text = PAGE.read_text(encoding="utf-8")
    table = text[text.index("| role |") :].split("\n\n")[0]
    rows = {
        row.split("|")[1].strip(" *"): set(re.findall(r"`([a-z]+[A-Za-z]*)`", row)) for row in table.split("\n")
    }
    assert rows["admin"] == NEEDS["admin"]
    assert rows["viewer"] == {each.name for each in served if each.role == "viewer" and each.method != "GET"}


@pytest.mark.parametrize("role", ROLES)
async def test_every_operation_is_refused_to_lower_roles_and_no_others(shared: Client, role: str) -> None:
    """403 names the role that is needed, before anything of the request is read; nobody else's name is told."""
    for each in operations((await shared("GET", "/openapi.json", token=None)).body):
        answer = await shared(each.method, each.path, data=b"{broken", token=TOKENS[role])
        if ROLES.index(role) < ROLES.index(each.role):
            assert (answer.status, answer.body["code"]) == (403, "PERMISSION_DENIED"), (each, answer)
            assert answer.body["metadata"] == {"needs": each.role, "role": role}
            assert f"needs the role {each.role}" in answer.body["message"]
            others = [name for name in PEOPLE.values() if name != PEOPLE[role]]
            assert not any(re.search(rf"\b{name}\b", str(answer.body)) for name in others)
        else:
            assert answer.status not in (401, 403, 500), (each, answer)


async def test_who_asks_is_told_to_them_alone(shared: Client) -> None:
    """Their own name and role; a token of before there were roles is an admin's."""
    for role, token in TOKENS.items():
        answer = await shared("GET", "/v1/whoami", token=token)
        assert (answer.status, answer.body) == (200, {"name": PEOPLE[role], "role": role})
    old = await shared("GET", "/v1/whoami", token=TOKEN)
    assert old.body == {"name": "unnamed-2", "role": "admin"}


@pytest.mark.parametrize(
    ("entry", "operator"),
    [
        (LONG, Operator("unnamed-1", "admin")),
        ("a-token:with-colons:of-before", Operator("unnamed-1", "admin")),
        (f"viewer:grace:{LONG}", Operator("grace", "viewer")),
        (f"operator:a.b_c-9:{LONG}", Operator("a.b_c-9", "operator")),
        (f"admin:ada:{LONG}:with:colons", Operator("ada", "admin")),
    ],
)
def test_a_token_alone_is_an_admins_and_others_say_whose_they_are(entry: str, operator: Operator) -> None:
    """No token of before is mistaken for another form."""
    [grant] = grants([entry])
    assert grant.operator == operator
    assert entry.endswith(grant.token)
    assert grant.token not in repr(grant)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (["short"], "entry 1: an operator token has at least 16"),
        ([LONG, "viewer:grace:op_short"], "entry 2: an operator token has at least 16"),
        ([f"viwer:grace:{LONG}"], "entry 1 is not of the form role:name:op_"),
        ([f"Viewer:grace:{LONG}"], "entry 1 is not of the form"),
        ([f"viewer:{LONG}"], "entry 1 is not of the form"),
        ([f":grace:{LONG}"], "entry 1 is not of the form"),
        ([f"viewer:grace:{'a' * 43}"], "entry 1 is not of the form"),
        ([f"viewer::{LONG}"], "entry 1: a name has 1 to 40"),
        ([f"viewer:Grace H:{LONG}"], "entry 1: a name has 1 to 40"),
        ([f"admin:placement:{LONG}"], "entry 1: a name has"),
        ([f"admin:unnamed-1:{LONG}"], "entry 1: a name has"),
        ([f"admin:{'a' * 41}:{LONG}"], "entry 1: a name has"),
        ([LONG, f"viewer:grace:{LONG}"], "entry 2 has the token of another entry"),
        ([f"viewer:grace:{LONG}", f"viewer:ada:{LONG}"], "entry 2 has the token of another entry"),
    ],
)
def test_entries_that_make_no_sense_are_told_by_their_place(entries: list[str], said: str) -> None:
    """The setting is named, and nothing of what it holds."""
    with pytest.raises(SettingsError) as told:
        PlacementSettings.load({"CELLWAY_PLACEMENT_OPERATOR_TOKENS": ",".join(entries)})
    mine = next(part for part in str(told.value).split("; ") if "OPERATOR_TOKENS" in part)
    assert said in mine
    assert LONG not in str(told.value)
    assert "grace:" not in str(told.value)


def test_a_person_may_have_several_tokens() -> None:
    """While one is replaced by another, and one for every day beside one for what is dangerous."""
    found = grants([f"viewer:grace:{LONG}1", f"viewer:grace:{LONG}2", f"admin:grace:{LONG}3", LONG, LONG])
    assert [grant.operator.name for grant in found] == ["grace", "grace", "grace", "unnamed-4"]


def test_every_token_is_compared_whoever_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a comparison that takes equally long, on digests of one length: the path tells nothing."""
    access = Access([SecretStr(f"viewer:grace:{LONG}{number}") for number in range(5)])
    compared: list[tuple[int, int]] = []
    real = hmac.compare_digest

    def counting(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    for token, known in (
        (f"{LONG}0", True),
        (f"{LONG}4", True),
        ("op_wrong", False),
        ("", False),
        ("ü" * 9, False),
    ):
        compared.clear()
        request = make_mocked_request("GET", "/", headers={"Authorization": f"Bearer {token}"})
        with contextlib.nullcontext() if known else pytest.raises(ApiError, match="send an operator token"):
            assert access.operator(request).name == "grace"
        assert compared == [(32, 32)] * 5
    assert LONG not in repr(access)
    assert LONG not in repr(vars(access))


def test_each_role_has_what_those_before_it_have() -> None:
    """Nine cases; what says no role has the one of its method."""
    named: tuple[Role, ...] = ("viewer", "operator", "admin")
    allowed = [[allows(has, needs) for needs in named] for has in named]
    assert allowed == [[True, False, False], [True, True, False], [True, True, True]]
    methods: list[Any] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "SOMETHING"]
    assert [needed(method) for method in methods] == ["viewer", "viewer", *["operator"] * 5]
    assert needed("DELETE", "admin") == "admin"
    with pytest.raises(ValueError, match="no role"):
        needed("GET", "root")
