"""Hazard ratios of each cause, where causes compete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from ahsct.estimates._groups import ALL_BUT_ARM, groups
from ahsct.estimates.competing import require_causes
from ahsct.estimates.cox import cox
from ahsct.estimates.rows import results_frame
from ahsct.vocabulary import require_columns


def cause_specific_hazards(
    time_to_event: pl.DataFrame,
    covariates: pl.DataFrame | None = None,
    *,
    terms: Sequence[str] = ("arm",),
    references: Mapping[str, str] | None = None,
    strata: Sequence[str] = (),
    ties: str = "efron",
    interval: str = "wald",
    conf_level: float = 0.95,
) -> pl.DataFrame:
    """Fit Cox's model to each cause, the other causes ending the time at risk.

    The ratios say how covariates act on each cause among those still free of all; not how the cumulative incidence
    moves, which depends on all causes together (`fine_gray`).

    Parameters
    ----------
    time_to_event
        As for `aalen_johansen`; delayed entry is taken.
    covariates, terms, references, strata, ties, interval, conf_level
        As for `cox`.

    Returns
    -------
    pl.DataFrame
        The rows of `cox` once per cause seen, in the causes' order; `method` begins with the cause. Without any event
        the row of `cox` that says so.

    Raises
    ------
    TableError
        As for `cox`, or an event has no cause.
    RequestError
        As for `cox`.

    References
    ----------
    Prentice and others (1978), doi:10.2307/2530374. R: coxph(Surv(time, cause == k) ~ x), survival 3.5.3.

    Examples
    --------
    Relapses of B and then A while B, A, B, A and A, B, A were at risk: r / ((2 + 2 r) (2 + r)) is largest at sqrt(2):

    >>> frame = pl.DataFrame({"time_day": [1, 2, 3, 4], "is_event": True, "arm": list("BABA"), "patient_id": list("abcd"),
    ...                       "cause": ["relapse", "relapse", "death", "death"]})
    >>> rows = cause_specific_hazards(frame).filter(pl.col("statistic") == "hazard_ratio")
    >>> rows.select(pl.col("method").str.split(",").list.first(), pl.col("estimate").round(3)).rows()[1]
    ('relapse: Cox', 1.414)
    """
    require_columns("cause_specific_hazards", "time_to_event", time_to_event, ("cause",))
    seen: set[str] = set()
    for group in groups("cause_specific_hazards", time_to_event, apart=ALL_BUT_ARM, refuse_empty=False):
        require_causes("cause_specific_hazards", group.rows)
        seen |= set(group.rows.filter(pl.col("is_event"))["cause"])
    causes: list[str | None] = [*sorted(seen)]
    parts = [results_frame([])]
    for cause in causes or [None]:  # without any event one run says so
        is_own = (pl.col("is_event") & (pl.col("cause") == pl.lit(cause, pl.String))).fill_null(False)
        own = time_to_event.with_columns(is_event=is_own, cause=pl.lit(None, dtype=pl.String))
        rows = cox(
            own,
            covariates,
            terms=terms,
            references=references,
            strata=strata,
            ties=ties,
            interval=interval,
            conf_level=conf_level,
        )
        name = "" if cause is None else f"{cause}: "
        parts.append(rows.with_columns(method=pl.lit(name) + pl.col("method")))
    return pl.concat(parts)
