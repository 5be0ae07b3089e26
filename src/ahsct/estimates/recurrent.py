"""Regression of recurrent events: Andersen and Gill's rates with robust errors, and Prentice, Williams and Peterson."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from ahsct.errors import RequestError, TableError, did_you_mean
from ahsct.estimates._design import codes, design
from ahsct.estimates._groups import ALL_BUT_ARM
from ahsct.estimates._intervals import require_conf_level
from ahsct.estimates.counting_process import known_at_start
from ahsct.estimates.cox import NO_COMPARISON, CoxFit, has_comparison, hazard_ratio_rows
from ahsct.estimates.cox_regression import SingularDesign, cox_regression
from ahsct.estimates.recurrent_rows import recurrent_groups
from ahsct.estimates.rows import result, results_frame
from ahsct.vocabulary import require_columns

MODELS = {
    "andersen-gill": "Andersen-Gill (Lin-Wei-Yang-Ying)",
    "pwp-total": "Prentice-Williams-Peterson, total time",
    "pwp-gap": "Prentice-Williams-Peterson, gap time",
}


def recurrent_ratios(
    recurrent: pl.DataFrame,
    covariates: pl.DataFrame | None = None,
    *,
    terms: Sequence[str] = ("arm",),
    references: Mapping[str, str] | None = None,
    model: str = "andersen-gill",
    strata: Sequence[str] = (),
    up_to_event: int | None = None,
    ties: str = "efron",
    conf_level: float = 0.95,
) -> pl.DataFrame:
    r"""Return ratios of rates (Andersen-Gill) or of hazards (PWP) of recurrent events, with robust errors.

    Parameters
    ----------
    recurrent
        Schema RECURRENT. Each endpoint is fitted by itself.
    covariates
        `patient_id` and what `terms` and `strata` name beside `arm`, one row per patient.
    terms, references, strata, ties, conf_level
        As in `cox`; ties "efron" or "breslow".
    model
        "andersen-gill": one baseline for all events; with robust errors $\exp\beta$ is a ratio of mean rates, whatever
        ties a patient's events together (Lin, Wei, Yang and Ying). "pwp-total" and "pwp-gap": a baseline for each
        number of the event, at risk for the second only after the first, in time since time zero or since the event
        before: a ratio of hazards given the number so far, to which the arms need no longer be comparable.
    up_to_event
        For PWP: leaves out later intervals, where few remain; the note says how many events.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS as in `cox`: rows "rate_ratio" (Andersen-Gill) or "hazard_ratio" (PWP) with the robust error of
        the logarithm, and the robust Wald test of all coefficients. Without an event, or none while patients who
        differ were at risk together, there is one row that says so.

    Raises
    ------
    TableError
        A column is absent, a value missing, intervals of a patient overlap, or (but for gap time) a patient has two
        events on one day.
    RequestError
        A word is unknown, or a covariate carries no information.

    References
    ----------
    Andersen and Gill (1982), doi:10.1214/aos/1176345976; Lin, Wei, Yang and Ying (2000),
    doi:10.1111/1467-9868.00259; Prentice, Williams and Peterson (1981), doi:10.1093/biomet/68.2.373.
    R: coxph(Surv(start, stop, event) ~ x + cluster(id) + strata(enum)), survival 3.5.3.

    Examples
    --------
    Events of X among 2 and 2, of Y among 2 and 1, of X among 2 and 1: 2 r^2 + r - 2 = 0, r = (sqrt(17) - 1) / 4:

    >>> frame = pl.DataFrame({"patient_id": ["a", "a", "b", "c", "c", "d"], "arm": ["X", "X", "X", "Y", "Y", "Y"],
    ...                       "start_day": [0, 100, 0, 0, 250, 0], "stop_day": [100, 400, 300, 250, 300, 200],
    ...                       "is_event": [True, False, True, True, False, False]})
    >>> rows = recurrent_ratios(frame, ties="breslow")
    >>> rows.select("statistic", "n", "n_events", pl.col("estimate").round(3)).row(0)
    ('rate_ratio', 4, 3, 0.781)
    """
    if model not in MODELS:
        raise RequestError(f"No model {model!r}; known are {', '.join(MODELS)}.{did_you_mean(model, MODELS)}")
    if ties == "exact":
        raise RequestError("Robust errors need ties='efron' or 'breslow'.")
    if up_to_event is not None and (model == "andersen-gill" or up_to_event < 1):
        raise RequestError("up_to_event is a number >= 1 for a model of Prentice, Williams and Peterson.")
    require_conf_level(conf_level)
    found: list[dict[str, Any]] = []
    statistic = "rate_ratio" if model == "andersen-gill" else "hazard_ratio"
    for labels, rows in recurrent_groups("recurrent_ratios", recurrent, apart=ALL_BUT_ARM):
        frame, n_left_out = _intervals(rows, model, up_to_event)
        n = rows["patient_id"].n_unique()
        if not frame["is_event"].any():
            note = f"no event in {n} patients: no information on a ratio"
            columns: dict[str, Any] = {**labels, "n_events": 0, "note": note}
            found.append(result(statistic=statistic, unit="ratio", n=n, method=MODELS[model], **columns))
            continue
        frame = known_at_start("recurrent_ratios", frame, covariates, [*terms, *strata])
        made = design("recurrent_ratios", frame, terms, references)
        within = [*strata, *([] if model == "andersen-gill" else ["event_number"])]
        stratum, names = codes(frame, within) if within else (np.zeros(frame.height, np.int64), [""])
        try:
            regression = cox_regression(
                frame["time_day"].to_numpy(),
                frame["is_event"].to_numpy(),
                made.x,
                entry=frame["_entry"].to_numpy(),
                stratum=stratum,
                cluster=codes(frame, ["patient_id"])[0],
                ties=ties,
            )
        except SingularDesign as problem:
            if not has_comparison(frame, within, terms):
                columns = {**labels, "n_events": frame["is_event"].sum(), "note": NO_COMPARISON}
                found.append(result(statistic=statistic, unit="ratio", n=n, method=MODELS[model], **columns))
                continue
            raise SingularDesign(
                problem.column, problem.why, repr(made.columns[problem.column].label)
            ) from None
        fit = CoxFit(
            labels=labels,
            columns=made.columns,
            terms=tuple(terms),
            regression=regression,
            frame=frame,
            x=made.x,
            stratum=stratum,
            strata=tuple(names),
            n=n,
            model=MODELS[model],
        )
        block = hazard_ratio_rows(fit, interval="wald", conf_level=conf_level, statistic=statistic)
        if n_left_out:
            for row in block:
                row["note"] = "; ".join(
                    filter(None, (row.get("note"), f"{n_left_out} later events left out"))
                )
        found += block
    return results_frame(found)


def _intervals(rows: pl.DataFrame, model: str, up_to_event: int | None) -> tuple[pl.DataFrame, int]:
    """Return the intervals in the model's time, and how many events are left out."""
    frame = rows.with_columns(pl.col("stop_day").alias("time_day"))
    n_left_out = 0
    if model != "andersen-gill":
        require_columns("recurrent_ratios", "recurrent", frame, ["event_number"])
        if up_to_event is not None:
            later = frame.filter(pl.col("event_number") > up_to_event)
            n_left_out = int(later["is_event"].sum())
            frame = frame.filter(pl.col("event_number") <= up_to_event)
    if model == "pwp-gap":
        gap = pl.col("stop_day") - pl.col("start_day")
        return frame.with_columns(gap.alias("time_day"), pl.lit(-np.inf).alias("_entry")), n_left_out
    same_day = frame.filter(pl.col("_entry") >= pl.col("time_day"))
    if same_day.height:
        raise TableError(
            f"`recurrent`: {same_day.height} of {frame.height} intervals have no length, the first is row "
            f"{same_day['_row'][0]}: a patient's second event of the same day. Count such events as one."
        )
    return frame, n_left_out
