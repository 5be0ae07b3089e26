"""One curve of a CURVE table as arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from ahsct.errors import TableError
from ahsct.estimates._groups import LABELS
from ahsct.estimates._risk_table import Counts, Floats
from ahsct.estimates.rows import result
from ahsct.vocabulary import CURVE, conform

ROUNDING = 1e-9


class Curve(NamedTuple):
    """One curve; `n` counts its patients, `ends_at_zero` says that nobody is left who could still have an event."""

    labels: dict[str, Any]
    cause: str | None
    method: str
    conf_level: float
    n: int
    time: Floats
    n_at_risk: Counts
    n_events: Counts
    n_censored: Counts
    estimate: Floats
    std_error: Floats
    lower: Floats
    upper: Floats
    ends_at_zero: bool

    @property
    def has_delayed_entry(self) -> bool:
        return self.method.endswith("delayed entry")

    @property
    def estimator(self) -> str:
        return self.method.split(", ")[0]

    @property
    def interval(self) -> str:
        return self.method.removesuffix(", delayed entry").split(", ")[-1]

    def upto(self, at_years: float) -> int:
        """Return the number of rows at or before a time."""
        return int(np.searchsorted(self.time, at_years * (1 + ROUNDING), side="right"))

    def is_beyond(self, at_years: float) -> bool:
        """Whether a time lies after the last follow-up while somebody might still have an event."""
        return at_years > self.time[-1] * (1 + ROUNDING) and not self.ends_at_zero

    def row(self, **columns: Any) -> dict[str, Any]:
        """Return a row of RESULTS with the labels of the curve."""
        columns = {"n": self.n, "method": self.method, "conf_level": self.conf_level, **columns}
        return result(**self.labels, term=self.cause, **columns)


def n_after(one: Curve, rows: int) -> int:
    """Return how many are at risk just after the last of these rows; a curve ends when the last patient leaves."""
    return int(one.n_at_risk[rows]) if rows < one.time.size else 0


def curves(curve: pl.DataFrame) -> Iterator[Curve]:
    """Yield each curve; all causes of an Aalen-Johansen estimate are needed to count its patients."""
    curve = conform(curve, CURVE)
    for group in curve.partition_by(*LABELS, "method", "conf_level", maintain_order=True):
        blocks = group.partition_by("cause", maintain_order=True)
        for block in blocks:
            _require_whole(block)
        events = [block["n_events"].to_numpy() for block in blocks]
        total = sum(float(block["estimate"][-1]) for block in blocks)
        for block, n_events in zip(blocks, events, strict=True):
            first = block.row(0, named=True)
            is_survival = first["cause"] is None
            n_censored = block["n_censored"].to_numpy()
            yield Curve(
                labels={name: first[name] for name in LABELS},
                cause=first["cause"],
                method=first["method"],
                conf_level=first["conf_level"],
                n=int(np.sum(events) + n_censored.sum()),
                time=block["time_years"].to_numpy(),
                n_at_risk=block["n_at_risk"].to_numpy(),
                n_events=n_events,
                n_censored=n_censored,
                ends_at_zero=(total < ROUNDING) if is_survival else (total > 1 - ROUNDING),
                **{
                    name: block[name].to_numpy().astype(np.float64)
                    for name in ("estimate", "std_error", "lower", "upper")
                },
            )


def _require_whole(block: pl.DataFrame) -> None:
    time = block["time_years"].to_numpy()
    if time[0] != 0 or np.any(np.diff(time) <= 0):
        raise TableError(
            f"A curve needs a row at time 0 and rising times after it; one of {time.size} rows starts at "
            f"{time[0]:g} years or repeats a time. Give each curve whole and once, as the estimator made it."
        )
