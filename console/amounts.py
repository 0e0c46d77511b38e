"""Amounts as people type and read them: `64GiB`, `10Gbit`, `none`. Pure."""

import re

from console.errors import Usage
from directory.rules.capacities import MOST

NONE = "none"
_TIMES = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}
_AMOUNT = re.compile(r"(\d{1,18}(?:\.\d{1,6})?)\s*([kMGT]i?|Ki|)(B|bit|)\Z")


def number_of(text: str, unit: str, option: str) -> float | None:
    """A number of `unit` (B, bit, or none at all); None for `none`, which takes away what was told. Usage."""
    if text == NONE:
        return None
    found = _AMOUNT.match(text)
    if found is None or found[2] not in _TIMES or found[3] not in ("", unit):
        examples = {"B": "64GiB, 500GB or 1000000", "bit": "10Gbit or 1000000"}.get(unit, "16 or 2.5")
        raise Usage(f"{option} is {examples}; {NONE} takes it away")
    number = float(found[1]) * _TIMES[found[2]]
    if number <= 0:
        raise Usage(f"{option} is above 0; {NONE} takes it away")
    return number


def bytes_of(text: str, option: str) -> int | None:
    """Whole bytes. Usage."""
    number = number_of(text, "B", option)
    return None if number is None else max(1, round(number))


def said(number: float | None, unit: str = "") -> str:
    """`64 GiB`, `10 Gbit`, `2.5`; a dash for what is not known."""
    if number is None:
        return "–"
    step, names = (1024, ("", "Ki", "Mi", "Gi", "Ti")) if unit == "B" else (1000, ("", "k", "M", "G", "T"))
    if not unit:
        return f"{number:,.10g}"
    of = 0
    while number >= step and of + 1 < len(names):
        number, of = number / step, of + 1
    return f"{number:,.4g} {names[of]}{unit}"


def paid(revenue: float) -> float:
    """What a tenant pays a month. Usage."""
    if not 0 <= revenue <= MOST:  # so written, it refuses NaN too
        raise Usage(f"--revenue is 0 to {MOST:,.0f}")
    return revenue
