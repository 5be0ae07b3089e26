"""Whether a value differs from a baseline by as much as a rule asks."""

from __future__ import annotations

import polars as pl

from ahsct.definitions import DisabilityRule, ThresholdStep

_ROUNDING = 1e-9  # a change of exactly the threshold counts, also where 1.2 * 5 is 6.000000000000001


def meets_change(value: str, baseline: str, *, rule: DisabilityRule, direction: str) -> pl.Expr:
    """Return whether `value` has changed from `baseline` in this direction by the rule's threshold.

    Examples
    --------
    From 5.0 an improvement needs 1.0, from 5.5 on 0.5:

    >>> from ahsct.definitions import load_definition
    >>> rule = load_definition("atkins2016").disability_rule("edss")
    >>> table = pl.DataFrame({"edss": [4.5, 4.0, 5.0], "before": [5.0, 5.0, 5.5]})
    >>> table.select(meets_change("edss", "before", rule=rule, direction="improvement")).to_series().to_list()
    [False, True, True]
    """
    steps = rule.improvement_threshold if direction == "improvement" else rule.worsening_threshold
    needed = pl.coalesce(
        pl.when(pl.col(baseline) >= step.from_value).then(_change(step, pl.col(baseline)))
        for step in reversed(steps)
    )
    rises = (direction == "worsening") == rule.greater_is_worse
    change = pl.col(value) - pl.col(baseline) if rises else pl.col(baseline) - pl.col(value)
    return change >= needed - _ROUNDING


def _change(step: ThresholdStep, baseline: pl.Expr) -> pl.Expr:
    if step.unit == "points":
        return pl.lit(step.change)
    part = step.change * baseline.abs()
    return part if step.at_most is None else pl.min_horizontal(part, pl.lit(step.at_most))
