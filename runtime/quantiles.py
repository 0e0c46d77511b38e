"""Quantiles of a histogram, as near as its buckets allow. Pure."""

from collections.abc import Sequence


def quantile(bounds: Sequence[float], counts: Sequence[int], share: float) -> float | None:
    """The value below which `share` of what was counted lies; None when nothing was.

    `bounds` are the buckets' upper ends, ascending; `counts` has one more, for what lies beyond the last bound and
    is taken for just that. Within a bucket values count as evenly spread, as with Prometheus's histogram_quantile.
    """
    rank = share * sum(counts)
    if not rank:
        return None
    below, lower = 0, 0.0
    for bound, count in zip(bounds, counts, strict=False):
        if count and below + count >= rank:
            return lower + (bound - lower) * (rank - below) / count
        below, lower = below + count, bound
    return lower
