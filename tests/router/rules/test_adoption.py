"""Which snapshots are believed."""

import pytest

from router.rules.adoption import Caution, Doubt, Standing, doubt


def standing(tenants: int, *, seq: int = 10, identity: str = "directory-1") -> Standing:
    return Standing(identity, seq, tenants)


@pytest.mark.parametrize(
    ("known", "offered", "vanishing", "expected"),
    [
        (None, standing(0), 0, None),
        (standing(10), standing(10), 0, None),
        (standing(10), standing(10, seq=9), 0, Doubt.OLDER),
        (standing(10), standing(10, seq=11, identity="other"), 0, Doubt.FOREIGN),
        (standing(10), standing(0, seq=11), 10, Doubt.EMPTY),
        (standing(0), standing(0, seq=11), 0, None),
        (standing(10), standing(1, seq=11), 9, None),
        (standing(20), standing(10, seq=11), 10, None),
        (standing(20), standing(9, seq=11), 11, Doubt.SHRUNK),
        (standing(20), standing(40, seq=11), 11, Doubt.SHRUNK),
    ],
)
def test_which_snapshots_are_believed(
    known: Standing | None, offered: Standing, vanishing: int, expected: Doubt | None
) -> None:
    """Not those of others, older, empty, or suddenly small ones; others in place of them make up for nothing."""
    caution = Caution(vanishing_share=0.5, floor_tenants=20)
    assert doubt(known, offered, vanishing, caution) is expected
