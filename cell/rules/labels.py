"""Merging labels by RFC 7396: null removes. Pure."""

from collections.abc import Mapping

from runtime.api.problem import ApiError

MOST_LABELS = 32


def merged(labels: Mapping[str, str], patch: Mapping[str, str | None] | None) -> dict[str, str]:
    """The labels after `patch`; None removes all. ApiError 400 when there would be too many."""
    after = {} if patch is None else {**labels, **patch}
    kept = {name: value for name, value in after.items() if value is not None}
    if len(kept) > MOST_LABELS:
        raise ApiError("INVALID_ARGUMENT", f"at most {MOST_LABELS} labels are kept", field="labels")
    return kept
