"""Follow-up cut into periods, each with what was known of the patient at its start."""

from __future__ import annotations

import polars as pl

from ahsct.errors import RequestError, TableError
from ahsct.estimates._groups import groups
from ahsct.vocabulary import DAYS_PER_YEAR, require_columns

_OWN = ("start_day", "stop_day", "start_years", "is_event", "is_censored")


def censoring_periods(
    time_to_event: pl.DataFrame,
    known: pl.DataFrame,
    *,
    reason: str = "dmt_restart",
    every_days: int = 91,
) -> pl.DataFrame:
    """Return the periods that `censoring_weights` needs, from an endpoint and what was measured over time.

    Parameters
    ----------
    time_to_event
        Schema TIME_TO_EVENT, of one curve, as for `kaplan_meier`, with `patient_id` and `censor_reason`.
    known
        `patient_id`, `day` (same day 0 as the endpoint) and any columns: baseline values on day 0 or before, later ones
        (EDSS, relapses so far ...) on their days. A period takes of each column the last known value up to its start.
    reason
        Text that the reason of the censoring in question contains.
    every_days
        Length of a period [days], > 0; the last one of a patient ends with the follow-up.

    Returns
    -------
    pl.DataFrame
        By patient and start: `patient_id`, `start_day`, `stop_day`, `start_years` (for time as a covariate), `is_event`,
        `is_censored` and the columns of `known`, missing where nothing was known by then.

    Raises
    ------
    TableError
        A column is missing or has a name of the above, there are several curves, or a patient has no time at risk.
    RequestError
        `every_days` is not above 0.

    References
    ----------
    Robins and Finkelstein (2000), doi:10.1111/j.0006-341X.2000.00779.x.

    Examples
    --------
    Periods of 91 days; the EDSS of day 100 is known from the third on, which ends with the restart of a drug:

    >>> times = pl.DataFrame({"patient_id": ["a"], "time_day": [200], "is_event": [False],
    ...                       "censor_reason": ["censored at dmt_restart"]})
    >>> known = pl.DataFrame({"patient_id": ["a", "a"], "day": [-5, 100], "edss": [3.0, 4.5]})
    >>> censoring_periods(times, known).select("start_day", "stop_day", "is_censored", "edss").rows()
    [(0, 91, False, 3.0), (91, 182, False, 3.0), (182, 200, True, 4.5)]
    """
    if every_days < 1:
        raise RequestError(f"every_days must be at least 1; found {every_days!r}.")
    require_columns("censoring_periods", "time_to_event", time_to_event, ("patient_id", "censor_reason"))
    require_columns("censoring_periods", "known", known, ("patient_id", "day"))
    taken = [name for name in known.columns if name in _OWN]
    if taken:
        raise TableError(f"`known` must not have columns named {', '.join(taken)}: the periods have them.")
    found = list(groups("censoring_periods", time_to_event))
    if len(found) > 1:
        raise TableError(f"censoring_periods needs rows of one curve; found {len(found)}. Filter them first.")
    rows = found[0].rows if found else time_to_event.clear().with_columns(pl.lit(0).alias("_row"))
    entry = pl.col("entry_day").clip(0) if "entry_day" in rows.columns else pl.lit(0)
    rows = rows.select(
        "patient_id",
        entry.cast(pl.Int64).alias("_from"),
        pl.col("time_day").cast(pl.Int64).alias("_to"),
        pl.col("is_event").alias("_event"),
        (~pl.col("is_event") & pl.col("censor_reason").str.contains(reason, literal=True))
        .fill_null(False)
        .alias("_censored"),
    )
    n_none = rows.filter(pl.col("_to") <= pl.col("_from")).height
    if n_none:
        raise TableError(
            f"censoring_periods: {n_none} of {rows.height} patients have no time at risk. Leave them out, so that it "
            "shows."
        )
    periods = (
        rows.with_columns(pl.int_ranges("_from", "_to", every_days).alias("start_day"))
        .explode("start_day")
        .with_columns(pl.min_horizontal(pl.col("start_day") + every_days, "_to").alias("stop_day"))
        .with_columns(
            (pl.col("start_day") / DAYS_PER_YEAR).alias("start_years"),
            (pl.col("_event") & (pl.col("stop_day") == pl.col("_to"))).alias("is_event"),
            (pl.col("_censored") & (pl.col("stop_day") == pl.col("_to"))).alias("is_censored"),
        )
        .select("patient_id", *_OWN)
        .sort("patient_id", "start_day")
    )
    for name in known.columns:
        if name not in ("patient_id", "day"):
            values = (
                known.select("patient_id", pl.col("day").cast(pl.Int64).alias("start_day"), name)
                .drop_nulls()
                .sort("patient_id", "start_day", maintain_order=True)
                .unique(["patient_id", "start_day"], keep="last", maintain_order=True)
            )
            periods = _last_known(periods, values, name)
    return periods


def _last_known(periods: pl.DataFrame, values: pl.DataFrame, name: str) -> pl.DataFrame:
    """Return the periods with the last value up to each start."""
    is_value = values.with_columns(pl.lit(True).alias("_is_value"))
    together = pl.concat([is_value, periods.with_columns(pl.lit(False).alias("_is_value"))], how="diagonal")
    filled = together.sort(
        "patient_id", "start_day", "_is_value", descending=[False, False, True], maintain_order=True
    ).with_columns(pl.col(name).forward_fill().over("patient_id"))
    return filled.filter(~pl.col("_is_value")).select(*periods.columns, name)
