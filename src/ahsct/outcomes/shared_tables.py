"""Tables of one study that many definitions share, and its patients as numbers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from ahsct.outcomes.assessments import Memory
from ahsct.outcomes.disability_visits import MeasuredVisits
from ahsct.tables import Study

T = TypeVar("T")
MOST_BYTES = 400_000_000  # of remembered tables


class SharedTables(Memory):
    """Remembers what was built, up to a total size; what was not used for longest goes first.

    `names` are the study's patients in order; a patient's place there is his number.
    """

    def __init__(self, study: Study) -> None:
        self.names = study.table("patients")["patient_id"].unique(maintain_order=True)
        self._numbers = pl.DataFrame(
            {"patient_id": self.names, "_number": np.arange(len(self.names), dtype=np.int64)}
        )
        self._built: OrderedDict[Hashable, Any] = OrderedDict()
        self._bytes = 0

    def once(self, key: Hashable, build: Callable[[], T]) -> T:
        """Return what was built under the key, or build it now."""
        if key in self._built:
            self._built.move_to_end(key)
            return cast("T", self._built[key])
        value = build()
        self._built[key] = value
        self._bytes += _size(value)
        while self._bytes > MOST_BYTES and len(self._built) > 1:
            self._bytes -= _size(self._built.popitem(last=False)[1])
        return value

    def numbered(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the frame with numbers for patients; rows of nobody in `patients` are of no concern."""

        def build() -> tuple[pl.DataFrame, pl.DataFrame]:
            joined = frame.join(self._numbers, on="patient_id", how="inner", maintain_order="left")
            numbers = joined.with_columns(pl.col("_number").alias("patient_id")).drop("_number")
            return frame, numbers  # the frame too, so that its id is not given to another

        return self.once(("numbered", id(frame)), build)[1]

    def stacked(self, frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
        """Return the frames of all slices below each other, their patients as numbers of their own."""
        slices = np.repeat(np.arange(len(frames)), [frame.height for frame in frames])
        return self.moved(pl.concat(frames), slices)

    def moved(self, frame: pl.DataFrame, slices: npt.NDArray[np.int64]) -> pl.DataFrame:
        """Return the frame with each numbered patient as he is called in his slice."""
        shift = pl.Series("_shift", slices * len(self.names), dtype=pl.Int64)
        return frame.with_columns((frame["patient_id"] + shift).alias("patient_id"))


def _size(value: Any) -> int:
    if isinstance(value, pl.DataFrame):
        return int(value.estimated_size())
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    if isinstance(value, MeasuredVisits):
        return int(value.frame.estimated_size())
    return sum(_size(part) for part in value) if isinstance(value, tuple) else 0
