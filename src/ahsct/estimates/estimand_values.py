"""Repeated values under an estimand (ICH E9(R1)): what a value after an intercurrent event means.

The estimand is the same object as for time-to-event endpoints; here its handling acts on values by visit.
"""

from __future__ import annotations

import polars as pl

from ahsct.definitions.composite import INTERCURRENT_EVENTS, Estimand
from ahsct.errors import RequestError, TableError, did_you_mean
from ahsct.vocabulary import require_columns


def values_under(
    values: pl.DataFrame,
    intercurrent: pl.DataFrame,
    *,
    estimand: Estimand,
    failure_value: float | None = None,
) -> pl.DataFrame:
    """Return the values as the estimand takes them, with what was done to each in the column `handled`.

    After the first intercurrent event that is not ignored: treatment policy keeps the value; hypothetical
    (censor) makes it missing, to be imputed under the estimand's assumption; composite (event) replaces it by
    `failure_value`; while alive (competing) removes it, so that the last value before the event is the
    patient's last; exclusion as published removes the patient. A principal stratum is refused when the
    estimand is made. A value on the day of the event comes before it.

    Parameters
    ----------
    values
        `patient_id`, `day`, `number` and any other columns; one row per planned visit, `number` null where
        the value is missing.
    intercurrent
        `patient_id`, `event` (treatment_death, other_death, dmt_restart, second_transplant, rescue), `day`.
    estimand
        How each intercurrent event is handled (`definitions`).
    failure_value
        What a composite strategy puts in place of values after the event, as EDSS 10 after a death.

    Returns
    -------
    pl.DataFrame
        The rows of `values` that remain, in their order, with `handled`: "as observed", "missing",
        `<event>: ignored`, `<event>: to be imputed` or `<event>: failure`.

    Raises
    ------
    RequestError
        A composite strategy meets an event and there is no `failure_value`, or an event has no known name.
    TableError
        A column or a day is missing.

    References
    ----------
    ICH E9(R1) (2019), section A.3.2 (strategies for intercurrent events).

    Examples
    --------
    A death on day 100 under a composite strategy, EDSS 10 from then on:

    >>> from ahsct.definitions.composite import Estimand, Handling
    >>> event, ignore = Handling(strategy="composite", handling="event"), Handling(strategy="treatment_policy", handling="ignore")
    >>> estimand = Estimand(id="e", label="e", population="infused", treatment_death=event, other_death=event,
    ...                     dmt_restart=ignore, second_transplant=ignore, rescue=ignore)
    >>> values = pl.DataFrame({"patient_id": ["a", "a"], "day": [90, 180], "number": [4.0, None]})
    >>> death = pl.DataFrame({"patient_id": ["a"], "event": ["treatment_death"], "day": [100]})
    >>> values_under(values, death, estimand=estimand, failure_value=10.0).select("number", "handled").rows()
    [(4.0, 'as observed'), (10.0, 'treatment_death: failure')]
    """
    require_columns("values_under", "values", values, ["patient_id", "day", "number"])
    require_columns("values_under", "intercurrent", intercurrent, ["patient_id", "event", "day"])
    for name, frame in (("values", values), ("intercurrent", intercurrent)):
        lost = frame.filter(pl.any_horizontal(pl.col("patient_id", "day").is_null())).height
        if lost:
            raise TableError(f"values_under: {lost} rows of `{name}` lack the patient or the day.")
    for event in intercurrent["event"].unique().sort().to_list():
        if event not in INTERCURRENT_EVENTS:
            raise RequestError(
                f"No intercurrent event {event!r}; known are {', '.join(INTERCURRENT_EVENTS)}."
                f"{did_you_mean(str(event), INTERCURRENT_EVENTS)}"
            )
    handling = {event: estimand.handling(event).handling for event in INTERCURRENT_EVENTS}
    met = intercurrent.with_columns(_how=pl.col("event").replace_strict(handling, return_dtype=pl.String))
    if failure_value is None and (met["_how"] == "event").any():
        raise RequestError(
            f"estimand {estimand.id!r} counts an intercurrent event as failure: state `failure_value`, the value "
            "that stands for it (as EDSS 10 for death)."
        )
    order = {"exclude": 0, "event": 1, "competing": 2, "censor": 3, "ignore": 4}  # on the same day
    first = (
        met.with_columns(
            _ignored=pl.col("_how") == "ignore",
            _rank=pl.col("_how").replace_strict(order, return_dtype=pl.Int64),
        )
        .sort("_ignored", "day", "_rank", "event")
        .unique("patient_id", keep="first", maintain_order=True)
        .select("patient_id", "_how", _event="event", _since="day")
    )
    return _applied(values, first, failure_value)


def _applied(values: pl.DataFrame, first: pl.DataFrame, failure_value: float | None) -> pl.DataFrame:
    joined = values.with_row_index("_row").join(first, on="patient_id", how="left").sort("_row")
    is_after = (pl.col("day") > pl.col("_since")).fill_null(False)
    excluded = (pl.col("_how") == "exclude").fill_null(False)
    removed = is_after & (pl.col("_how") == "competing")
    named = {"event": "failure", "censor": "to be imputed", "ignore": "ignored"}
    return (
        joined.filter(~(excluded | removed.fill_null(False)))
        .with_columns(
            number=pl.when(is_after & (pl.col("_how") == "event"))
            .then(pl.lit(failure_value, dtype=pl.Float64))
            .when(is_after & (pl.col("_how") == "censor"))
            .then(pl.lit(None, dtype=pl.Float64))
            .otherwise(pl.col("number").cast(pl.Float64)),
            handled=pl.when(is_after)
            .then(
                pl.format(
                    "{}: {}",
                    pl.col("_event"),
                    pl.col("_how").replace_strict(named, default="", return_dtype=pl.String),
                )
            )
            .when(pl.col("number").is_null())
            .then(pl.lit("missing"))
            .otherwise(pl.lit("as observed")),
        )
        .drop("_row", "_how", "_event", "_since")
    )
