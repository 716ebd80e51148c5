"""How long calls take at a server, and where the next one is expected to end first."""

from __future__ import annotations

from typing import NamedTuple

# Weights of the newest time, as TCP weighs round trips (RFC 6298, section 2); the first few weigh more.
MEAN_WEIGHT, DEVIATION_WEIGHT = 1 / 8, 1 / 4
DEVIATIONS = 4  # beyond the mean, after which a call is overdue (RFC 6298)
TIMES = 3  # the mean: kernels differ more than round trips


class Kind(NamedTuple):
    """Calls whose times are alike."""

    tool: str
    engine: str | None = None


class Pace:
    """Of one server: exponentially weighted mean and mean deviation of seconds, by kind of call."""

    def __init__(self) -> None:
        self._known: dict[Kind, tuple[int, float, float]] = {}

    def note(self, kind: Kind, seconds: float) -> None:
        """A call ended."""
        count, mean, deviation = self._known.get(kind, (0, seconds, seconds / 2))
        if count:
            deviation += max(DEVIATION_WEIGHT, 1 / (count + 1)) * (abs(seconds - mean) - deviation)
            mean += max(MEAN_WEIGHT, 1 / (count + 1)) * (seconds - mean)
        self._known[kind] = (count + 1, mean, deviation)

    def note_at_least(self, kind: Kind, seconds: float) -> None:
        """A call was given up after so long."""
        if seconds > (self.mean_s(kind) or 0.0):
            self.note(kind, seconds)

    def mean_s(self, kind: Kind) -> float | None:
        return self._known[kind][1] if kind in self._known else None

    def overdue_s(self, kind: Kind) -> float | None:
        """A call that takes longer is unlike those before it."""
        if kind not in self._known:
            return None
        _, mean, deviation = self._known[kind]
        return max(TIMES * mean, mean + DEVIATIONS * deviation)


def finish_s(mean_s: float, calls: int, places: float) -> float:
    """Until one more call ends at a server that has so many already, and works on so many at once."""
    return mean_s * (1 + max(0.0, calls + 1 - places) / places)
