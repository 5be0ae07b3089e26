"""One question under many definitions: a table of every answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl

from ahsct.chunks import run_chunks
from ahsct.definitions import INTERCURRENT_EVENTS, Grid, Point, load_grid, published_at
from ahsct.errors import RequestError
from ahsct.estimates import kaplan_meier, milestone
from ahsct.estimates.endpoint_rows import NOT_AN_ESTIMAND
from ahsct.estimates.rows import result, results_frame
from ahsct.outcomes.many import Question, settle_many
from ahsct.outcomes.time_to_event import COMPOSITE
from ahsct.tables import Study, check
from ahsct.vocabulary import DAYS_PER_YEAR

_CURVES_AT_ONCE = 400  # questions, so that their rows do not pile up
_ROWS_AT_ONCE = 200_000


def multiverse(study: Study, grid: str | Path | Grid, *, workers: int = 1) -> pl.DataFrame:
    """Return the milestones of one endpoint under every definition of a grid.

    The definitions are not a sample of anything: nothing here is averaged over them, and no p-value
    follows from how many of them agree.

    Parameters
    ----------
    study
        A study; it is checked here.
    grid
        The id of a shipped grid, a TOML file, or a grid.
    workers
        Processes among which the definitions are shared out. The result does not depend on it.

    Returns
    -------
    pl.DataFrame
        In the order of the grid: `point` (1 = the base), `published` (the shipped definitions that make
        the same choices), one column per dimension with the choice's id, then the columns of RESULTS.
        As `milestone`, each point, arm and milestone has a row with the definition's interval and one
        with the exact interval. Where nobody can be evaluated one row without an estimate says why.

    Raises
    ------
    StudyError
        The study has errors.
    DefinitionError
        The grid, or a definition in it, is not valid.
    RequestError
        Events compete under an estimand of the grid, so that no single curve answers; or `workers` is
        below 1.

    Examples
    --------
    >>> from ahsct import load_example
    >>> found = multiverse(load_example("atkins2016"), "activity_free_survival")
    >>> found["point"].n_unique()
    162
    >>> base = found.filter((pl.col("point") == 1) & pl.col("method").str.starts_with("Kaplan"))
    >>> base.select("death", "n", pl.col("estimate", "lower", "upper").round(3)).row(0)
    ('left_out', 23, 0.696, 0.466, 0.842)
    """
    if workers < 1:
        raise RequestError(f"workers must be 1 or more, not {workers}.")
    grid = load_grid(grid)
    study = check(study)
    n_points = len(grid.combinations)
    # contiguous parts, because neighbours share most
    cuts = [n_points * part // workers for part in range(workers + 1)]
    parts = [(start, stop) for start, stop in pairwise(cuts) if stop > start]
    tables = run_chunks(partial(_part, study, grid, parts), len(parts), workers=workers)
    return pl.concat(tables)


def _part(study: Study, grid: Grid, parts: Sequence[tuple[int, int]], index: int) -> pl.DataFrame:
    """Answer the points of one part of the grid."""
    return answer_points(study, grid, *parts[index])


def answer_points(study: Study, grid: Grid, start: int, stop: int) -> pl.DataFrame:
    """Return the rows of `multiverse` for the points numbered start + 1 … stop, of a study that was checked."""
    points = list(grid.points(start, stop))
    for point in points:
        _require_one_curve(point, grid)
    questions = [Question(point.definition, grid.endpoint, point.estimand) for point in points]
    answers: dict[int, list[dict[str, Any]]] = {}
    waiting: list[tuple[int, pl.DataFrame]] = []
    n_rows = 0
    for place, rows in settle_many(study, questions):
        waiting.append((place, rows))
        n_rows += rows.height
        if len(waiting) >= _CURVES_AT_ONCE or n_rows >= _ROWS_AT_ONCE:
            answers |= _answers(waiting, points, grid)
            waiting, n_rows = [], 0
    answers |= _answers(waiting, points, grid)
    return _table(study, grid, points, answers)


def _require_one_curve(point: Point, grid: Grid) -> None:
    estimand = point.definition.estimand(point.estimand)
    competing = [one for one in INTERCURRENT_EVENTS if estimand.handling(one).handling == "competing"]
    if competing:
        raise RequestError(
            f"grid {grid.id}: under estimand {point.estimand!r} {' and '.join(competing)} compete, so that no single "
            "probability of being free of the event answers. Choose estimands that count or censor them."
        )


def _answers(
    waiting: Sequence[tuple[int, pl.DataFrame]], points: Sequence[Point], grid: Grid
) -> dict[int, list[dict[str, Any]]]:
    """Return the rows of RESULTS of each question: the milestones of one curve per arm."""
    answers: dict[int, list[dict[str, Any]]] = {place: [] for place, _ in waiting}
    families: dict[tuple[str, float], dict[Any, list[tuple[int, dict[str, Any]]]]] = {}
    curves_of: dict[Any, pl.DataFrame] = {}
    for place, rows in waiting:
        definition = points[place].definition
        if rows.is_empty():
            answers[place] += _nobody(rows, "", points[place], grid)
        for arm in rows["arm"].unique(maintain_order=True).sort().to_list():
            asked = rows.filter(pl.col("arm") == arm)
            fit = asked.filter("is_evaluable")
            if fit.is_empty():
                answers[place] += _nobody(asked, arm, points[place], grid)
                continue
            own = {
                name: fit[name][0]
                for name in ("endpoint", "component", "definition", "estimand", "population", "arm")
            }
            own["n_not_evaluable"] = asked.height - fit.height
            # curves that are equal to the last patient are drawn once
            key = tuple(fit[name].to_numpy().tobytes() for name in ("entry_day", "time_day", "is_event"))
            families.setdefault((definition.interval, definition.conf_level), {}).setdefault(key, []).append(
                (place, own)
            )
            curves_of.setdefault(key, fit)
    for (interval, conf_level), by_curve in families.items():
        members = list(by_curve.values())
        times = [
            curves_of[key].select(
                "patient_id",
                "entry_day",
                "time_day",
                "is_event",
                "cause",
                pl.lit(f"{number}").alias("subgroup"),
            )
            for number, key in enumerate(by_curve)
        ]
        curves = kaplan_meier(pl.concat(times), interval=interval, conf_level=conf_level)
        for day in grid.milestones_days:
            for row in milestone(curves, at_years=day / DAYS_PER_YEAR).iter_rows(named=True):
                for place, own in members[int(row["subgroup"])]:
                    answers[place].append({**row, **own, "subgroup": None})
    return answers


def _nobody(asked: pl.DataFrame, arm: str, point: Point, grid: Grid) -> list[dict[str, Any]]:
    """Return the rows that stand for a curve without patients, with the commonest reason."""
    if asked.is_empty():
        population = point.definition.estimand(point.estimand).population
        why = f": no patient of the population ({population}) has a day zero and is counted"
    else:
        reasons = asked["censor_reason"].drop_nulls().value_counts()
        # of equally common reasons the first by name, so that the answer is always the same
        reasons = reasons.sort("count", "censor_reason", descending=[True, False])
        why = f": {reasons[0, 0]}" if reasons.height else ""
    return [
        result(
            statistic="survival_probability",
            unit="probability",
            time_years=day / DAYS_PER_YEAR,
            n=0,
            n_not_evaluable=asked.height,
            arm=arm,
            component=COMPOSITE,
            estimand=point.estimand,
            method="none",
            note=f"nobody can be evaluated{why}",
        )
        for day in grid.milestones_days
    ]


def _table(
    study: Study, grid: Grid, points: Sequence[Point], answers: Mapping[int, list[dict[str, Any]]]
) -> pl.DataFrame:
    published = published_at(points, grid)
    names = [dimension.id for dimension in grid.dimensions]
    labels: dict[str, list[Any]] = {name: [] for name in ("point", "published", *names)}
    rows = []
    for place, point in enumerate(points):
        stamp = {
            "study_id": study.study_id,
            "data_kind": study.data_kind,
            "endpoint": grid.endpoint,
            "definition": point.definition.id,
            "definition_hash": point.definition.hash,
            "population": point.definition.estimand(point.estimand).population,
            "mark": "illustration" if study.data_kind == "reconstructed" else None,
        }
        is_estimand = point.definition.estimand(point.estimand).is_estimand
        for row in sorted(answers[place], key=lambda row: (row["arm"], row["time_years"])):
            warning = None if is_estimand else NOT_AN_ESTIMAND
            notes = "; ".join(filter(None, [row["note"], warning]))
            rows.append({**row, **stamp, "note": notes or None})
            labels["point"].append(point.number)
            labels["published"].append("; ".join(published.get(point.number, [])) or None)
            for name in names:
                labels[name].append(point.choices[name])
    schema: dict[str, Any] = {
        "point": pl.Int64(),
        "published": pl.String(),
        **dict.fromkeys(names, pl.String()),
    }
    return pl.concat([pl.DataFrame(labels, schema=schema), results_frame(rows)], how="horizontal")
