"""Reads of a PromQL expression what it asks for. Whether it is well-formed, Prometheus itself says."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

TOKENS = re.compile(
    r"""(?P<space>\s+)
    |(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    |(?P<range>\[[^\]]*\])
    |(?P<number>\d[\d.]*(?:e[+-]?\d+)?[a-z]*)
    |(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
    |(?P<sign>=~|!~|!=|==|<=|>=|.)""",
    re.VERBOSE | re.DOTALL,
)
WORDS = frozenset(("and", "or", "unless", "bool", "offset", "Inf", "NaN", "inf", "nan"))
AGGREGATIONS = frozenset(
    (
        "sum",
        "min",
        "max",
        "avg",
        "count",
        "topk",
        "bottomk",
        "quantile",
        "stddev",
        "stdvar",
        "group",
        "count_values",
    )
)
CLAUSES = frozenset(("by", "without", "on", "ignoring", "group_left", "group_right"))


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric, and what is asked of its labels: label → (operator, value)."""

    name: str
    matchers: Mapping[str, tuple[str, str]]


@dataclass(slots=True)
class Asked:
    """All selectors of an expression, and the labels of its `by`, `on` and the like."""

    selectors: list[Selector] = field(default_factory=list)
    labels: set[str] = field(default_factory=set)


def asked(expression: str) -> Asked:
    """What it asks for. ValueError: it selects by label alone, which nothing of ours does."""
    found, tokens = Asked(), list(_tokens(expression))
    at = 0
    while at < len(tokens):
        kind, text = tokens[at]
        following = tokens[at + 1][1] if at + 1 < len(tokens) else ""
        at += 1
        if text == "{":
            raise ValueError(f"a selector without a name: {expression}")
        if kind != "name":
            continue
        if text in CLAUSES and following == "(":
            end = next(place for place in range(at, len(tokens)) if tokens[place][1] == ")")
            found.labels.update(word for sort, word in tokens[at:end] if sort == "name")
            at = end + 1
        elif text not in WORDS | AGGREGATIONS | CLAUSES and following != "(":
            matchers, at = _matchers(tokens, at)
            found.selectors.append(Selector(text, matchers))
    return found


def _tokens(expression: str) -> Iterator[tuple[str, str]]:
    for match in TOKENS.finditer(expression):
        if match.lastgroup is not None and match.lastgroup != "space":
            yield match.lastgroup, match.group()


def _matchers(tokens: list[tuple[str, str]], at: int) -> tuple[Mapping[str, tuple[str, str]], int]:
    found: dict[str, tuple[str, str]] = {}
    if at == len(tokens) or tokens[at][1] != "{":
        return found, at
    end = next(place for place in range(at, len(tokens)) if tokens[place][1] == "}")
    words = [word for _, word in tokens[at + 1 : end] if word != ","]
    for label, operator, value in zip(words[::3], words[1::3], words[2::3], strict=True):
        found[label] = operator, value[1:-1]
    return found, end + 1
