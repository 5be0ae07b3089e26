"""Brain volume: each patient's change, the fitted line, and the norms of healthy ageing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl

from ahsct.report.figures.drawing import Drawing, axes, canvas, finish, sheet
from ahsct.report.figures.rows import largest, result_rows, smallest, topic
from ahsct.report.figures.sample import evenly, sample_sentence
from ahsct.report.figures.ticks import mark_x, mark_y
from ahsct.report.figures.time_axis import TIME_ZERO, breaks
from ahsct.report.figures.wording import NO_BREAK, limits_of, plural, spoken, wrapped
from ahsct.report.figures.words import write
from ahsct.report.style import BLUE, GREY, PALE, SMALL, SOFT, WIDTH
from ahsct.vocabulary import DAYS_PER_YEAR

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class _Band(NamedTuple):
    low: float
    high: float
    words: str


_NORMS = {
    "healthy_siena_2018": "Healthy, SIENA, 2018",
    "healthy_cross_sectional_2017": "Healthy, cross-sectional, 2017",
    "de_stefano_2016": "De Stefano, 2016",
}
_LEFT, _RIGHT, _PLOT, _MOST = 50.0, 14.0, 210.0, 60


def draw_brain_volume(
    patient_values: pl.DataFrame,
    results: pl.DataFrame | None = None,
    *,
    norms: Mapping[str, pl.DataFrame] | None = None,
    break_years: float = 2.5,
    time_zero: str = "infusion",
    data_kind: str = "observed",
) -> Drawing | None:
    """Draw each patient's brain volume, the fitted line, and beneath it the late slope beside age norms.

    Parameters
    ----------
    patient_values
        Schema PATIENT_VALUES, topic brain_volume: percent since the baseline scan; and the ages
        (topic baseline, term age_years), within which alone a norm is drawn.
    results
        Schema RESULTS, endpoint brain_volume: `early_change` and `late_slope` of the component
        named after `break_years`, with slopes of the patients' own, give the line and its interval.
    norms
        Norms by id, with `age_years` and `mean_pct_per_year` (losses are negative), as `load_norm`
        returns them.
    break_years
        Break of the drawn line [years].

    Returns
    -------
    Drawing or None
        None when no patient has a brain volume.
    """
    scans = topic(patient_values, "brain_volume", "pct_change").filter(
        pl.col("day").is_not_null() & pl.col("number").is_not_null()
    )
    if scans.is_empty():
        return None
    scans = scans.with_columns((pl.col("day") / DAYS_PER_YEAR).alias("years")).sort("patient_id", "years")
    patients = scans.select("patient_id").unique().sort("patient_id")
    shown = evenly(patients, _MOST)
    drawn = scans.join(shown, on="patient_id", how="semi", maintain_order="left")
    fit = _fit(results, break_years)
    bands = _bands(norms or {}, _ages(patient_values, drawn))
    end = max(largest(drawn["years"]), 0.25)
    start = min(smallest(drawn["years"]), 0.0)
    sentences = [
        f"{plural(scans.height, 'scan')} of {plural(patients.height, 'patient')}.",
        *fit.get("words", []),
    ]
    lines = [line for sentence in sentences for line in wrapped(sentence, WIDTH - 20, SMALL)]
    top = 12 + 14 * len(lines) + 4
    n_rows = len(bands) + 1 if bands and fit else 0
    with canvas(top + _PLOT + 42 + (n_rows * 30 + 50 if n_rows else 0)) as figure:
        area = sheet(figure)
        for i, line in enumerate(lines):
            write(area, 8, 12 + 14 * i, line)
        plot = axes(figure, left=_LEFT, top=top, width=WIDTH - _LEFT - _RIGHT, height=_PLOT)
        _courses(plot, drawn)
        if fit:
            _fitted(plot, fit, break_years, end)
        plot.set_xlim(start * 1.02, end * 1.02)
        at = breaks(end, room=WIDTH - _LEFT - _RIGHT)
        mark_x(plot, at, name=f"Years from {TIME_ZERO[time_zero]}")
        mark_y(plot, name="Brain volume, change in %")
        if n_rows:
            _norms(figure, fit["late"], bands, top=top + _PLOT + 58)
        return finish(
            figure,
            title=f"Brain volume from {TIME_ZERO[time_zero]}",
            alt=" ".join(sentences)
            + "".join(
                f" Norm {_norm_name(name)} ({band.words}): {band.low:.2f} to {band.high:.2f} % a year.".replace(
                    " -", " −"
                )
                for name, band in bands.items()
            ),
            caption="Grey: each patient's change since the baseline scan; blue: fitted line"
            + (
                f" with a break at {break_years:g} years, and the interval of its late slope"
                if fit
                else " not available"
            )
            + (
                ". Below: the late slope with its interval beside the mean loss of healthy people at the patients' ages, "
                "within the ages each norm covers"
                if n_rows
                else ""
            )
            + "."
            + sample_sentence(shown.height, patients.height, "their number"),
            data=drawn.select("patient_id", "years", pct_change="number"),
            data_kind=data_kind,
            is_course=True,
        )


def _fit(results: pl.DataFrame | None, break_years: float) -> dict[str, Any]:
    """Return the two rows of the fitted line and what they say; empty when either is missing."""
    if results is None:
        return {}
    component = f"break {break_years:g} y, own slopes"
    early = result_rows(results, "brain_volume", component=component, term="early_change")
    late = result_rows(results, "brain_volume", component=component, term="late_slope")
    if not early or not late or early[0]["estimate"] is None or late[0]["estimate"] is None:
        return {}
    words = [
        f"Change by year {break_years:g}: {_signed(early[0])}{NO_BREAK}% ({_limits(early[0])}).",
        f"Then {_signed(late[0])}{NO_BREAK}% a year ({_limits(late[0])}).",
    ]
    return {"early": early[0], "late": late[0], "words": words}


def _signed(row: Mapping[str, Any]) -> str:
    return f"{row['estimate']:.2f}".replace("-", "−")


def _limits(row: Mapping[str, Any]) -> str:
    return limits_of(row).replace("-", "−")


def _norm_name(name: str) -> str:
    return _NORMS.get(name, spoken(name))


def _ages(patient_values: pl.DataFrame, drawn: pl.DataFrame) -> tuple[float, float] | None:
    ages = topic(patient_values, "baseline", "age_years").filter(pl.col("number").is_not_null())
    ages = ages.join(drawn.select("patient_id").unique(), on="patient_id", how="semi")
    if ages.is_empty():
        return None
    youngest = float(ages["number"].to_numpy().min())
    return youngest, largest(ages["number"]) + largest(drawn["years"])


def _bands(norms: Mapping[str, pl.DataFrame], ages: tuple[float, float] | None) -> dict[str, _Band]:
    """Return the mean of each norm at the patients' ages, as far as the norm reaches."""
    found = {}
    for name, norm in norms.items():
        every = norm.filter(pl.col("age_years").is_null())
        if every.height:
            mean = float(every["mean_pct_per_year"][0])
            found[name] = _Band(low=mean, high=mean, words="one value for all ages")
            continue
        norm = norm.sort("age_years")
        age, loss = (norm[column].to_numpy().astype(float) for column in ("age_years", "mean_pct_per_year"))
        if ages is None or not age.size or ages[1] < age[0] or ages[0] > age[-1]:
            continue
        ends = np.clip(ages, age[0], age[-1])
        means = np.interp([*ends, *age[(age > ends[0]) & (age < ends[1])]], age, loss)
        found[name] = _Band(
            low=float(means.min()), high=float(means.max()), words=f"ages {ends[0]:.0f}–{ends[1]:.0f}"
        )
    return found


def _courses(plot: Axes, drawn: pl.DataFrame) -> None:
    from matplotlib.collections import LineCollection

    courses = [
        rows.select("years", "number").to_numpy()
        for _, rows in drawn.group_by("patient_id", maintain_order=True)
    ]
    plot.add_collection(LineCollection(courses, colors=GREY, linewidths=0.8, alpha=0.8))
    plot.scatter(drawn["years"].to_list(), drawn["number"].to_list(), s=5, color=GREY, linewidths=0)
    plot.axhline(0, color=PALE, linewidth=0.8, zorder=0)


def _fitted(plot: Axes, fit: dict[str, Any], break_years: float, end: float) -> None:
    drop, slope = fit["early"]["estimate"], fit["late"]["estimate"]
    end = max(end, break_years)
    plot.plot([0, break_years, end], [0, drop, drop + slope * (end - break_years)], color=BLUE, linewidth=2.4)
    lower, upper = fit["late"]["lower"], fit["late"]["upper"]
    if lower is not None and upper is not None:
        low, high = ([drop, drop + limit * (end - break_years)] for limit in (lower, upper))
        plot.fill_between([break_years, end], low, high, color=BLUE, alpha=0.18, linewidth=0)


def _norms(figure: Any, late: dict[str, Any], bands: dict[str, _Band], *, top: float) -> None:
    plot = axes(figure, left=_LEFT, top=top, width=WIDTH - _LEFT - _RIGHT, height=30.0 * (len(bands) + 1))
    lower, upper = (late["estimate"] if late[end] is None else late[end] for end in ("lower", "upper"))
    plot.plot([lower, upper], [0.2, 0.2], color=BLUE, linewidth=2)
    plot.plot(late["estimate"], 0.2, marker="o", color=BLUE, markersize=6)
    ends = [lower, upper, 0.0]
    words = [f"these patients: {_signed(late)} ({_limits(late)})"]
    for i, (name, band) in enumerate(bands.items(), start=1):
        plot.plot([band.low, band.high], [i + 0.2] * 2, color=SOFT, linewidth=6, solid_capstyle="butt")
        plot.plot(
            [band.low, band.high], [i + 0.2] * 2, marker="|", color=SOFT, linestyle="none", markersize=9
        )
        ends += [band.low, band.high]
        words.append(f"{_norm_name(name)}, {band.words}")
    spread = max(ends) - min(ends)
    for i, word in enumerate(words):
        write(plot, min(ends) - 0.05 * spread, i - 0.24, word)
    plot.set_xlim(min(ends) - 0.05 * spread, max(ends) + 0.05 * spread)
    plot.set_ylim(len(bands) + 0.55, -0.55)
    plot.axvline(0, color=PALE, linewidth=0.8, zorder=0)
    plot.spines["left"].set_visible(False)
    mark_x(plot, name="% a year")
