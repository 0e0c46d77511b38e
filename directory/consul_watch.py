"""What lies at one path of Consul, told as soon as it changes: a blocking query, again and again."""

import random
from typing import Any

from directory.consul_agent import Agent
from directory.errors import Unavailable
from directory.rules import watching
from runtime import logs
from runtime.clock import Clock, SystemClock

log = logs.get("directory.consul_watch")

LEAST_SECONDS = 0.1
"""Between two questions, however often it changes."""
UNNUMBERED_SECONDS = 1.0
"""After an answer without an index, which the next question cannot wait for."""


class Watch:
    """Asks any server, so that it goes on being told while Consul chooses a leader; old answers are not believed.

    One at a time: `agent` makes no other call meanwhile.
    """

    def __init__(self, agent: Agent, path: str, clock: Clock | None = None) -> None:
        self._agent, self._path = agent, path
        self._clock = clock or SystemClock()
        self._index = 0
        self._again_at = 0.0

    async def next(self, seconds: float = watching.WAIT_SECONDS) -> Any:
        """What is there: at once the first time, then when it may have changed, or the time is over. None:
        nothing.

        Unavailable: whoever asks keeps what they have, and asks again after a while. Then it answers at once.
        """
        if (rest_seconds := self._again_at - self._clock.monotonic()) > 0:
            await self._clock.sleep(rest_seconds)
        try:
            answer = await self._asked(watching.wait_seconds(seconds, random.random()))  # noqa: S311 jitter
        except Unavailable:
            self._index = 0
            raise
        index = watching.next_index(self._index, answer.index)
        if self._index and not index:
            log.warning("consul_index_fell_back", path=self._path, known=self._index, answered=answer.index)
        self._index = index
        self._again_at = self._clock.monotonic() + (LEAST_SECONDS if answer.index else UNNUMBERED_SECONDS)
        return answer.body

    async def _asked(self, wait_seconds: float) -> Any:
        answer = await self._agent.read_when_changed(self._path, self._index, wait_seconds, "stale")
        if watching.is_believed(answer.led, answer.age_seconds):
            return answer
        # The leader itself; without one that is Unavailable.
        return await self._agent.read_when_changed(self._path, 0, 0.0)
