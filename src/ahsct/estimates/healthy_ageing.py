"""Late slopes of brain volume of single patients beside healthy ageing at their ages.

Norms are never extrapolated: a patient outside the published ages is counted, not compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from ahsct.definitions import BrainVolumeRule, healthy_at, healthy_limit, load_norm
from ahsct.estimates.brain_volume import scan_table
from ahsct.estimates.proportions import exact_proportion
from ahsct.estimates.rows import result, results_frame, stamp

_MIN_LATE_SCANS = 3  # a line through fewer scans has no error of its own


def longest_followed_beside_norms(
    patient_values: pl.DataFrame, *, rule: BrainVolumeRule, conf_level: float = 0.95
) -> pl.DataFrame:
    """Set the late slopes of the longest followed patients beside healthy ageing at their ages.

    A patient is inside the healthy band when the slope lies within the norm's mean +- 1.96 SD or,
    where a percentile was published instead, loses no more than its 95th percentile. A patient
    outside the published ages, of unknown age or without a slope is not comparable, and counted.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS, two rows per norm, both with `term` = its id: `proportion` (inside of
        comparable, exact interval; missing where the norm has no spread) and `mean_difference`
        (slopes minus the norm's mean, t interval; the norm's own error is not in it).
    """
    if rule.longest_followed_n is None or not rule.norms:
        return results_frame([])
    slopes = late_slopes(patient_values, break_years=rule.break_years)
    if slopes.is_empty():
        return results_frame([])
    chosen = slopes.head(rule.longest_followed_n)
    return pl.concat([_beside_norm(chosen, slopes.height, id, conf_level) for id in rule.norms])


def late_slopes(patient_values: pl.DataFrame, *, break_years: float) -> pl.DataFrame:
    """Return each patient's own least-squares slope from the break on.

    Parameters
    ----------
    patient_values
        Rows of topic `brain_volume`, and `baseline` / `age_years` for the age.

    Returns
    -------
    pl.DataFrame
        One row per patient with scans, the longest followed by scans first: `patient_id`,
        `last_years`, `n_late_scans`, `slope_pct_per_year` and `age_years` in the middle of the late
        scans. With fewer than three scans from the break on there is no slope; without a known age
        no age.

    Examples
    --------
    >>> values = pl.DataFrame({
    ...     "patient_id": ["a"] * 4, "topic": "brain_volume", "term": "pct_change",
    ...     "day": [0, 1096, 1461, 1826], "number": [0.0, -3.0, -3.2, -3.4],
    ... })
    >>> late_slopes(values, break_years=2.5)["slope_pct_per_year"].round(3).to_list()
    [-0.2]
    """
    scans = scan_table(patient_values)
    ages = {
        row["patient_id"]: row["number"]
        for row in patient_values.filter(
            (pl.col("topic") == "baseline") & (pl.col("term") == "age_years") & pl.col("number").is_not_null()
        ).iter_rows(named=True)
    }
    rows = []
    for (patient,), own in scans.group_by("patient_id", maintain_order=True):
        t, y = own["years"].to_numpy(), own["number"].to_numpy()
        late = t >= break_years
        n_late = int(late.sum())
        has_slope = n_late >= _MIN_LATE_SCANS and np.ptp(t[late]) > 0
        centred = t[late] - t[late].mean() if n_late else t[late]
        rows.append(
            {
                "patient_id": patient,
                "last_years": float(t.max()),
                "n_late_scans": n_late,
                "slope_pct_per_year": float(centred @ y[late] / (centred @ centred)) if has_slope else None,
                "age_years": ages[patient] + float(t[late].mean()) if has_slope and patient in ages else None,
            }
        )
    schema = {
        "patient_id": pl.String(),
        "last_years": pl.Float64(),
        "n_late_scans": pl.Int64(),
        "slope_pct_per_year": pl.Float64(),
        "age_years": pl.Float64(),
    }
    return pl.DataFrame(rows, schema=schema).sort(["last_years", "patient_id"], descending=[True, False])


def _beside_norm(chosen: pl.DataFrame, n_scanned: int, id: str, conf_level: float) -> pl.DataFrame:
    norm = load_norm(id)
    n_inside, differences, has_spread = 0, [], False
    for row in chosen.iter_rows(named=True):
        slope, age = row["slope_pct_per_year"], row["age_years"]
        healthy = None if slope is None or age is None else healthy_at(norm, age)
        if healthy is None or healthy["mean"] is None:
            continue
        differences.append(slope - healthy["mean"])
        if (limit := healthy_limit(healthy)) is not None:
            has_spread = True
            is_above = healthy["sd"] is not None and slope > 2 * healthy["mean"] - limit
            n_inside += slope >= limit and not is_above
    n = len(differences)
    n_left = chosen.height - n
    common = {
        "endpoint": "brain_volume",
        "term": id,
        "population": "longest followed",
        "n_not_evaluable": n_left,
    }
    about = (
        f"the {chosen.height} longest followed of {n_scanned} with brain scans, chosen by length of follow-up, "
        f"so not a random part of them; {n_left} not comparable (age outside the published ages or unknown, or "
        f"fewer than {_MIN_LATE_SCANS} scans from the break on); norm: {norm['source'][0]}"
    )
    if n and has_spread:
        inside = stamp(exact_proportion(int(n_inside), n, conf_level=conf_level), note=about, **common)
    else:
        why = "nobody is comparable" if not n else "the norm has a mean but no published spread"
        inside = results_frame(
            [
                result(
                    statistic="proportion",
                    unit="probability",
                    n=n,
                    method="none",
                    note=f"{why}; {about}",
                    **common,
                )
            ]
        )
    difference = _mean_row(differences, conf_level)
    return pl.concat([inside, results_frame([{**difference, **common, "note": about}])])


def _mean_row(values: Sequence[float], conf_level: float) -> dict[str, Any]:
    """One-sample t interval; with one value no interval, with none no estimate."""
    from scipy.special import stdtrit

    n = len(values)
    row = result(
        statistic="mean_difference",
        unit="percent per year",
        n=n,
        method="one-sample t; the norm taken as known" if n > 1 else "none",
        estimate=float(np.mean(np.sort(values))) if n else None,
    )
    if n > 1:
        std_error = float(np.std(np.sort(values), ddof=1) / np.sqrt(n))
        half = float(stdtrit(n - 1, (1 + conf_level) / 2)) * std_error
        row |= {
            "std_error": std_error,
            "lower": row["estimate"] - half,
            "upper": row["estimate"] + half,
            "conf_level": conf_level,
            "df": float(n - 1),
        }
    return row
