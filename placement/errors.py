"""What can go wrong in placement, and the directory's errors as problems."""

from collections.abc import Mapping

import asyncpg

from directory import errors
from runtime.api.problem import ApiError


class PlacementError(Exception):
    """The tree's root."""


class CellAhead(PlacementError):
    """The cell knows a later decision than the directory: one of them was restored from an old copy."""


class NotProved(PlacementError):
    """What answers at a cell's address is not that cell."""


class NotSolved(PlacementError):
    """No plan was found in time. Nothing was changed; the next try may have less to do."""


_CODES: Mapping[type[errors.DirectoryError], str] = {
    # The first that fits; the general kinds come last.
    errors.BadName: "INVALID_ARGUMENT",
    errors.BadAddress: "INVALID_ARGUMENT",
    errors.BadRate: "INVALID_ARGUMENT",
    errors.BadCapacity: "INVALID_ARGUMENT",
    errors.BadMove: "INVALID_ARGUMENT",
    errors.NotFound: "NOT_FOUND",
    errors.AlreadyExists: "ALREADY_EXISTS",
    errors.NotAllowed: "FAILED_PRECONDITION",
    errors.Stale: "FAILED_PRECONDITION",
    errors.CellFull: "FAILED_PRECONDITION",
    errors.Refused: "FAILED_PRECONDITION",
    errors.DirectoryError: "UNAVAILABLE",
}


def translate(error: Exception) -> ApiError | None:
    """The problem that an error means; None when it is a fault of ours."""
    if isinstance(error, NotSolved):
        return ApiError("UNAVAILABLE", str(error))
    if isinstance(error, PlacementError):
        return ApiError("FAILED_PRECONDITION", str(error))
    if isinstance(error, errors.DirectoryError):
        code = next(code for kind, code in _CODES.items() if isinstance(error, kind))
        return ApiError(code, str(error), field="address" if isinstance(error, errors.BadAddress) else None)
    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError | asyncpg.InvalidCatalogNameError):
        return ApiError(
            "UNAVAILABLE", "the control database refuses this program: run `cellway bootstrap control`"
        )
    return None
