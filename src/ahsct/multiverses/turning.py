"""What would have to be chosen otherwise for the answer to change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import polars as pl

from ahsct.definitions import Grid
from ahsct.errors import RequestError
from ahsct.multiverses.spread import one_each

TURNING = pl.Schema(
    {
        "arm": pl.String(),
        "time_years": pl.Float64(),
        "line": pl.String(),
        "side": pl.String(),
        "n_changed": pl.Int64(),
        "changed": pl.String(),
        "point": pl.Int64(),
        "estimate": pl.Float64(),
        "lower": pl.Float64(),
        "upper": pl.Float64(),
        "n": pl.Int64(),
        "n_events": pl.Int64(),
    }
)
_MOST_CHANGED = 2


class Line(NamedTuple):
    """What an answer must cross to count as another one: below `low` or above `high`."""

    words: str
    low: float
    high: float

    def side(self, estimate: float | None) -> str | None:
        """Return "below" or "above", or None where the estimate does not cross."""
        if estimate is None:
            return None
        return "below" if estimate < self.low else "above" if estimate > self.high else None


def line_of(base: Mapping[str, Any], threshold: float | None = None) -> Line | None:
    """Return the line for the base's answer: a threshold, or the base's own interval; None without an answer."""
    if base["estimate"] is None:
        return None
    if threshold is not None:
        if not 0 < threshold < 1:
            raise RequestError(f"threshold must lie between 0 and 1, as 0.6; found {threshold!r}.")
        is_above = base["estimate"] >= threshold
        return Line(f"{100 * threshold:g} %", threshold if is_above else -1.0, 2.0 if is_above else threshold)
    if base["lower"] is None or base["upper"] is None:
        return None
    return Line("the interval of the base", base["lower"], base["upper"])


def turning_points(answers: pl.DataFrame, grid: Grid, *, threshold: float | None = None) -> pl.DataFrame:
    """Return the fewest changes of the base's choices that move the estimate across a line.

    Each single change of the base is looked at, then each pair neither of which crosses alone.

    Parameters
    ----------
    answers
        From `multiverse`.
    grid
        The grid that was asked.
    threshold
        A probability; missing: the line is the interval of the base's own answer (its lower limit for
        lower estimates, its upper limit for higher ones).

    Returns
    -------
    pl.DataFrame
        Schema TURNING, singles before pairs, by arm and milestone; `changed` names the choices in words,
        `side` where the estimate then lies. No rows: nothing that changes one or two choices crosses.

    Raises
    ------
    RequestError
        The threshold does not lie between 0 and 1.
    """
    rows: list[dict[str, Any]] = []
    for (arm, years), group in one_each(answers).group_by("arm", "time_years", maintain_order=True):
        by_choices = {
            tuple(row[one.id] for one in grid.dimensions): row for row in group.iter_rows(named=True)
        }
        base = by_choices.get(tuple(grid.base_choices.values()))
        line = None if base is None else line_of(base, threshold)
        if line is None:
            continue
        alone: set[tuple[str, str]] = set()
        for n_changed in range(1, _MOST_CHANGED + 1):
            for choices, row in by_choices.items():
                changed = _changed(choices, grid)
                side = line.side(row["estimate"])
                if len(changed) != n_changed or side is None or any(one in alone for one in changed):
                    continue
                if n_changed == 1:
                    alone.add(changed[0])
                rows.append(
                    {
                        **{name: row[name] for name in TURNING if name in row},
                        "arm": arm,
                        "time_years": years,
                        "line": line.words,
                        "side": side,
                        "n_changed": n_changed,
                        "changed": "; ".join(_words(grid, one) for one in changed),
                    }
                )
    return pl.DataFrame(rows, schema=TURNING)


def count_crossing(answers: pl.DataFrame, grid: Grid, *, threshold: float | None = None) -> pl.DataFrame:
    """Return for each arm and milestone how many definitions lie beyond the line, and how many there are.

    `arm`, `time_years`, `line`, `n_below`, `n_above`, `n_points`; `line` is missing where the base has no answer.
    """
    rows = []
    for (arm, years), group in one_each(answers).group_by("arm", "time_years", maintain_order=True):
        base = group.filter(pl.col("point") == 1).to_dicts()
        line = line_of(base[0], threshold) if base else None
        sides = [line.side(value) if line else None for value in group["estimate"]]
        rows.append(
            {
                "arm": arm,
                "time_years": years,
                "line": line.words if line else None,
                "n_below": sides.count("below"),
                "n_above": sides.count("above"),
                "n_points": group.height,
            }
        )
    return pl.DataFrame(
        rows,
        schema={
            "arm": pl.String(),
            "time_years": pl.Float64(),
            "line": pl.String(),
            "n_below": pl.Int64(),
            "n_above": pl.Int64(),
            "n_points": pl.Int64(),
        },
    )


def _changed(choices: tuple[str, ...], grid: Grid) -> list[tuple[str, str]]:
    return [
        (name, choice)
        for (name, base), choice in zip(grid.base_choices.items(), choices, strict=True)
        if choice != base
    ]


def _words(grid: Grid, changed: tuple[str, str]) -> str:
    dimension = grid.dimension(changed[0])
    return f"{dimension.label}: {dimension.choice(changed[1]).label}"
