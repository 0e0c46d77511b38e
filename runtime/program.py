"""One call that turns settings and a `build` function into a running process with a meaningful exit code."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

import uvloop

from runtime import logs
from runtime.errors import RuntimeFault, SchemaError, SettingsError
from runtime.lifecycle import Lifecycle
from runtime.settings import Settings

EXIT_FAULT = 1
"""The process could not start, or died; its last line says why."""
EXIT_USELESS = 2
"""The settings are wrong, or the schema is of another version; starting again without a change is useless."""

SettingsT = TypeVar("SettingsT", bound=Settings)


def main(program: str, settings_class: type[SettingsT], build: Callable[[SettingsT], Awaitable[Lifecycle]]) -> int:
    """Run `program` until a signal; returns its exit code. Faults are one sentence, not a traceback."""
    try:
        settings = settings_class.load()
        logs.configure(program, settings.log_level, settings.log_format)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(settings, build))
    except (SettingsError, SchemaError) as error:
        return _refuse(program, error, EXIT_USELESS)
    except RuntimeFault as error:
        return _refuse(program, error, EXIT_FAULT)
    return 0


async def _run(settings: SettingsT, build: Callable[[SettingsT], Awaitable[Lifecycle]]) -> None:
    lifecycle = await build(settings)
    await lifecycle.run()


def _refuse(program: str, error: RuntimeFault, code: int) -> int:
    sys.stderr.write(f"{program}: {error}\n")
    return code
