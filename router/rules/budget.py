"""How many second attempts a cell gets. Pure.

Attempts multiply when a cell is in trouble, which is when load is what it can least bear. So second attempts are a
share of what was asked lately, as in Finagle's retry budget, and a few more so that a quiet cell gets any at all.
"""


class Budget:
    """One cell's: up to `share` of the requests of about the last `window_seconds`, plus `reserve`.

    The window is two halves that rotate. Only who wants a second attempt turns them, so a request costs one
    addition and no look at the clock; a half that lasted too long is taken to have been even.
    """

    __slots__ = (
        "_began_at", "_half_seconds", "_requests_before", "_spent", "_spent_before", "requests", "reserve",
        "share",
    )  # fmt: skip

    def __init__(self, now: float, *, share: float = 0.1, reserve: int = 10, window_seconds: float = 10.0) -> None:
        self.share = share
        self.reserve = reserve
        self.requests = 0
        """Since the current half began; `request` for those who cannot afford a call: `budget.requests += 1`."""
        self._half_seconds = window_seconds / 2
        self._began_at = now
        self._spent = 0
        self._requests_before = self._spent_before = 0.0

    def request(self) -> None:
        """A first attempt is made."""
        self.requests += 1

    def take(self, now: float) -> bool:
        """Whether one second attempt may be made now, which counts it."""
        if self.left(now) < 1:
            return False
        self._spent += 1
        return True

    def left(self, now: float) -> float:
        """How many second attempts may be made now; less than none when what earned them is long ago."""
        if now - self._began_at >= self._half_seconds:
            self._rotate(now)
        earned = self.reserve + self.share * (self._requests_before + self.requests)
        return earned - self._spent_before - self._spent

    def _rotate(self, now: float) -> None:
        lately = self._half_seconds / (now - self._began_at)
        self._requests_before, self._spent_before = self.requests * lately, self._spent * lately
        self.requests = self._spent = 0
        self._began_at = now
