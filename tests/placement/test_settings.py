"""What placement is told, and what it does not take."""

import pytest

from placement.settings import PlacementSettings
from runtime.errors import SettingsError

NEEDED = {
    "DIRECTORY_DSN": "postgresql://writer@db.example/directory",
    "DIRECTORY_REDIS_URL": "redis://redis.example/0",
    "OPERATOR_TOKENS": "op_" + "o" * 43,
    "CONTROL_KEY": "c" * 32,
    "PAGE_KEY": "p" * 32,
}


def loaded(**more: str) -> PlacementSettings:
    """With what is needed anyway."""
    return PlacementSettings.load({f"CELLWAY_PLACEMENT_{name}": value for name, value in (NEEDED | more).items()})


def test_nothing_levels_itself_unless_somebody_says_so() -> None:
    """And then within budgets."""
    assert not loaded().automatic
    told = loaded(AUTOMATIC="true", AUTOMATIC_MOVES_A_DAY="50", AUTOMATIC_QUIET="22:00-06:00, 12:00-13:00")
    assert (told.automatic, told.automatic_moves_a_day, told.automatic_bytes_a_day) == (True, 50, None)


@pytest.mark.parametrize("told", [{"AUTOMATIC_QUIET": "at night"}, {"AUTOMATIC_MOVES_A_DAY": "0"}])
def test_what_makes_no_sense_is_refused_at_the_start(told: dict[str, str]) -> None:
    """With the name of the setting."""
    with pytest.raises(SettingsError, match=next(iter(told))):
        loaded(**told)
