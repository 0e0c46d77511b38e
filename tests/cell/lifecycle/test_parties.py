"""One contract for every party: a key is done once, found, undone for good, and refused when it comes late."""

import asyncio
import secrets
import smtplib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from cell.errors import Unfit
from cell.orchestrator.actions import Call, Outage, Party
from cell.parties.resources import PREPARED, refill
from cell.parties.seams import Parties
from cell.parties.smtp import SmtpMail, mail_server
from cell.rules.keys import encryption_key_of
from cell.workflows.exporting import Export
from runtime.database import Pool, open_pool
from runtime.errors import SettingsError
from tests.cell.lifecycle.life import LEFT, Life, local
from tests.cell.lifecycle.mail_server import MailServerOfTests, mail_server_of_tests

LETTER = {"letter": "unpaid", "recipient": "ada@example.com"}
ASKED: Mapping[str, tuple[Callable[[Parties], Callable[..., Party]], Mapping[str, Any]]] = {
    "identity": (lambda p: p.identity.organisation, {"display_name": "Ada", "email": "ada@example.com"}),
    "subscribe": (lambda p: p.billing.subscribe, {"plan": "standard", "trial_seconds": None}),
    "trial": (lambda p: p.billing.subscribe, {"plan": "standard", "trial_seconds": 60.0}),
    "change_plan": (lambda p: p.billing.change_plan, {"plan": "premium"}),
    "pause": (lambda p: p.billing.pause, {}),
    "resume": (lambda p: p.billing.resume, {}),
    "close": (lambda p: p.billing.close, {}),
    "mail": (lambda p: p.mail.letter, LETTER),
    "key": (lambda p: p.resources.take, {"kind": "encryption_key"}),
    "attributes": (lambda p: p.resources.take, {"kind": "search_attributes"}),
}
NEEDS_A_SUBSCRIPTION = ("change_plan", "pause", "resume", "close")


@dataclass
class Asking:
    """A party, and the calls that it gets."""

    life: Life
    party: Party
    name: str
    step: str = field(default_factory=lambda: f"s{secrets.token_hex(4)}")

    @property
    def call(self) -> Call:
        return Call(self.life.stage.tenant_id, "op-test", self.step, {}, {})

    async def counted(self) -> dict[str, int]:
        """All that a party could have left: rows, and what billing charges."""
        counted = await self.life.left()
        bills = [(row["plan"], row["state"]) for row in await self.life.rows("billing_subscriptions")]
        valid = [row for row in await self.life.rows("invoices") if row["state"] == "ISSUED"]
        return {**counted, "bills": hash(str(bills)), "invoices": len(valid)}


def party_of(name: str, pool: Pool) -> Party:
    """What is asked of which party."""
    if name == "export":
        return Export(pool)
    made, what = ASKED[name]
    return made(local(pool))(lambda _call: what)


@pytest.fixture(params=[*ASKED, "smtp", "export"])
async def asking(life: Life, request: pytest.FixtureRequest) -> AsyncIterator[Asking]:
    """Each thing that can be asked of each party."""
    name = request.param
    if name in NEEDS_A_SUBSCRIPTION:
        first = Asking(life, party_of("subscribe", life.stage.pool), "subscribe")
        await first.party.act(first.call)
    if name != "smtp":
        yield Asking(life, party_of(name, life.stage.pool), name)
        return
    async with mail_server_of_tests() as server:
        mail = SmtpMail(life.stage.pool, mail_server(server.url, "cellway@example.com"))
        yield Asking(life, mail.letter(lambda _call: LETTER), name)


async def test_the_same_key_is_done_once_and_answers_the_same(asking: Asking) -> None:
    """Also when it is asked for at the same moment."""
    first, second = await asyncio.gather(asking.party.act(asking.call), asking.party.act(asking.call))
    counted = await asking.counted()
    assert first == second == await asking.party.act(asking.call) == await asking.party.find(asking.call)
    assert await asking.counted() == counted


async def test_what_was_never_asked_is_not_found(asking: Asking) -> None:
    """And another key is another matter."""
    assert await asking.party.find(asking.call) is None
    await asking.party.act(asking.call)
    asking.step = "another"
    assert await asking.party.find(asking.call) is None


async def test_what_was_undone_is_gone_and_stays_gone(asking: Asking) -> None:
    """However often it is undone; a late original is refused. A mail that was sent cannot be called back."""
    before = await asking.counted()
    await asking.party.act(asking.call)
    for _ in range(2):
        await asking.party.undo(asking.call)
    assert await asking.party.find(asking.call) is None
    with pytest.raises(Unfit):
        await asking.party.act(asking.call)
    if asking.name == "smtp":
        before["mails"] = 1
    assert await asking.counted() == before


async def test_to_undo_what_never_happened_leaves_a_tombstone(asking: Asking) -> None:
    """So whatever is still on its way comes too late."""
    before = await asking.counted()
    await asking.party.undo(asking.call)
    with pytest.raises(Unfit):
        await asking.party.act(asking.call)
    assert await asking.party.find(asking.call) is None
    assert await asking.counted() == before


async def test_acting_and_undoing_at_the_same_moment_leave_nothing(asking: Asking) -> None:
    """Whoever comes first."""
    before = await asking.counted()
    await asyncio.gather(asking.party.act(asking.call), asking.party.undo(asking.call), return_exceptions=True)
    assert await asking.party.find(asking.call) is None
    after = await asking.counted()
    if asking.name == "smtp":
        before["mails"] = after.get("mails", 0)
    assert {key: value for key, value in after.items() if value} == {k: v for k, v in before.items() if v}


@pytest.mark.parametrize("name", [*ASKED, "export"])
async def test_a_party_whose_database_is_away_is_an_outage(name: str) -> None:
    """Which costs the work no attempt."""
    pool = await open_pool("postgresql://cell_app:x@127.0.0.1:1/nowhere", name="test", size=1, stateless=True)
    party, call = party_of(name, pool), Call("acme", "op-test", "step", {}, {})
    for asked in (party.act, party.find, party.undo):
        with pytest.raises(Outage):
            await asked(call)
    pool.terminate()


async def test_every_table_of_a_party_is_watched_here() -> None:
    """What is left is counted in each."""
    assert {"organisations", "billing_subscriptions", "mails", "taken_resources", "exports"} <= set(LEFT)


async def test_a_change_that_was_changed_again_is_not_undone(life: Life) -> None:
    """The way back would lead past somebody else's decision."""
    for name, plan in (("subscribe", None), ("change_plan", "premium"), ("change_plan", "standard")):
        made, what = ASKED[name]
        party = made(life.parties)(
            lambda _call, what=what, plan=plan: {**what, **({"plan": plan} if plan else {})}
        )
        asking = Asking(life, party, name, step=f"to-{plan}")
        await party.act(asking.call)
    await party_of("change_plan", life.stage.pool).undo(Asking(life, party, name, step="to-premium").call)
    assert await life.billed() == ("standard", "ACTIVE")


async def test_a_pause_is_resumed_to_what_it_interrupted(life: Life) -> None:
    """A trial is a trial again."""
    for name, state in (("trial", "TRIAL"), ("pause", "PAUSED"), ("resume", "TRIAL"), ("resume", "TRIAL")):
        asking = Asking(life, party_of(name, life.stage.pool), name)
        await asking.party.act(asking.call)
        assert (await life.billed())[1] == state


# --- resources ---


async def prepared(life: Life, kind: str) -> set[str]:
    """What is in the pool."""
    async with life.entered() as connection:
        rows = await connection.fetch("SELECT resource_id FROM cell.prepared_resources WHERE kind = $1", kind)
    return {row["resource_id"] for row in rows}


async def take(life: Life, kind: str) -> Asking:
    """One of it."""
    asking = Asking(life, life.parties.resources.take(lambda _call: {"kind": kind}), kind)
    await asking.party.act(asking.call)
    return asking


async def test_the_pool_is_filled_up_and_no_further(life: Life) -> None:
    """Also by two at a time."""
    await asyncio.gather(refill(life.stage.pool), refill(life.stage.pool))
    await refill(life.stage.pool)
    for kind, most in PREPARED.items():
        assert len(await prepared(life, kind)) == most
    assert await refill(life.stage.pool) == 0
    await take(life, "search_attributes")
    assert await refill(life.stage.pool) == 1


async def test_a_resource_is_given_to_one_only(life: Life) -> None:
    """Twenty at a time, more than there are: the rest is made on the spot."""
    await refill(life.stage.pool)
    taken = await asyncio.gather(*(take(life, "encryption_key") for _ in range(20)))
    found = [await asking.party.find(asking.call) for asking in taken]
    assert len({str(each and each["resource_id"]) for each in found}) == 20
    assert await prepared(life, "encryption_key") == set()


@pytest.mark.parametrize(("kind", "comes_back"), [("search_attributes", True), ("encryption_key", False)])
async def test_what_is_given_back_is_used_again_unless_it_was_a_key(
    life: Life, kind: str, comes_back: bool
) -> None:
    """A key that one customer had is nobody else's."""
    asking = await take(life, kind)
    done = await asking.party.find(asking.call)
    assert done is not None
    await asking.party.undo(asking.call)
    assert (done["resource_id"] in await prepared(life, kind)) == comes_back


def test_an_encryption_key_is_derived_from_what_is_stored() -> None:
    """By the fleet's secret: another tenant, identifier or secret is another key."""
    keys = {
        encryption_key_of(pepper, tenant, name)
        for pepper in (b"one", b"two")
        for tenant in ("acme", "other")
        for name in ("encryption-1", "encryption-2")
    }
    assert (len(keys), {len(key) for key in keys}) == (8, {32})


async def test_an_unknown_resource_is_refused(life: Life) -> None:
    """For good."""
    with pytest.raises(Unfit):
        await take(life, "gold")


# --- mail by a server ---


@pytest.fixture
async def server() -> AsyncIterator[MailServerOfTests]:
    """A mail server."""
    async with mail_server_of_tests() as made:
        yield made


def mailing(life: Life, server: MailServerOfTests, **more: Any) -> Asking:
    """A mail to be sent."""
    mail = SmtpMail(life.stage.pool, mail_server(server.url, "cellway@example.com"))
    what = {"letter": "welcome", "recipient": "ada@example.com", "customer": "Ada & Söhne",
            "account": "main", "namespace": "first", **more}  # fmt: skip
    return Asking(life, mail.letter(lambda _call: what), "smtp")


async def test_a_mail_arrives_as_it_was_written(life: Life, server: MailServerOfTests) -> None:
    """Once, under an identifier that every attempt shares."""
    asking = mailing(life, server)
    done = await asking.party.act(asking.call)
    await asking.party.act(asking.call)
    [mail] = server.got
    assert (mail["To"], mail["From"], mail["Subject"]) == (
        *("ada@example.com", "cellway@example.com", "Welcome, Ada & Söhne"),
    )
    assert mail["Message-ID"] == done["message_id"]
    assert "first namespace first" in mail.get_content()
    [row] = await life.rows("mails")
    assert (row["state"], row["message_id"]) == ("SENT", done["message_id"])


async def test_no_fact_begins_a_header(life: Life, server: MailServerOfTests) -> None:
    """Line breaks in a name stay in the subject, as spaces."""
    asking = mailing(life, server, customer="Ada\r\nBcc: eve@example.com\r\n\r\nbody")
    await asking.party.act(asking.call)
    [mail] = server.got
    assert (mail["Bcc"], len(server.recipients)) == (None, 1)
    assert mail["Subject"] == "Welcome, Ada Bcc: eve@example.com body"


@pytest.mark.parametrize(
    "recipient",
    ["", "ada", "ada@example.com\r\nRCPT TO:<eve@example.com>", "a@b c", "<ada@example.com>", "a@b,c@d", "ä@b.c"],
)
async def test_what_is_no_address_is_refused(life: Life, server: MailServerOfTests, recipient: str) -> None:
    """Before any server hears of it."""
    asking = mailing(life, server, recipient=recipient)
    with pytest.raises(Unfit):
        await asking.party.act(asking.call)
    assert (server.got, await life.rows("mails")) == ([], [])


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ({"greeting": "421 busy"}, Outage),
        ({"greeting": "554 no"}, Outage),
        ({"to_recipient": "450 later"}, Outage),
        ({"to_recipient": "550 nobody"}, Unfit),
        ({"to_content": "451 later"}, Outage),
        ({"to_content": "554 spam"}, Unfit),
    ],
)
async def test_a_refusal_is_for_good_or_for_now(
    life: Life, server: MailServerOfTests, behaviour: Mapping[str, str], error: type[Exception]
) -> None:
    """As the server says; what waits is sent later."""
    for name, value in behaviour.items():
        setattr(server, name, value)
    asking = mailing(life, server)
    with pytest.raises(error):
        await asking.party.act(asking.call)
    assert await asking.party.find(asking.call) is None
    server.greeting, server.to_recipient, server.to_content = "220 here", "250 fine", "250 taken"
    await asking.party.act(asking.call)
    assert server.got


async def test_a_server_that_says_nothing_is_left_in_time(
    life: Life, server: MailServerOfTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step's deadline is never passed."""
    monkeypatch.setattr("cell.parties.smtp.ANSWER_SECONDS", 0.1)
    server.silent = True
    asking = mailing(life, server)
    async with asyncio.timeout(2.0):
        with pytest.raises(Outage):
            await asking.party.act(asking.call)


async def test_a_mail_that_waited_for_a_day_is_given_up(life: Life, server: MailServerOfTests) -> None:
    """Nobody wants it any more."""
    server.greeting = "421 busy"
    asking = mailing(life, server)
    with pytest.raises(Outage):
        await asking.party.act(asking.call)
    async with life.entered() as connection:
        await connection.execute("UPDATE cell.mails SET created_at = now() - interval '25 hours'")
    with pytest.raises(Unfit):
        await asking.party.act(asking.call)


async def test_no_password_goes_over_an_open_line(life: Life, server: MailServerOfTests) -> None:
    """Unless it stays on this machine: 0.0.0.0 leads here, and does not say so."""
    made = mail_server(f"smtp://me:secret@0.0.0.0:{server.port}", "cellway@example.com")
    assert "secret" not in repr(made)
    call = Call(life.stage.tenant_id, "op-test", "step", {}, {})
    with pytest.raises(smtplib.SMTPAuthenticationError):
        await SmtpMail(life.stage.pool, made).letter(lambda _call: LETTER).act(call)
    assert server.got == []


@pytest.mark.parametrize("url", ["http://mail.example", "smtp://", "mail.example", ""])
def test_what_is_no_mail_server_ends_the_start(url: str) -> None:
    """With the setting's name; the ports are the usual ones."""
    with pytest.raises(SettingsError):
        mail_server(url, "cellway@example.com")
    assert mail_server("smtps://mail.example", "cellway@example.com").port == 465
    assert mail_server("smtp://mail.example", "cellway@example.com").port == 587
