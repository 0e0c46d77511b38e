"""Load of cells over time as SVG: a panel for each resource, a line for each cell, marks of what happened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loadtests.drawing.markup import Markup, tag
from loadtests.drawing.scales import Scale
from loadtests.drawing.shapes import Frame, line
from placement.balancing.resources import Floats

WIDTH, PANEL, GAP, LEFT, TOP = 1100, 150, 34, 64, 54
MOST = 2.0
"""Ratios above are drawn at the edge."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened, at so many hours."""

    hour: float
    text: str


def draw(title: str, hours: Floats, ratios: Mapping[str, Floats], moves: Floats, marks: Sequence[Mark]) -> str:
    """`ratios` by resource: times × cells of load to the mean (NaN: the cell holds nothing); `moves` by time."""
    height = TOP + (len(ratios) + 1) * (PANEL + GAP)
    told = [(f"{name}, × the mean", rows, MOST) for name, rows in ratios.items()]
    told.append(("moves in each step", moves[:, None], max(1.0, float(moves.max(initial=1.0)))))
    parts = [
        tag("rect", width=WIDTH, height=height, fill="white"),
        tag("text", title, x=LEFT, y=24, font_size=17),
    ]
    for number, (name, rows, most) in enumerate(told):
        parts += _panel(name, _frame(TOP + number * (PANEL + GAP), hours, most), hours, rows)
    across = _frame(TOP, hours, 1.0)
    for place, mark in enumerate(marks):
        x = across.x(mark.hour)
        parts.append(tag("line", x1=x, x2=x, y1=TOP - 8, y2=height - GAP, stroke="#c33", stroke_dasharray="3 3"))
        parts.append(tag("text", mark.text, x=x + 3, y=TOP - 10 - 13 * (place % 2), fill="#c33"))
    svg = tag(
        "svg",
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {height}",
        font_family="sans-serif",
        font_size=12,
    )
    return f"{svg}\n"


def _frame(top: float, hours: Floats, most: float) -> Frame:
    return Frame(LEFT, top, WIDTH - LEFT - 10, PANEL, float(hours[-1]), Scale(0.0, most))


def _panel(name: str, frame: Frame, hours: Floats, rows: Floats) -> list[Markup]:
    bottom, right = frame.top + PANEL, WIDTH - 10
    parts = [
        tag("rect", x=LEFT, y=frame.top, width=frame.width, height=PANEL, fill="none", stroke="#bbb"),
        tag("text", name, x=LEFT, y=frame.top - 4),
    ]
    for share in (0.0, 0.5, 1.0):
        value = share * frame.scale.high
        y = frame.y(value)
        parts.append(tag("line", x1=LEFT, x2=right, y1=y, y2=y, stroke="#ddd"))
        parts.append(tag("text", f"{value:g}", x=LEFT - 8, y=y + 4, text_anchor="end"))
    for day in range(int(hours[-1] // 24) + 1):
        parts.append(tag("text", f"day {day + 1}", x=frame.x(day * 24), y=bottom + 14, fill="#777"))
    cells = rows.shape[1]
    for cell in range(cells):
        drawn = line(frame, hours.tolist(), rows[:, cell].tolist())
        colour = f"hsl({360 * cell // max(1, cells)} 60% 45%)"
        parts.append(tag("path", d=drawn, fill="none", stroke=colour, stroke_width=0.8))
    return parts
