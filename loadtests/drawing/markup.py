"""Elements of HTML and SVG. What is not markup is text, and is escaped: names are data.

What comes out is HTML and well-formed XML at once, so that a test, or anybody, can read it with either parser.
"""

import html
import re

EMPTY = {"br", "link", "meta"}
"""Elements that HTML closes by itself."""
LINES = {
    "body",
    "caption",
    "div",
    "dl",
    "g",
    "h1",
    "h2",
    "head",
    "header",
    "li",
    "line",
    "p",
    "path",
    "rect",
    "section",
}
LINES |= {"svg", "table", "tbody", "thead", "title", "tr", "ul"}
"""Elements that end a line, so that a page can be read as text, and two of them compared."""
UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""What XML forbids or no file can hold, and what turns the text after it around."""


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def text(words: object) -> Markup:
    """As one can read it, whatever it holds."""
    return words if isinstance(words, Markup) else Markup(html.escape(UNFIT.sub("\ufffd", str(words))))


def tag(element: str, /, *children: object, **attributes: object) -> Markup:
    """An element. `class_` is class, `aria_label` aria-label; what is None is left out."""
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if element in EMPTY:
        return Markup(f"<{element}{told} />")
    end = "\n" if element in LINES else ""
    return Markup(f"<{element}{told}>{joined(*children)}</{element}>{end}")


def joined(*children: object) -> Markup:
    """One after the other."""
    return Markup("".join(text(child) for child in children if child is not None))
