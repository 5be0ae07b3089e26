"""Adverse events by term and organ class: who had one, how often, how soon, and how bad at worst."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from ahsct.errors import RequestError, TableError
from ahsct.estimates._groups import of_kinds
from ahsct.estimates.competing import aalen_johansen
from ahsct.estimates.milestones import milestone
from ahsct.estimates.proportions import exact_proportion
from ahsct.estimates.rates import exact_rate
from ahsct.estimates.rows import result, results_frame, stamp
from ahsct.estimates.safety import SEVERITIES
from ahsct.vocabulary import DAYS_PER_YEAR, require_columns

ANY = "any"
NO_CLASS = "organ class not stated"
_SCALES = ("severity", "grade")


def adverse_event_rates(
    adverse_events: pl.DataFrame,
    patients: pl.DataFrame,
    *,
    from_day: int = 0,
    at_years: Sequence[float] = (),
    per_years: float = 100,
    conf_level: float = 0.95,
) -> pl.DataFrame:
    """Return, by arm, organ class and term, who had an event, the rate of first events and their incidence over time.

    Parameters
    ----------
    adverse_events
        `patient_id`, `term` and `start_day`; `soc` (organ class) and `pt` (preferred term, which then replaces
        `term`) where known.
    patients
        Everybody at risk, one row each: `patient_id`, `end_day` (last day at risk) and, where known, `arm` and
        `is_dead` (died on that day).
    from_day
        First day of the time at risk; events before it, after `end_day` or without a day do not count, and the note
        says how many.
    at_years
        Times from `from_day` for the Aalen-Johansen incidence of the first event, death competing (without `is_dead`
        nobody is taken to have died, and the note says so).
    per_years
        Patient-years to which rates refer.
    conf_level
        Two-sided, between 0 and 1.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS, endpoint "adverse_events", `term` "any", an organ class, or "class: term". For each
        "proportion" (Clopper-Pearson; follow-up is unequal), "rate" of first events over the time until then
        (exposure-adjusted, Garwood), and the rows of `milestone` for "cumulative_incidence". Terms seen in one arm
        have rows of zeros in the others. An arm without anybody at risk has one row without an estimate, and a note.

    Raises
    ------
    TableError
        A column is missing, a patient stands twice in `patients` or only in `adverse_events`, a day is missing in
        `patients`, or a term is missing.

    References
    ----------
    Clopper and Pearson (1934), doi:10.1093/biomet/26.4.404. Garwood (1936), doi:10.1093/biomet/28.3-4.437.

    Examples
    --------
    Sepsis in one of three, first on day 10; the three were watched 10 + 100 + 100 days for it, 0.575 years:

    >>> events = pl.DataFrame({"patient_id": ["a", "a", "b"], "term": ["sepsis", "sepsis", "rash"],
    ...                        "soc": ["Infections", "Infections", "Skin"], "start_day": [10, 50, 30]})
    >>> people = pl.DataFrame({"patient_id": ["a", "b", "c"], "end_day": [100, 100, 100]})
    >>> rows = adverse_event_rates(events, people).filter(pl.col("term") == "Infections: sepsis")
    >>> rows.select("statistic", "n_events", pl.col("estimate").round(3), pl.col("person_years").round(3)).rows()
    [('proportion', 1, 0.333, None), ('rate', 1, 173.929, 0.575)]
    """
    people, events, notes = _checked("adverse_event_rates", adverse_events, patients, from_day)
    unknown = "deaths unknown" if at_years and "is_dead" not in patients.columns else None
    frames = []
    for term, own in _terms(events):
        first = own.group_by("patient_id").agg(pl.col("start_day").min().alias("first_day"))
        for arm, group in _arms(people):
            timed = group.join(first, on="patient_id", how="left", maintain_order="left")
            labels = {"endpoint": "adverse_events", "term": term, "arm": arm}
            frames += [
                stamp(rows, **labels)
                for rows in _first_events(
                    timed, from_day, at_years, per_years, conf_level, _joined(notes[arm], unknown)
                )
            ]
    return pl.concat([*frames, _nobody(people, notes, "term")])


def worst_grades(
    adverse_events: pl.DataFrame,
    patients: pl.DataFrame,
    *,
    scale: str = "severity",
    from_day: int = 0,
    conf_level: float = 0.95,
) -> pl.DataFrame:
    """Return, by arm, organ class and term, how many patients had each grade as their worst.

    Parameters
    ----------
    adverse_events
        As for `adverse_event_rates`, and `severity` (words) or `grade` (numbers, of one scale).
    patients, from_day, conf_level
        As for `adverse_event_rates`.
    scale
        "severity" or "grade".

    Returns
    -------
    pl.DataFrame
        Schema RESULTS, statistic "proportion" (Clopper-Pearson): `component` holds the class or term, `term` the worst
        grade: "none", every grade of "severity", or every grade seen, and "not stated" for patients with events of
        unknown grade only. Within an arm and component the counts add up to `n`. The note counts patients who have
        events of unknown grade beside known ones. An arm without anybody at risk has one row without an estimate.

    Raises
    ------
    TableError
        As for `adverse_event_rates`; a severity is unknown; grades of several scales stand together.
    RequestError
        The scale is unknown.

    References
    ----------
    Clopper and Pearson (1934), doi:10.1093/biomet/26.4.404.

    Examples
    --------
    Of three patients one had nothing, one a severe event after a mild one, one a fever without a word on severity:

    >>> events = pl.DataFrame({"patient_id": ["a", "a", "b"], "term": ["fever", "sepsis", "fever"],
    ...                        "start_day": [1, 5, 2], "severity": ["mild", "severe", None]})
    >>> people = pl.DataFrame({"patient_id": ["a", "b", "c"], "end_day": [100, 100, 100]})
    >>> rows = worst_grades(events, people).filter((pl.col("component") == "any") & (pl.col("n_events") > 0))
    >>> rows.select("term", "n_events").rows()
    [('none', 1), ('severe', 1), ('not stated', 1)]
    """
    if scale not in _SCALES:
        raise RequestError(f"scale must be one of {', '.join(_SCALES)}; found {scale!r}.")
    people, events, notes = _checked("worst_grades", adverse_events, patients, from_day)
    require_columns("worst_grades", "adverse_events", adverse_events, (scale,))
    grades = _grades(events, scale)
    known = events.with_columns(
        pl.col(scale).cast(pl.String).replace_strict(grades, range(len(grades)), default=None).alias("_rank")
    )
    frames = []
    for term, own in _terms(known):
        worst = own.group_by("patient_id").agg(
            pl.col("_rank").max().alias("worst"), pl.col("_rank").is_null().any().alias("has_unknown")
        )
        for arm, group in _arms(people):
            timed = group.join(worst, on="patient_id", how="left", maintain_order="left")
            n_unknown = timed.filter(pl.col("worst").is_not_null() & pl.col("has_unknown")).height
            partly = f"{n_unknown} with further events of unknown grade" if n_unknown else None
            had = timed.filter(pl.col("has_unknown").is_not_null())
            counts = {"none": timed.height - had.height}
            counts |= {name: int((had["worst"] == rank).sum()) for rank, name in enumerate(grades)}
            counts["not stated"] = int(had["worst"].null_count())
            labels = {
                "endpoint": "adverse_events",
                "component": term,
                "arm": arm,
                "note": _joined(notes[arm], partly),
            }
            frames += [
                stamp(exact_proportion(count, timed.height, conf_level=conf_level), term=name, **labels)
                for name, count in counts.items()
            ]
    return pl.concat([*frames, _nobody(people, notes, "component")])


def _first_events(
    timed: pl.DataFrame,
    from_day: int,
    at_years: Sequence[float],
    per_years: float,
    conf_level: float,
    note: str | None,
) -> Iterator[pl.DataFrame]:
    """Yield proportion, rate and incidence of the first event of these patients."""
    n, n_events = timed.height, timed["first_day"].len() - timed["first_day"].null_count()
    unequal = _joined(note, "ever, over unequal follow-up")
    yield stamp(exact_proportion(n_events, n, conf_level=conf_level), note=unequal)
    until = timed.select(pl.coalesce("first_day", "end_day") - from_day).to_series().cast(pl.Float64)
    years = float(np.sort(until.to_numpy()).sum()) / DAYS_PER_YEAR
    if years > 0:
        rate = exact_rate(n_events, years, per_years=per_years, conf_level=conf_level, n=n)
        yield stamp(rate, method="Garwood, first events over time until then", note=note)
    else:
        unit = f"per {per_years:g} patient-years"
        nothing = _joined(note, "no time at risk before the first events")
        row: dict[str, Any] = {"n_events": n_events, "person_years": 0.0, "unit_of_analysis": "patient_year"}
        yield results_frame([result(statistic="rate", unit=unit, n=n, method="Garwood", note=nothing, **row)])
    if not at_years:
        return
    has_had = pl.col("first_day").is_not_null()
    curve = aalen_johansen(
        timed.select(
            "patient_id",
            until.alias("time_day"),
            (has_had | pl.col("is_dead")).alias("is_event"),
            pl.when(has_had)
            .then(pl.lit("adverse_event"))
            .when("is_dead")
            .then(pl.lit("death"))
            .alias("cause"),
        ),
        causes=["adverse_event", "death"],
        conf_level=conf_level,
    )
    for years_after in at_years:
        rows = milestone(curve, at_years=years_after).filter(pl.col("term") == "adverse_event")
        yield rows.with_columns(
            pl.concat_str("note", pl.lit(note, dtype=pl.String), separator="; ", ignore_nulls=True)
            .replace("", None)
            .alias("note")
        )


def _nobody(people: pl.DataFrame, notes: dict[str, str | None], label: str) -> pl.DataFrame:
    """Return one row for each arm without anybody at risk, which says why."""
    empty = sorted(set(notes) - set(people["arm"].to_list()))
    rows = [
        result(
            statistic="proportion",
            unit="probability",
            n=0,
            method="Clopper-Pearson",
            note=_joined("nobody at risk", notes[arm]),
            endpoint="adverse_events",
            arm=arm,
            **{label: ANY},
        )
        for arm in empty
    ]
    return results_frame(rows)


def _terms(events: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield all events, those of each organ class, and those of each term within it."""
    yield ANY, events
    for (organ,), own in sorted(events.partition_by("_class", as_dict=True).items()):
        yield str(organ), own
        for (term,), rows in sorted(own.partition_by("_term", as_dict=True).items()):
            yield f"{organ}: {term}", rows


def _arms(people: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    for (arm,), group in sorted(people.partition_by("arm", as_dict=True).items()):
        yield str(arm), group


def _grades(events: pl.DataFrame, scale: str) -> list[str]:
    """Return the grades from mild to worst, or say why they have no order."""
    seen = events[scale].drop_nulls().cast(pl.String).unique().to_list()
    if scale == "severity":
        ranked = [name for name in SEVERITIES if name not in ("none", "not stated")]
        unknown = sorted(set(seen) - set(SEVERITIES))
        if unknown:
            raise TableError(
                f"`adverse_events.severity` must be of {', '.join(ranked)}; found {', '.join(unknown)}."
            )
        return ranked
    if "scale" in events.columns:
        scales = sorted(events.filter(pl.col("grade").is_not_null())["scale"].drop_nulls().unique().to_list())
        if len(scales) > 1:
            raise TableError(
                f"Grades of several scales have no common order: {', '.join(scales)}. Filter one."
            )
    return sorted(seen, key=float)


def _checked(
    function: str, adverse_events: pl.DataFrame, patients: pl.DataFrame, from_day: int
) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, str | None]]:
    """Return the patients at risk, their events in that time, and by arm a note on what does not count."""
    require_columns(function, "adverse_events", adverse_events, ("patient_id", "term", "start_day"))
    require_columns(function, "patients", patients, ("patient_id", "end_day"))
    patients = of_kinds("patients", patients, {"end_day": pl.Int64, "is_dead": pl.Boolean, "arm": pl.String})
    again = patients.filter(~pl.col("patient_id").is_first_distinct() | pl.col("end_day").is_null())
    if again.height:
        raise TableError(
            f"{function} needs each patient once with an `end_day` in `patients`; {again.height} of {patients.height} "
            "rows repeat a patient or have none."
        )
    strangers = adverse_events.join(patients, on="patient_id", how="anti").height
    if strangers:
        raise TableError(
            f"{function}: {strangers} of {adverse_events.height} events belong to nobody in `patients`, who holds "
            "everybody at risk."
        )
    if "arm" not in patients.columns:
        patients = patients.with_columns(arm=pl.lit("all"))
    if "is_dead" not in patients.columns:
        patients = patients.with_columns(is_dead=pl.lit(False))
    everybody = patients.select(
        "patient_id", pl.col("arm").fill_null("arm not stated"), "end_day", pl.col("is_dead").fill_null(False)
    )
    people = everybody.filter(pl.col("end_day") >= from_day)
    name = pl.coalesce(*(column for column in ("pt", "term") if column in adverse_events.columns))
    organ = pl.col("soc").fill_null(NO_CLASS) if "soc" in adverse_events.columns else pl.lit(NO_CLASS)
    events = adverse_events.drop("arm", strict=False).with_columns(name.alias("_term"), organ.alias("_class"))
    if events["_term"].null_count():
        raise TableError(
            f"{function} needs a `term` of each event; {events['_term'].null_count()} rows have none."
        )
    placed = events.join(everybody, on="patient_id", maintain_order="left")
    in_time = ((pl.col("start_day") >= from_day) & (pl.col("start_day") <= pl.col("end_day"))).fill_null(
        False
    )
    notes: dict[str, str | None] = {} if everybody.height else {"all": "`patients` has no row"}
    for arm in sorted(everybody["arm"].unique().to_list()):
        n_gone = everybody.filter(arm=arm).height - people.filter(arm=arm).height
        left = placed.filter((pl.col("arm") == arm) & ~in_time)
        notes[arm] = _joined(
            f"{n_gone} patients not followed to day {from_day} left out" if n_gone else None,
            f"{left.height} events outside the time at risk or undated ({left['start_day'].null_count()}) not counted"
            if left.height
            else None,
        )
    return people, placed.filter(in_time).drop("arm", "end_day", "is_dead"), notes


def _joined(*notes: str | None) -> str | None:
    return "; ".join(note for note in notes if note) or None
