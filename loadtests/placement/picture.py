"""Load of cells over time as SVG: a panel for each resource, a line for each cell, marks of what happened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

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
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"',
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="17">{escape(title)}</text>',
    ]
    for number, (name, rows) in enumerate(ratios.items()):
        parts += _panel(f"{name}, × the mean", TOP + number * (PANEL + GAP), hours, rows, MOST)
    top = TOP + len(ratios) * (PANEL + GAP)
    parts += _panel("moves in each step", top, hours, moves[:, None], max(1.0, float(moves.max(initial=1.0))))
    for place, mark in enumerate(marks):
        x = _x(mark.hour, hours)
        parts.append(
            f'<line x1="{x}" x2="{x}" y1="{TOP - 8}" y2="{height - GAP}" stroke="#c33" stroke-dasharray="3 3"/>'
        )
        parts.append(f'<text x="{x + 3}" y="{TOP - 10 - 13 * (place % 2)}" fill="#c33">{escape(mark.text)}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _panel(name: str, top: float, hours: Floats, rows: Floats, most: float) -> list[str]:
    bottom = top + PANEL
    parts = [
        f'<rect x="{LEFT}" y="{top}" width="{WIDTH - LEFT - 10}" height="{PANEL}" fill="none" stroke="#bbb"/>'
    ]
    parts.append(f'<text x="{LEFT}" y="{top - 4}">{escape(name)}</text>')
    for share in (0.0, 0.5, 1.0):
        y = round(bottom - share * PANEL, 1)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 10}" y1="{y}" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{share * most:g}</text>')
    for day in range(int(hours[-1] // 24) + 1):
        parts.append(f'<text x="{_x(day * 24, hours)}" y="{bottom + 14}" fill="#777">day {day + 1}</text>')
    for cell in range(rows.shape[1]):
        colour = f"hsl({360 * cell // max(1, rows.shape[1])} 60% 45%)"
        for piece in _pieces(rows[:, cell]):
            points = " ".join(
                f"{_x(float(hours[at]), hours)},{round(bottom - min(rows[at, cell] / most, 1.0) * PANEL, 1)}"
                for at in piece
            )
            parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="0.8"/>')
    return parts


def _pieces(values: Floats) -> list[list[int]]:
    """Stretches without a gap."""
    known = np.flatnonzero(np.isfinite(values))
    return [piece.tolist() for piece in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1) if len(piece)]


def _x(hour: float, hours: Floats) -> float:
    return round(LEFT + (WIDTH - LEFT - 10) * hour / float(hours[-1]), 1)
