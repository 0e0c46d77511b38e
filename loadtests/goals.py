"""When a figure is good enough."""

from typing import Literal

Sense = Literal["<=", ">="]


def holds(figure: float, sense: Sense, bound: float) -> bool:
    """Whether it is on the right side of its bound."""
    return figure >= bound if sense == ">=" else figure <= bound
