"""API keys of a tenant. They live in its cell, which alone knows them; placement passes on."""

import re
from datetime import datetime, timedelta
from typing import ClassVar

from pydantic import Field

from directory.control.client import CellControl
from directory.control.contract import KeyOrder, KeyReport
from directory.errors import AlreadyExists, NotAllowed, NotFound, Unavailable
from directory.truth import Directory
from directory.values import Cell
from placement.api.values import KEY, name
from placement.decisions import Decisions
from placement.seeds import Seeds
from runtime.api.endpoint import Call, Endpoint, Input, Output, Reply
from runtime.api.problem import ApiError, not_found
from runtime.api.texts import Line
from runtime.clock import Clock, SystemClock

REPLAY_FOR = timedelta(hours=24)
_KEY = re.compile(KEY.removesuffix("$") + r"\Z")


class NewKey(Input):
    """A key as it is asked for."""

    recorded: ClassVar[frozenset[str]] = frozenset()

    display_name: Line


class Key(Output):
    """A key, without its secret."""

    key_id: str
    display_name: str
    create_time: datetime
    revoke_time: datetime | None


class CreatedKey(Key):
    """A new key with its secret, which is shown this once."""

    api_key: str | None


class KeyPage(Output):
    """All keys of a tenant, revoked ones too."""

    keys: list[Key]
    next_page_token: str = Field(default="", description="always empty: a tenant has few keys")


class Keys:
    """The handlers."""

    def __init__(
        self,
        directory: Directory,
        control: CellControl,
        decisions: Decisions,
        seeds: Seeds,
        clock: Clock | None = None,
    ) -> None:
        self._directory = directory
        self._control = control
        self._decisions = decisions
        self._seeds = seeds
        self._clock = clock or SystemClock()

    def endpoints(self) -> list[Endpoint[None]]:
        """Create, list, revoke."""
        keys = "/v1/tenants/{tenant}/keys"
        return [
            Endpoint(
                "POST", keys, self.create, "Make a further API key", "createKey", {201: CreatedKey},
                body=NewKey, errors=(409,), tag="keys", idempotency="optional", role="admin",
            ),
            Endpoint(
                "GET", keys, self.listed, "List API keys", "listKeys", {200: KeyPage}, errors=(409,), tag="keys"
            ),
            Endpoint(
                "POST", keys + "/{key}:revoke", self.revoke, "Revoke an API key at once", "revokeKey",
                {200: Key}, errors=(409,), tag="keys",
            ),
        ]  # fmt: skip

    async def create(self, call: Call[None]) -> Reply:
        """The same Idempotency-Key within a day gives the same key."""
        tenant_id, cell = await self._home(call)
        body: NewKey = call.body
        seed = self._seeds.further_key(tenant_id, call.header("Idempotency-Key"))
        order = KeyOrder(display_name=body.display_name, seed=seed)
        try:
            report = await self._control.create_key(cell, tenant_id, order)
        except NotFound as error:
            raise Unavailable(f"cell {cell.cell_id} is just opening for {tenant_id}") from error
        self._refuse_misuse(body, report)
        return Reply(201, CreatedKey.model_validate({**_fields(report), "api_key": report.api_key}))

    def _refuse_misuse(self, body: NewKey, report: KeyReport) -> None:
        """The cell answers with the key that the seed made first, whatever was asked for now."""
        if report.display_name != body.display_name:
            message = "this Idempotency-Key was sent with another body: take a new one for a new wish"
            raise ApiError("INVALID_ARGUMENT", message, status=422, field="Idempotency-Key")
        if self._clock.now() - report.created_at > REPLAY_FOR:
            raise AlreadyExists("this Idempotency-Key made a key more than a day ago: take a new one")
        if report.api_key is None:
            raise AlreadyExists("this Idempotency-Key made a key that is revoked by now: take a new one")

    async def listed(self, call: Call[None]) -> Reply:
        """Without secrets, which nobody has kept."""
        tenant_id, cell = await self._home(call)
        try:
            found = await self._control.keys(cell, tenant_id)
        except NotFound as error:
            raise Unavailable(f"cell {cell.cell_id} is just opening for {tenant_id}") from error
        return Reply(body=KeyPage(keys=[Key.model_validate(_fields(report)) for report in found.keys]))

    async def revoke(self, call: Call[None]) -> Reply:
        """Again does nothing."""
        tenant_id, cell = await self._home(call)
        key_id = call.path["key"]
        if not _KEY.match(key_id):
            raise not_found("key", key_id)
        try:
            report = await self._control.revoke_key(cell, tenant_id, key_id)
        except NotFound:
            raise not_found("key", key_id) from None
        return Reply(body=Key.model_validate(_fields(report)))

    async def _home(self, call: Call[None]) -> tuple[str, Cell]:
        """The tenant and its cell, which knows of it."""
        tenant = await self._decisions.settle(name(call.path, "tenant"))
        if tenant.assignment is None:
            raise NotAllowed(f"tenant {tenant.tenant_id} is deleted: it has no keys")
        return tenant.tenant_id, await self._directory.cell(tenant.assignment.cell_id)


def _fields(report: KeyReport) -> dict[str, object]:
    return {
        "key_id": report.key_id,
        "display_name": report.display_name,
        "create_time": report.created_at,
        "revoke_time": report.revoked_at,
    }
