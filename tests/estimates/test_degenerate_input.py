"""Proportions, rates, safety, comparison: the smallest and emptiest input has a defined answer or a clear refusal."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import polars as pl
import pytest

from ahsct import estimates as est
from ahsct.errors import AhsctError

COUNTS = {"one patient": (1, [1]), "no event": (0, [0] * 6), "all events": (6, [1] * 6), "nobody": (0, [])}


def patients(events: list[int], *, day: int) -> pl.DataFrame:
    n = len(events)
    frame = pl.DataFrame(
        {"patient_id": [f"p{i}" for i in range(n)], "is_event": [bool(e) for e in events]},
        schema={"patient_id": pl.String, "is_event": pl.Boolean},
    )
    alternating = [i % 2 == 0 for i in range(n)]
    return frame.with_columns(
        time_day=pl.lit(day),
        end_day=pl.lit(day),
        start_day=pl.lit(0),
        stop_day=pl.lit(day),
        is_censored=pl.Series(alternating, dtype=pl.Boolean) & ~pl.col("is_event"),
        is_treated=pl.Series(alternating, dtype=pl.Boolean),
        is_dead=pl.lit(True),
        censor_reason=pl.lit("censored at dmt_restart"),
        term=pl.lit("sepsis"),
        severity=pl.lit("mild"),
        x=pl.Series([0.5 * (i // 2) for i in range(n)], dtype=pl.Float64),
        number=pl.col("is_event").cast(pl.Int64),
        exposure_years=pl.lit(day / 365.25),
        n_before=pl.lit(1),
        years_before=pl.lit(1.0),
        n_after=pl.col("is_event").cast(pl.Int64) * int(day > 0),
        years_after=pl.lit(day / 365.25),
    )


def calls(x: int, frame: pl.DataFrame) -> Iterator[tuple[str, Callable[[], pl.DataFrame]]]:
    n, years = frame.height, float(frame["exposure_years"].sum())
    for method in ("clopper-pearson", "blaker", "wilson", "jeffreys", "mid-p"):
        yield f"proportion {method}", lambda method=method: est.exact_proportion(x, n, method=method)
    for method in ("miettinen-nurminen", "mee", "newcombe"):
        yield (
            f"difference {method}",
            lambda method=method: est.proportion_difference(x, n, 0, n, method=method),
        )
    yield "ratio", lambda: est.proportion_ratio(x, n, 0, n, with_p_value=True)
    yield "ratio the other way", lambda: est.proportion_ratio(0, n, x, n, with_p_value=True)
    yield "pairs", lambda: est.mcnemar(x, 0, n)
    for method in ("garwood", "mid-p"):
        yield f"rate {method}", lambda method=method: est.exact_rate(x, years, method=method)
        short = "exact" if method == "garwood" else method
        yield f"rate ratio {short}", lambda short=short: est.rate_ratio(x, years, 0, years, method=short)
    yield "negative binomial", lambda: est.negative_binomial_rates(frame)
    yield "negative binomial by group", lambda: est.negative_binomial_rates(frame, covariates=["is_treated"])
    yield "before and after", lambda: est.before_after_rates(frame, with_p_value=True)
    yield "censoring bounds", lambda: est.censoring_bounds(frame, at_years=0.1)
    yield "censoring weights", lambda: est.censoring_weighted_survival(frame, covariates=[])
    yield (
        "adverse events",
        lambda: est.adverse_event_rates(frame.filter("is_event"), frame, at_years=[0.0, 0.1]),
    )
    yield "worst grades", lambda: est.worst_grades(frame.filter("is_event"), frame)
    strata = frame.select(n_events="number", n=pl.lit(1), n_events_reference=pl.lit(0), n_reference=pl.lit(1))
    for measure in ("risk_difference", "risk_ratio", "odds_ratio"):
        yield f"strata {measure}", lambda measure=measure: est.mantel_haenszel(strata, measure=measure)
    for estimand in ("ate", "att", "overlap"):

        def weighted(estimand: str = estimand) -> pl.DataFrame:
            weights = est.propensity_weights(frame, covariates=["x"], estimand=estimand)
            rows = est.weighted_survival_difference(frame, weights, at_years=0.1, with_p_value=True)
            est.milestone(est.weighted_kaplan_meier(frame, weights), at_years=0.1)
            return pl.concat([rows, est.covariate_balance(weights), est.effective_sample_size(weights)])

        yield f"weights {estimand}", weighted

    def matched() -> pl.DataFrame:
        matches = est.match_patients(frame, covariates=["x"])
        return est.weighted_survival_difference(
            frame.join(matches.weights.patients, on="patient_id", how="semi"), matches.weights, at_years=0.1
        )

    yield "matched", matched
    yield "MAIC", lambda: est.effective_sample_size(est.maic_weights(frame, means={"x": 0.4}))


@pytest.mark.parametrize("day", [0, 100])
@pytest.mark.parametrize("name", COUNTS)
def test_there_is_an_answer_a_note_or_a_refusal(name: str, day: int) -> None:
    x, events = COUNTS[name]
    refused: dict[str, str] = {}
    for what, call in calls(x, patients(events, day=day)):
        try:
            found = call()
        except AhsctError as error:
            refused[what] = str(error)
            continue
        for row in found.iter_rows(named=True):
            numbers = [value for value in row.values() if isinstance(value, float)]
            assert not any(math.isnan(number) for number in numbers), (what, row)
            if "estimate" not in row or "note" not in row:
                continue  # a curve
            assert row["estimate"] is not None or row["note"], (what, row)
            if row["lower"] is not None and row["upper"] is not None and row["estimate"] is not None:
                assert row["lower"] - 1e-9 <= row["estimate"] <= row["upper"] + 1e-9, (what, row)
    for what, message in refused.items():
        assert any(word in message for word in (" needs ", " need ", " cannot ", "compares two groups")), (
            what,
            message,
        )
    if name == "no event" and day:  # what every trial needs: an upper limit at zero
        assert not any(
            what.startswith(("proportion", "rate", "difference", "pairs", "adverse")) for what in refused
        )


def test_everybody_alive_is_no_certainty() -> None:
    """Six patients without an event: exact answers keep their width, the weighted ones say that there is no error."""
    frame = patients([0] * 6, day=100)
    assert est.exact_proportion(0, 6)["upper"].item() == pytest.approx(1 - 0.025 ** (1 / 6), rel=1e-12)
    row = est.weighted_survival_difference(
        frame, est.propensity_weights(frame, covariates=[]), at_years=0.1
    ).row(0, named=True)
    assert (row["estimate"], row["lower"], row["upper"]) == (0, None, None)
    assert np.isfinite(row["estimate"])
