"""The last frames, as contiguous arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class FrameMemory:
    """Time, values (11 columns, see `resampling.on_grid`) and status of the last `size` frames of k segments."""

    def __init__(self, size: int, k: int) -> None:
        self._size, self._end = size, 0
        self._time, self._values = np.empty(2 * size), np.empty((2 * size, k, 11))
        self._status = np.empty((2 * size, k), np.int64)

    def clear(self) -> None:
        """Forget all frames."""
        self._end = 0

    def append(self, time_s: FloatArray, values: FloatArray, status: NDArray[np.int64]) -> None:
        """Add frames."""
        n = len(time_s)
        arrays = ((self._time, time_s), (self._values, values), (self._status, status))
        if self._end + n > 2 * self._size:
            keep = min(self._end, self._size)
            for array, _ in arrays:
                array[:keep] = array[self._end - keep : self._end]
            self._end = keep
        for array, new in arrays:
            array[self._end : self._end + n] = new
        self._end += n

    def _rows(self, n: int | None) -> slice:
        return slice(max(0, self._end - (self._size if n is None else n)), self._end)

    def time(self, n: int | None) -> FloatArray:
        """(m,) instants of the last n frames (all: None), as a view."""
        return self._time[self._rows(n)]

    def values(self, n: int | None) -> FloatArray:
        """(m, k, 11) values of the last n frames (all: None), as a view."""
        return self._values[self._rows(n)]

    def status(self, n: int | None) -> NDArray[np.int64]:
        """(m, k) status bits of the last n frames (all: None), as a view."""
        return self._status[self._rows(n)]
