"""Cells: register, look at, change; cordon, drain, open, fail, retire."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from directory import values
from directory.rules.states import CellEvent
from directory.truth import Directory
from placement.api.capacities import Capacity, Caps
from placement.api.recovery import Health, Recovery
from placement.api.values import Label, Name, Origin, Page, Version, name
from placement.cells import Cells
from placement.recoveries import Recoveries
from placement.rules.standing import Standing
from placement.witnesses import Witnesses
from runtime.api.endpoint import Call, Endpoint, Input, Output, Reply
from runtime.api.pages import PageTokens, page_size

State = Literal["joining", "open", "cordoned", "draining", "empty", "retired", "failed"]
Places = Annotated[int, Field(ge=0, le=10_000_000)]
Tags = Annotated[tuple[Label, ...], Field(max_length=50)]


class NewCell(Input):
    """A cell as it registers."""

    recorded: ClassVar[frozenset[str]] = frozenset(
        {"cell_id", "region", "address", "control_address", "capacity_tenants", "version", "tags"}
        | {"capacity", "caps", "dedicated_to"}
    )

    cell_id: Name
    region: Label
    address: Origin = Field(description="where routers reach it, such as http://10.0.0.7:8000")
    control_address: Origin = Field(description="where placement reaches its control API")
    capacity_tenants: Places = Field(description="how many tenants it may hold")
    version: Version = Field(default="", description="empty: as the cell itself says")
    tags: Tags = ()
    capacity: Capacity = Field(default=Capacity(), description="what is null here, it is asked for as it joins")
    caps: Caps = Caps()
    dedicated_to: Label | None = Field(
        default=None, description="only tenants that are dedicated to this live there; null: those that are not"
    )

    def value(self) -> values.NewCell:
        """As the directory is told."""
        return values.NewCell(
            self.cell_id,
            self.region,
            self.address,
            self.control_address,
            self.capacity_tenants,
            self.version,
            self.tags,
            self.capacity.value(),
            self.caps.value(),
            self.dedicated_to or "",
        )


class CellPatch(Input):
    """What is to change; what is absent stays, and null removes. A cell's region stays for ever."""

    recorded: ClassVar[frozenset[str]] = frozenset(
        {"address", "control_address", "capacity_tenants", "version", "tags", "capacity", "caps", "dedicated_to"}
    )

    address: Origin = ""
    control_address: Origin = ""
    capacity_tenants: Places = 0
    version: Version = ""
    tags: Tags = ()
    capacity: Capacity | None = None
    caps: Caps | None = None
    dedicated_to: Label | None = Field(default=None, description="of a cell in which nobody else lives")

    def change(self, known: values.Cell) -> values.CellChange:
        """What becomes different about the cell that is known."""
        told = self.model_fields_set
        plain = self.model_dump(exclude_unset=True, exclude={"capacity", "caps", "dedicated_to"})
        capacity = values.Capacity() if self.capacity is None else self.capacity.merged(known.capacity)
        caps = values.Caps() if self.caps is None else self.caps.merged(known.caps)
        return values.CellChange(
            **plain,
            capacity=capacity if "capacity" in told else None,
            caps=caps if "caps" in told else None,
            dedicated_to=self.dedicated_to or "" if "dedicated_to" in told else None,
        )


class Cell(Output):
    """A registered cell."""

    cell_id: str
    region: str
    state: State
    address: str
    control_address: str
    capacity_tenants: int
    tenants: int = Field(description="how many live there")
    version: str
    tags: list[str]
    capacity: Capacity
    caps: Caps
    dedicated_to: str | None = Field(description="whose own it is; null: everybody else's")
    health: Health
    create_time: datetime
    update_time: datetime


class RegisteredCell(Cell):
    """A cell just registered: open when it has proved itself, otherwise joining, and why."""

    remark: str | None


class FailedCell(Cell):
    """A cell that was given up for now, and what its recovery needs."""

    recovery: Recovery


class CellPage(Output):
    """Some cells, in the order of their names."""

    cells: list[Cell]
    next_page_token: str = Field(default="", description="empty on the last page")


class CellHandlers:
    """The handlers."""

    def __init__(
        self, directory: Directory, cells: Cells, witnesses: Witnesses, recoveries: Recoveries, tokens: PageTokens
    ) -> None:
        self._directory = directory
        self._cells = cells
        self._witnesses = witnesses
        self._recoveries = recoveries
        self._tokens = tokens

    def endpoints(self) -> list[Endpoint[None]]:
        """In the order of a cell's life."""
        one = "/v1/cells/{cell}"
        return [
            Endpoint(
                "POST", "/v1/cells", self.register, "Register a cell, and open it when it proves itself",
                "registerCell", {201: RegisteredCell}, body=NewCell, errors=(409,), tag="cells", role="admin",
            ),
            Endpoint(
                "GET", "/v1/cells", self.listed, "List cells", "listCells", {200: CellPage},
                query=Page, tag="cells",
            ),
            Endpoint("GET", one, self.get, "Look at a cell", "getCell", {200: Cell}, tag="cells"),
            Endpoint(
                "PATCH", one, self.patch, "Change what is registered about a cell", "updateCell", {200: Cell},
                body=CellPatch, errors=(409,), tag="cells", role="admin",
            ),
            Endpoint(
                "POST", f"{one}:cordon", self.cordon, "Keep its tenants, take no new ones", "cordonCell",
                {200: Cell}, errors=(409,), tag="cells",
            ),
            Endpoint(
                "POST", f"{one}:open", self.open, "Let it take tenants, once it has proved itself", "openCell",
                {200: Cell}, errors=(409,), tag="cells",
            ),
            Endpoint(
                "POST", f"{one}:drain", self.drain, "Take no new tenants, and give away those that it has",
                "drainCell", {200: Cell}, errors=(409,), tag="cells",
            ),
            Endpoint(
                "POST", f"{one}:fail", self.fail, "Give it up for now; its tenants stay where they are",
                "failCell", {200: FailedCell}, errors=(409,), tag="cells", role="admin",
            ),
            Endpoint(
                "GET", f"{one}/recovery", self.recovery, "What it takes to bring it back, and what is lost if not",
                "getCellRecovery", {200: Recovery}, tag="cells",
            ),
            Endpoint(
                "POST", f"{one}:retire", self.retire, "Give a cell up for good in which nobody lives",
                "retireCell", {200: Cell}, errors=(409,), tag="cells", role="admin",
            ),
        ]  # fmt: skip

    async def register(self, call: Call[None]) -> Reply:
        """Registered in any case; open only with the proof."""
        body: NewCell = call.body
        cell, remark = await self._cells.register(body.value())
        return Reply(201, RegisteredCell.model_validate({**self._fields(cell), "remark": remark}))

    async def listed(self, call: Call[None]) -> Reply:
        """By name."""
        query: Page = call.query
        made_for = ("cells",)
        after = str(self._tokens.open(made_for, query.page_token)[0]) if query.page_token else ""
        size = page_size(query.page_size)
        rest = [cell for cell in await self._directory.cells() if cell.cell_id > after]
        more = self._tokens.seal(made_for, [rest[size - 1].cell_id]) if len(rest) > size else ""
        standings = self._witnesses.standings([cell.cell_id for cell in rest[:size]])
        shown = [Cell.model_validate(self._fields(cell, standings)) for cell in rest[:size]]
        return Reply(body=CellPage(cells=shown, next_page_token=more))

    async def get(self, call: Call[None]) -> Reply:
        """One."""
        return self._reply(await self._directory.cell(name(call.path, "cell")))

    async def patch(self, call: Call[None]) -> Reply:
        """Merge patch (RFC 7396)."""
        patch: CellPatch = call.body
        return self._reply(await self._cells.update(name(call.path, "cell"), patch.change))

    async def cordon(self, call: Call[None]) -> Reply:
        """It goes on serving."""
        return await self._change(call, "cordon")

    async def open(self, call: Call[None]) -> Reply:
        """It takes tenants again."""
        return await self._change(call, "open")

    async def drain(self, call: Call[None]) -> Reply:
        """Whoever leads moves its tenants; cordon or open calls it off."""
        return await self._change(call, "drain")

    async def fail(self, call: Call[None]) -> Reply:
        """Nobody is moved: a cell that was believed dead in error has the only copy of its tenants' rows."""
        cell = await self._cells.change(name(call.path, "cell"), "fail")
        recovery = Recovery.of(await self._recoveries.look(cell.cell_id))
        return Reply(body=FailedCell.model_validate({**self._fields(cell), "recovery": recovery}))

    async def recovery(self, call: Call[None]) -> Reply:
        """Of any cell, also of one that is well: then it says what failing would mean."""
        return Reply(body=Recovery.of(await self._recoveries.look(name(call.path, "cell"))))

    async def retire(self, call: Call[None]) -> Reply:
        """Its name is not used again."""
        return await self._change(call, "retire")

    async def _change(self, call: Call[None], event: CellEvent) -> Reply:
        return self._reply(await self._cells.change(name(call.path, "cell"), event))

    def _reply(self, cell: values.Cell) -> Reply:
        return Reply(body=Cell.model_validate(self._fields(cell)))

    def _fields(self, cell: values.Cell, standings: Mapping[str, Standing] | None = None) -> dict[str, object]:
        known = standings or self._witnesses.standings([cell.cell_id])
        return {
            "cell_id": cell.cell_id,
            "region": cell.region,
            "state": cell.state,
            "address": cell.address,
            "control_address": cell.control_address,
            "capacity_tenants": cell.capacity_tenants,
            "tenants": cell.tenants,
            "version": cell.version,
            "tags": list(cell.tags),
            "capacity": Capacity.of(cell.capacity),
            "caps": Caps.of(cell.caps),
            "dedicated_to": cell.dedicated_to or None,
            "health": Health.of(known[cell.cell_id], self._witnesses.last_seen(cell.cell_id)),
            "create_time": cell.registered_at,
            "update_time": cell.updated_at,
        }
