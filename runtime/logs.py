"""Structured logs: columns on a terminal, one JSON object a line elsewhere.

An event's name is static (`tenant_created`), its data are keywords. Tenant, cell, epoch and request
id are bound once, by `bound`, and appear on every line within.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, TextIO

import structlog

Format = Literal["auto", "columns", "json"]
LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

_threshold = logging.INFO
_process: dict[str, Any] = {}


def _drop_below_threshold(
    _logger: Any, method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    # Asked at every line, so that the level can be switched while the process runs.
    if LEVELS.get("warning" if method == "warn" else method, logging.ERROR) < _threshold:
        raise structlog.DropEvent
    return event


def _say_who(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    # Not a context variable: threads that libraries start have none of ours.
    return {**_process, **event}


def identify(**identities: str) -> None:
    """Put what this process is (its program, its cell) on every line from now on, in every thread."""
    _process.update(identities)


def set_level(level: str) -> None:
    """Switch the level of this process; `level` is a key of `LEVELS`."""
    global _threshold
    _threshold = LEVELS[level]
    logging.getLogger().setLevel(_threshold)


def configure(program: str, level: str = "info", form: Format = "auto", stream: TextIO | None = None) -> None:
    """Set the process's logs up once, at its start; libraries' logs come out in the same form."""
    out = stream or sys.stderr
    columns = form == "columns" or (form == "auto" and out.isatty())
    shared: list[Any] = [
        _say_who,
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if columns else "iso", utc=not columns),
    ]
    render: list[Any] = (
        [structlog.dev.ConsoleRenderer(pad_event_to=28, exception_formatter=structlog.dev.plain_traceback)]
        if columns
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[_drop_below_threshold, *shared, *render],
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=True,
    )
    _process.clear()
    identify(program=program)
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    logging.basicConfig(handlers=[handler], force=True)
    set_level(level)


def get(name: str) -> Any:
    """A logger; its `name` tells which module speaks."""
    return structlog.get_logger(source=name)


@contextmanager
def bound(**identities: Any) -> Iterator[None]:
    """Put tenant, cell, epoch, move or request id on every line logged within."""
    with structlog.contextvars.bound_contextvars(**identities):
        yield
