"""Parts start in order, drain together, stop in reverse, each by a deadline."""

import asyncio

import pytest

from runtime.errors import RuntimeFault, SettingsError, StartFailed
from runtime.health import Health
from runtime.lifecycle import Lifecycle, Part, Step


class Story:
    """What happened, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def step(self, line: str, error: Exception | None = None) -> Step:
        """A step that writes a line, and may fail."""

        async def act() -> None:
            self.lines.append(line)
            if error is not None:
                raise error

        return act

    def part(self, name: str, *, fails: Exception | None = None, stop_fails: Exception | None = None) -> Part:
        """A part whose every step writes a line."""
        return Part(
            name,
            start=self.step(f"{name} starts", fails),
            drain=self.step(f"{name} drains"),
            stop=self.step(f"{name} stops", stop_fails),
        )


async def test_parts_start_in_order_and_stop_in_reverse() -> None:
    """A part may use those before it for as long as it lives."""
    story, lifecycle = Story(), Lifecycle(Health())
    for name in ("pool", "site"):
        lifecycle.add(story.part(name))
    await lifecycle.start()
    await lifecycle.stop()
    assert story.lines == [
        *("pool starts", "site starts"),
        *("pool drains", "site drains"),
        *("site stops", "pool stops"),
    ]


async def test_a_part_that_fails_to_start_stops_the_ones_before_it() -> None:
    """Nothing is left half started, and the error says which part it was."""
    story, lifecycle = Story(), Lifecycle(Health())
    lifecycle.add(story.part("pool"))
    lifecycle.add(story.part("site", fails=OSError("no such luck")))
    with pytest.raises(StartFailed, match="site did not start: OSError: no such luck"):
        await lifecycle.start()
    assert story.lines == ["pool starts", "site starts", "pool drains", "pool stops"]


async def test_a_fault_with_its_own_sentence_is_passed_on() -> None:
    """It knows better than we do what to do about it."""
    lifecycle = Lifecycle(Health())
    lifecycle.add(Story().part("site", fails=SettingsError("PORT: no")))
    with pytest.raises(RuntimeFault, match=r"^PORT: no$"):
        await lifecycle.start()


async def test_a_part_that_hangs_does_not_hold_the_others() -> None:
    """Every step has a deadline."""
    story, lifecycle = Story(), Lifecycle(Health(), drain_seconds=0.01)
    never = asyncio.Event().wait
    lifecycle.add(story.part("pool"))
    lifecycle.add(Part("site", drain=never, stop=never, stop_deadline_seconds=0.01))
    await lifecycle.start()
    await lifecycle.stop()
    assert story.lines[-1] == "pool stops"
    lifecycle.add(Part("late", start=never, start_deadline_seconds=0.01))
    with pytest.raises(StartFailed, match=r"late did not start within 0.01 s"):
        await lifecycle.start()


async def test_a_part_that_fails_to_stop_does_not_keep_the_others_from_it() -> None:
    """The rest still ends in order."""
    story, lifecycle = Story(), Lifecycle(Health())
    lifecycle.add(story.part("pool"))
    lifecycle.add(story.part("site", stop_fails=ValueError("broken")))
    await lifecycle.start()
    await lifecycle.stop()
    assert story.lines[-2:] == ["site stops", "pool stops"]


async def test_a_process_that_ends_is_not_ready_while_it_drains() -> None:
    """Balancers must look away before connections close."""
    health = Health()
    lifecycle = Lifecycle(health)
    seen = []

    async def drain() -> None:
        seen.append(health.draining)

    lifecycle.add(Part("site", drain=drain))
    lifecycle.end()
    await lifecycle.run()
    assert seen == [True]
