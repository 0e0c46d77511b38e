"""The invariants of the running system, for `cellway doctor`."""

from pydantic import Field

from directory.control import contract
from placement.checks.doctor import Doctor
from runtime.api.endpoint import Call, Endpoint, Output, Reply


class SystemCheck(Output):
    """One invariant, and what to do when it does not hold."""

    name: str
    ok: bool
    detail: str
    remedy: str = Field(description="empty when all is well")

    @classmethod
    def of(cls, check: contract.Check) -> "SystemCheck":
        """As operators see it."""
        return cls(name=check.name, ok=check.ok, detail=check.detail, remedy="" if check.ok else check.remedy)


class Checks(Output):
    """All of them, those of the control plane first."""

    ok: bool = Field(description="whether all hold")
    checks: list[SystemCheck]


class CheckHandlers:
    """The handler."""

    def __init__(self, doctor: Doctor) -> None:
        self._doctor = doctor

    def endpoints(self) -> list[Endpoint[None]]:
        """One."""
        summary = "Examine the invariants of the running system"
        return [Endpoint("GET", "/v1/checks", self.examine, summary, "listChecks", {200: Checks}, tag="checks")]

    async def examine(self, _call: Call[None]) -> Reply:
        """Looks, and changes nothing."""
        found = [SystemCheck.of(check) for check in await self._doctor.examine()]
        return Reply(body=Checks(ok=all(check.ok for check in found), checks=found))
