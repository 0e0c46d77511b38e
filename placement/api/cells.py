"""Cells: register, look at, change, cordon, open."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from directory import values
from directory.rules.states import CellEvent
from directory.truth import Directory
from placement.api.values import Label, Name, Origin, Page, Version, name
from placement.cells import Cells
from runtime.api.endpoint import Call, Endpoint, Input, Output, Reply
from runtime.api.pages import PageTokens, page_size

State = Literal["joining", "open", "cordoned", "draining", "empty", "retired", "failed"]
Capacity = Annotated[int, Field(ge=0, le=10_000_000)]
Tags = Annotated[tuple[Label, ...], Field(max_length=50)]


class NewCell(Input):
    """A cell as it registers."""

    recorded: ClassVar[frozenset[str]] = frozenset(
        {"cell_id", "region", "address", "control_address", "capacity_tenants", "version", "tags"}
    )

    cell_id: Name
    region: Label
    address: Origin = Field(description="where routers reach it, such as http://10.0.0.7:8000")
    control_address: Origin = Field(description="where placement reaches its control API")
    capacity_tenants: Capacity = Field(description="how many tenants it may hold")
    version: Version = Field(default="", description="empty: as the cell itself says")
    tags: Tags = ()


class CellPatch(Input):
    """What is to change; what is absent stays. A cell's region stays for ever."""

    recorded: ClassVar[frozenset[str]] = frozenset(
        {"address", "control_address", "capacity_tenants", "version", "tags"}
    )

    address: Origin = ""
    control_address: Origin = ""
    capacity_tenants: Capacity = 0
    version: Version = ""
    tags: Tags = ()


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
    create_time: datetime
    update_time: datetime

    @classmethod
    def of(cls, cell: values.Cell) -> Self:
        """As operators see it."""
        return cls.model_validate(_fields(cell))


class RegisteredCell(Cell):
    """A cell just registered: open when it has proved itself, otherwise joining, and why."""

    remark: str | None


class CellPage(Output):
    """Some cells, in the order of their names."""

    cells: list[Cell]
    next_page_token: str = Field(default="", description="empty on the last page")


class CellHandlers:
    """The handlers."""

    def __init__(self, directory: Directory, cells: Cells, tokens: PageTokens) -> None:
        self._directory = directory
        self._cells = cells
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
                "PATCH", one, self.patch, "Change addresses, capacity, version, tags", "updateCell", {200: Cell},
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
        ]  # fmt: skip

    async def register(self, call: Call[None]) -> Reply:
        """Registered in any case; open only with the proof."""
        body: NewCell = call.body
        cell, remark = await self._cells.register(values.NewCell(**body.model_dump()))
        return Reply(201, RegisteredCell.model_validate({**_fields(cell), "remark": remark}))

    async def listed(self, call: Call[None]) -> Reply:
        """By name."""
        query: Page = call.query
        made_for = ("cells",)
        after = str(self._tokens.open(made_for, query.page_token)[0]) if query.page_token else ""
        size = page_size(query.page_size)
        rest = [cell for cell in await self._directory.cells() if cell.cell_id > after]
        more = self._tokens.seal(made_for, [rest[size - 1].cell_id]) if len(rest) > size else ""
        return Reply(body=CellPage(cells=[Cell.of(cell) for cell in rest[:size]], next_page_token=more))

    async def get(self, call: Call[None]) -> Reply:
        """One."""
        return Reply(body=Cell.of(await self._directory.cell(name(call.path, "cell"))))

    async def patch(self, call: Call[None]) -> Reply:
        """Merge patch (RFC 7396)."""
        patch: CellPatch = call.body
        change = values.CellChange(**patch.model_dump(exclude_unset=True))
        return Reply(body=Cell.of(await self._cells.update(name(call.path, "cell"), change)))

    async def cordon(self, call: Call[None]) -> Reply:
        """It goes on serving."""
        return await self._change(call, "cordon")

    async def open(self, call: Call[None]) -> Reply:
        """It takes tenants again."""
        return await self._change(call, "open")

    async def _change(self, call: Call[None], event: CellEvent) -> Reply:
        return Reply(body=Cell.of(await self._cells.change(name(call.path, "cell"), event)))


def _fields(cell: values.Cell) -> dict[str, object]:
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
        "create_time": cell.registered_at,
        "update_time": cell.updated_at,
    }
