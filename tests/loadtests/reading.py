"""Pages of our own, read back."""

from xml.etree import ElementTree
from xml.etree.ElementTree import Element


def parsed(told: str) -> Element:
    """The root; what is not well formed is an error."""
    return ElementTree.fromstring(told.encode())  # noqa: S314 - we wrote it


def words(element: Element | None) -> str:
    """All that is said in it, on one line."""
    assert element is not None
    return " ".join("".join(element.itertext()).split())
