"""The clients of one tenant: they write and read without pause, and note what they were told.

Registers are accounts whose display name is the value, changed with If-Match. Logs are accounts that are only
ever made, under names of ours, and API keys, whose names the cell makes up: there a repetition that was done again
would be seen as a second one. Provisionings are namespaces, made by workers.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from loadtests.history.calls import Attempt, Calls, exists
from loadtests.history.rules import values
from loadtests.history.rules.values import (
    INITIAL,
    Append,
    Effects,
    Entry,
    Look,
    Outcome,
    Provisioning,
    Read,
    Swap,
)

REGISTERS = 2
WRITERS = 3
APPENDERS = 2
INSISTING = 0.7
"""The share of writes that are repeated until somebody knows; of the others a time-out is the last word."""
PAUSE_SECONDS = 0.15
"""Of each client, on the average, between two calls."""
PROVISIONINGS_SECONDS = 2.0
MOST_KEYS = 300
MOST_NAMESPACES = 300
KEYS_SHARE = 0.15
SETTLE_SECONDS = 90.0
ACCOUNTS, KEYS = "accounts", "keys"
NO_HEADERS: Mapping[str, str] = {}


class Clients:
    """All clients of one tenant, and what they noted."""

    def __init__(self, calls: Calls, chance: random.Random) -> None:
        self._calls, self._chance = calls, chance
        self.tenant, self.statuses = calls.tenant, calls.statuses
        self._name = calls.tenant.tenant_id
        self._stopping = asyncio.Event()
        self.swaps: list[Swap] = []
        self.reads: list[Read] = []
        self.appends: list[Append] = []
        self.looks: list[Look] = []
        self.counts: list[values.Count] = []
        self.provisionings: list[Provisioning] = []
        self._keys = 0

    def __repr__(self) -> str:
        return f"<Clients of {self._name}, {len(self.swaps)} swaps, {len(self.appends)} appends>"

    async def prepare(self) -> None:
        """The registers, and an account for namespaces."""
        for account in (*(f"reg-{number}" for number in range(REGISTERS)), "main"):
            body = {"account_id": account, "display_name": INITIAL, "labels": {"kind": "fixed"}}
            made = await self._calls.write("POST", "/v1/accounts", body, account, 201, insists=True)
            if made.outcome != "acknowledged":
                raise RuntimeError(f"{self._name} does not begin: {made.answer}")

    async def run(self) -> None:
        """Until `stop`."""
        async with asyncio.TaskGroup() as group:
            for writer in range(WRITERS):
                group.create_task(self._again_and_again(self._swapping(writer)))
            for appender in range(APPENDERS):
                group.create_task(self._again_and_again(self._appending(appender)))
            group.create_task(self._again_and_again(self._looking()))
            group.create_task(self._again_and_again(self._provisioning(), PROVISIONINGS_SECONDS))

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping.set()

    async def _again_and_again(self, act: Callable[[], Awaitable[None]], seconds: float = PAUSE_SECONDS) -> None:
        while not self._stopping.is_set():
            await act()
            try:
                async with asyncio.timeout(self._chance.uniform(0.2, 1.8) * seconds):
                    await self._stopping.wait()
            except TimeoutError:
                continue

    async def _write(
        self, method: str, path: str, body: Any, key: str, wanted: int, headers: Mapping[str, str] = NO_HEADERS
    ) -> Attempt:
        insists = self._chance.random() < INSISTING
        return await self._calls.write(method, path, body, key, wanted, insists=insists, headers=headers)

    # Registers

    def _swapping(self, writer: int) -> Callable[[], Awaitable[None]]:
        number = 0

        async def swap() -> None:
            nonlocal number
            account = f"reg-{self._chance.randrange(REGISTERS)}"
            found = await self._read_register(account)
            if found is None or self._chance.random() < 0.2:
                return
            number += 1
            value, register, path = f"w{writer}-{number}", f"{self._name}/{account}", f"/v1/accounts/{account}"
            etag = {"If-Match": f'"{found.version}"'}
            made = await self._write("PATCH", path, {"display_name": value}, f"swap-{account}-{value}", 200, etag)
            version = _version(made.answer.etag) if made.outcome == "acknowledged" else None
            self.swaps.append(Swap(register, found.value, value, made.began, made.ended, made.outcome, version))

        return swap

    async def _read_register(self, account: str) -> Read | None:
        began = time.monotonic()
        answer = await self._calls.once("GET", f"/v1/accounts/{account}")
        if answer.status == 404:
            # What was made before the run is gone: as bad as the oldest value there could be.
            self.reads.append(Read(f"{self._name}/{account}", "nothing", began, time.monotonic()))
        if answer.status != 200:
            return None
        value, version = answer.body["display_name"], _version(answer.etag)
        read = Read(f"{self._name}/{account}", value, began, time.monotonic(), version)
        self.reads.append(read)
        return read

    # Logs

    def _appending(self, appender: int) -> Callable[[], Awaitable[None]]:
        number = 0

        async def append() -> None:
            nonlocal number
            number += 1
            entry = f"e{appender}-{number}"
            if self._keys < MOST_KEYS and self._chance.random() < KEYS_SHARE:
                self._keys += 1
                log, path, body = KEYS, "/v1/keys", {"display_name": entry}
            else:
                log, path = ACCOUNTS, "/v1/accounts"
                body = {"account_id": entry, "display_name": entry, "labels": {"kind": "entry"}}  # type: ignore[dict-item]
            made = await self._write("POST", path, body, f"append-{entry}", 201)
            outcome, forgotten = append_outcome(made)
            self.appends.append(Append(f"{self._name}/{log}", entry, made.began, made.ended, outcome, forgotten))

        return append

    def _looking(self) -> Callable[[], Awaitable[None]]:
        async def look() -> None:
            log = f"{self._name}/{ACCOUNTS}"
            known = [each for each in self.appends[-50:] if each.log == log and each.outcome != "refused"]
            if not known or self._chance.random() < 0.3:
                await self._count(log)
                return
            entry, began = self._chance.choice(known).entry, time.monotonic()
            answer = await self._calls.once("GET", f"/v1/accounts/{entry}")
            if answer.status in (200, 404):
                self.looks.append(Look(log, entry, answer.status == 200, began, time.monotonic()))

        return look

    async def _count(self, log: str) -> None:
        began = time.monotonic()
        path = "/v1/accounts?page_size=1&include_total_size=true&filter=labels.kind%20%3D%20entry"
        answer = await self._calls.once("GET", path)
        if answer.status == 200:
            self.counts.append(values.Count(log, answer.body["total_size"], began, time.monotonic()))

    # Work for workers

    def _provisioning(self) -> Callable[[], Awaitable[None]]:
        number = 0

        async def provision() -> None:
            nonlocal number
            if number >= MOST_NAMESPACES:
                return
            number += 1
            namespace = f"n{number}"
            body = {"namespace_id": namespace, "display_name": namespace}
            path = "/v1/accounts/main/namespaces"
            made = await self._write("POST", path, body, f"provision-{namespace}", 202)
            outcome: Outcome = "unknown" if made.answer.status == 409 else made.outcome
            target = f"accounts/main/namespaces/{namespace}"
            self.provisionings.append(Provisioning(self._name, target, made.began, made.ended, outcome))

        return provision

    # What is there in the end. TimeoutError when it cannot be read.

    async def registers(self) -> Mapping[str, str]:
        """The last value of each."""
        found = {}
        for number in range(REGISTERS):
            account = f"reg-{number}"
            answer = await self._calls.read(f"/v1/accounts/{account}", SETTLE_SECONDS)
            found[f"{self._name}/{account}"] = answer["display_name"]
        return found

    async def logs(self) -> Mapping[str, list[Entry]]:
        """All entries of each."""
        accounts = await self._calls.pages(
            "/v1/accounts?filter=labels.kind%20%3D%20entry", "accounts", SETTLE_SECONDS
        )
        keys = await self._calls.pages("/v1/keys", "keys", SETTLE_SECONDS)
        return {
            f"{self._name}/{ACCOUNTS}": [_entry(each) for each in accounts],
            f"{self._name}/{KEYS}": [_entry(each) for each in keys if each["display_name"].startswith("e")],
        }

    async def done(self) -> Mapping[str, list[str]]:
        """The entries that were made, as the audit log tells."""
        entries = await self._calls.pages("/v1/audit", "entries", SETTLE_SECONDS)
        made: dict[str, list[str]] = {f"{self._name}/{ACCOUNTS}": [], f"{self._name}/{KEYS}": []}
        for entry in entries:
            told = (entry["after"] or {}).get("display_name", "")
            if entry["action"] in ("createAccount", "createKey") and told.startswith("e"):
                made[f"{self._name}/{entry['target'].partition('/')[0]}"].append(told)
        return made

    async def effects(self) -> Effects:
        """What the workers did, once they are done with it."""
        end = time.monotonic() + SETTLE_SECONDS
        while True:
            namespaces = await self._calls.pages("/v1/accounts/main/namespaces", "namespaces", SETTLE_SECONDS)
            operations = await self._calls.pages("/v1/operations", "operations", SETTLE_SECONDS)
            unfinished = [each["target"] for each in operations if each["state"] in ("PENDING", "RUNNING")]
            if not unfinished or time.monotonic() > end:
                break
            await asyncio.sleep(0.2)
        used = await self._calls.read("/v1/usage?meter=namespaces_created", SETTLE_SECONDS)
        return Effects(
            active=[each["name"] for each in namespaces if each["state"] == "ACTIVE"],
            unfinished=unfinished,
            operations=[each["target"] for each in operations if each["state"] == "SUCCEEDED"],
            used=used["total"],
            failed={
                each["target"]: f"{each['state']} {each['error']}"
                for each in operations
                if each["state"] in ("FAILED", "CANCELLED")
            },
        )


def append_outcome(made: Attempt) -> tuple[Outcome, bool]:
    """Told that it exists, by the answer to a repetition: it was done, and its Idempotency-Key was forgotten."""
    if exists(made.answer) and made.tries > 1:
        return "acknowledged", True
    return made.outcome, False


def _version(etag: str) -> int:
    return int(etag.strip('"'))


def _entry(described: Mapping[str, Any]) -> Entry:
    return Entry(described["display_name"], datetime.fromisoformat(described["create_time"]).timestamp())
