"""The frame of a page: everything within, nothing from elsewhere, and the browser is told to see to it."""

import itertools
import re
from collections.abc import Iterable
from pathlib import Path

from loadtests.drawing.markup import Markup, tag

STYLE = Path(__file__).with_name("style.css")
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def document(title: str, *body: object) -> str:
    """A page; the same bytes are HTML and well-formed XML."""
    page = tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
            tag("meta", name="color-scheme", content="light dark"),
            # Without an icon of its own a page has browsers ask for one.
            tag("link", rel="icon", href="data:,"),
            tag("title", title),
            tag("style", Markup(STYLE.read_text(encoding="utf-8"))),
        ),
        tag("body", tag("main", *body)),
        lang="en",
    )
    return f"<!DOCTYPE html>\n{page}\n"


def anchors(names: Iterable[str]) -> list[str]:
    """For each name one that can stand in an address, and that no other has."""
    found: list[str] = []
    for name in names:
        plain = re.sub("[^a-z0-9_-]+", "-", name.lower()).strip("-") or "run"
        again = (f"{plain}-{number}" for number in itertools.count(2))
        found.append(next(each for each in itertools.chain([plain], again) if each not in found))
    return found
