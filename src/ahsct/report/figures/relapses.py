"""Relapses before and after, patient by patient."""

from __future__ import annotations

import polars as pl

from ahsct.report.figures.drawing import Drawing, axes, canvas, finish, sheet
from ahsct.report.figures.key import Mark, draw_key
from ahsct.report.figures.rows import result_rows, topic
from ahsct.report.figures.sample import evenly, sample_sentence
from ahsct.report.figures.ticks import mark_x, mark_y
from ahsct.report.figures.wording import limits_of, plural, short, wrapped
from ahsct.report.figures.words import write
from ahsct.report.style import BLUE, PALE, SMALL, VERMILION, WIDTH

_LEFT, _RIGHT, _ROW, _MOST = 66.0, 16.0, 13.0, 60
_BEFORE = Mark(word="before", marker="o", color=VERMILION)
_AFTER = Mark(word="after", marker="D", color=BLUE, is_filled=False)


def draw_relapses_before_after(
    patient_values: pl.DataFrame, results: pl.DataFrame | None = None, *, data_kind: str = "observed"
) -> Drawing | None:
    """Draw each patient's relapses a year before and after treatment.

    Parameters
    ----------
    patient_values
        Schema PATIENT_VALUES, topic relapses: `number` relapses in `exposure_years`.
    results
        Schema RESULTS, endpoint relapses: the overall rates with their intervals, printed above.

    Returns
    -------
    Drawing or None
        None when no patient has years before or after. `data`: one row per patient drawn.
    """
    rows = topic(patient_values, "relapses", "relapses").filter(
        (pl.col("exposure_years") > 0) & pl.col("number").is_not_null()
    )
    if rows.is_empty():
        return None
    wide = (
        rows.with_columns((pl.col("number") / pl.col("exposure_years")).alias("rate"))
        .group_by("patient_id", maintain_order=True)
        .agg(
            value.filter(pl.col("period") == period).first().alias(f"{name}_{period}")
            for period in ("before", "after")
            for name, value in (
                ("n", pl.col("number")),
                ("years", pl.col("exposure_years")),
                ("rate", pl.col("rate")),
            )
        )
        .sort("rate_before", "patient_id", descending=[True, False], nulls_last=True)
    )
    shown = evenly(wide, _MOST)
    sentences = [sentence for period in ("before", "after") for sentence in _rates(rows, results, period)]
    lines = [line for sentence in sentences for line in wrapped(sentence, WIDTH - 20, SMALL)]
    top = 12 + 14 * len(lines) + 22
    height = shown.height * _ROW + 4
    with canvas(top + height + 40) as figure:
        area = sheet(figure)
        for i, line in enumerate(lines):
            write(area, 8, 12 + 14 * i, line)
        draw_key(area, (_BEFORE, _AFTER), top=top - 20)
        plot = axes(figure, left=_LEFT, top=top, width=WIDTH - _LEFT - _RIGHT, height=height)
        places = list(range(shown.height))
        both = shown.with_row_index("place").drop_nulls(["rate_before", "rate_after"])
        plot.hlines(
            both["place"].to_list(),
            both["rate_after"].to_list(),
            both["rate_before"].to_list(),
            color=PALE,
            linewidth=3,
        )
        for mark, column in ((_BEFORE, "rate_before"), (_AFTER, "rate_after")):
            known = shown.with_row_index("place").drop_nulls([column])
            plot.scatter(
                known[column].to_list(), known["place"].to_list(), s=26, zorder=3, clip_on=False, **mark.look
            )
        highest = float(
            shown.select(pl.max_horizontal(pl.col("rate_before", "rate_after").max())).item() or 0
        )
        plot.set_ylim(shown.height - 0.4, -0.6)
        mark_y(plot, places, [short(name) for name in shown["patient_id"]], is_ticked=False)
        plot.set_xlim(-0.03 * max(highest, 0.5), max(highest, 0.5) * 1.04)
        mark_x(plot, name="Relapses per year")
        plot.spines["left"].set_visible(False)
        return finish(
            figure,
            title="Relapses a year before and after treatment",
            alt=" ".join(sentences),
            caption="Each patient's relapses over the years observed: before (diagnosis to mobilisation) and after "
            "(infusion to last contact); most frequent first. Patients are chosen for their relapses, so part of any fall "
            "is regression to the mean." + sample_sentence(shown.height, wide.height, "rate before"),
            data=shown,
            data_kind=data_kind,
            is_course=True,
        )


def _rates(rows: pl.DataFrame, results: pl.DataFrame | None, period: str) -> list[str]:
    """Return what RESULTS says of a period; only the counts where it says nothing."""
    found = result_rows(results, "relapses", term=period, statistic="rate") if results is not None else []
    part = rows.filter(pl.col("period") == period)
    if part.is_empty():
        return []
    counts = (
        f"{period.capitalize()}: {plural(int(part['number'].sum()), 'relapse')} in "
        f"{part['exposure_years'].to_numpy().sum():.0f} patient-years"
    )
    if not found:
        return [counts + "."]
    row = found[0]
    level = f"{100 * (row['conf_level'] or 0.95):g} %"
    if row["n_events"] is not None and row["person_years"] is not None:
        counts = f"{period.capitalize()}: {plural(row['n_events'], 'relapse')} in {row['person_years']:.0f} patient-years"
    intervals = "; ".join(
        f"{level} {'one-sided' if one['sided'] in ('upper', 'lower') else 'two-sided'} {limits_of(one, decimals=4 if not row['estimate'] else 2)}"
        for one in found
    )
    return [f"{counts}, {row['estimate']:.2f} a year ({intervals})."]
