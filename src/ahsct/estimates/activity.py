"""Relapses, lesions and disability, before and after: counts, rates and proportions."""

from __future__ import annotations

import math

import polars as pl

from ahsct.estimates.arms import Arm, add_note, number_sum, of
from ahsct.estimates.rates import exact_rate, rate_ratio
from ahsct.estimates.regression_to_the_mean import regression_to_the_mean
from ahsct.estimates.rows import results_frame, stamp
from ahsct.estimates.without_treatment import simulate_without_treatment
from ahsct.vocabulary import DAYS_PER_YEAR

_SELECTION_YEARS = 2.0  # trials let patients in for relapses in the last one or two years
_N_SIMULATIONS, _MOST_DRAWS = 2000, 20_000_000  # fewer studies of a registry, whose ratios hardly differ
_PREVALENCE_YEARS = (0.5, 1.0)  # then every whole year


def relapse_rows(arm: Arm) -> list[pl.DataFrame]:
    """Return counts and rates before and after, their ratio, and the size of regression to the mean, also simulated."""
    periods = {period: _relapses(arm, period) for period in ("before", "after")}
    rows = [row for period in periods for row in _rates(arm, period, periods[period])]
    before, after = periods["before"], periods["after"]
    if before.is_empty() or after.is_empty():
        return rows
    ratio = rate_ratio(
        *_count_and_years(after),
        *_count_and_years(before),
        conf_level=arm.definition.conf_level,
        n=len(set(before["patient_id"]) | set(after["patient_id"])),
    )
    labels = {"endpoint": "relapses", "term": "after / before"}
    note = "the same patients before and after, no control: regression to the mean is not taken out"
    rows.append(add_note(stamp(ratio, population=arm.population, arm=arm.name, **labels), note))
    selection = _selection(arm, before)
    expected = [_expected_ratio(arm, *selection), _simulated_ratio(arm, after, *selection)]
    return [*rows, *(stamp(row, population=arm.population, arm=arm.name) for row in expected)]


def _relapses(arm: Arm, period: str) -> pl.DataFrame:
    return arm.topic("relapses", "relapses", period).filter(
        pl.col("number").is_not_null() & (pl.col("exposure_years") > 0).fill_null(False)
    )


def _count_and_years(relapses: pl.DataFrame) -> tuple[int, float]:
    return round(number_sum(relapses["number"])), number_sum(relapses["exposure_years"])


def _rates(arm: Arm, period: str, relapses: pl.DataFrame) -> list[pl.DataFrame]:
    if relapses.is_empty():
        return []
    count, years = _count_and_years(relapses)
    n, n_left = relapses.height, len(arm.patients) - relapses.height
    labels = {
        "endpoint": "relapses",
        "term": period,
        "population": arm.population,
        "arm": arm.name,
        "n_not_evaluable": n_left,
    }
    counted = arm.row(
        statistic="count",
        unit="relapses",
        unit_of_analysis="patient_year",
        n=n,
        estimate=count,
        n_events=count,
        person_years=years,
        **labels,
    )
    sides = ("two", "upper") if count == 0 else ("two",)
    rates = [
        exact_rate(count, years, sided=side, conf_level=arm.definition.conf_level, n=n) for side in sides
    ]
    return [results_frame([counted]), *(stamp(rate, **labels) for rate in rates)]


def _selection(arm: Arm, before: pl.DataFrame) -> tuple[pl.DataFrame, bool]:
    """Add the relapses by which patients were let in: of the last two years where they are dated, else of all."""
    window = before.join(_last_years(arm), on="patient_id", how="left", maintain_order="left").with_columns(
        pl.col("n_window").fill_null(0)
    )
    return window, bool(arm.study.has("relapses") and (window["n_window"] <= window["number"]).all())


def _expected_ratio(arm: Arm, before: pl.DataFrame, is_dated: bool) -> pl.DataFrame:
    return regression_to_the_mean(
        before["number"],
        before["exposure_years"],
        n_window=before["n_window"] if is_dated else None,
        window_years=_SELECTION_YEARS if is_dated else None,
        conf_level=arm.definition.conf_level,
    )


def _simulated_ratio(arm: Arm, after: pl.DataFrame, before: pl.DataFrame, is_dated: bool) -> pl.DataFrame:
    counts = before.select(
        "patient_id", "n_window", n_before="number", years_before="exposure_years"
    ).join(
        after.select("patient_id", n_after="number", years_after="exposure_years"),
        on="patient_id",
        how="inner",
        maintain_order="left",
    )  # fmt: skip
    rows = simulate_without_treatment(
        counts,
        n_window="n_window" if is_dated else None,
        window_years=_SELECTION_YEARS if is_dated else None,
        n_simulations=max(100, min(_N_SIMULATIONS, _MOST_DRAWS // max(counts.height, 1))),
        conf_level=arm.definition.conf_level,
    )
    one_sided = len(set(before["patient_id"]) ^ set(after["patient_id"]))
    return stamp(rows, endpoint="relapses", n_not_evaluable=one_sided)


def _last_years(arm: Arm) -> pl.DataFrame:
    """Relapses of each patient in the two years before mobilisation (before infusion where that is missing)."""
    starts = (
        arm.study.table("transplants", ["patient_id", "mobilisation_start_day", "infusion_day"])
        .select("patient_id", pl.coalesce("mobilisation_start_day", "infusion_day").alias("start_day"))
        .group_by("patient_id")
        .min()
    )
    onsets = arm.study.table("relapses", ["patient_id", "onset_day"])
    days_before = pl.col("start_day") - pl.col("onset_day")
    return (
        onsets.join(starts, on="patient_id", how="inner")
        .filter((days_before > 0) & (days_before <= _SELECTION_YEARS * DAYS_PER_YEAR))  # undated: not counted
        .group_by("patient_id")
        .agg(pl.len().cast(pl.Float64).alias("n_window"))
    )


def mri_rows(arm: Arm) -> list[pl.DataFrame]:
    """Return lesions before, and active scans after: per scan, and per patient."""
    rows = _lesions_before(arm)
    for period in ("after", "after_all"):
        scans = arm.topic("mri", "scans", period).filter(pl.col("number") > 0)
        if scans.is_empty():
            continue
        n_scans = round(number_sum(scans["number"]))
        active = arm.topic("mri", "active_scans", period)
        rows.append(
            arm.proportion(
                round(number_sum(active["number"])),
                n_scans,
                endpoint="mri",
                term=period,
                unit_of_analysis="scan",
                method="Clopper-Pearson, scans treated as independent",
                note=f"scans of {scans['patient_id'].n_unique()} patients",
            )
        )
        lesions = round(number_sum(arm.topic("mri", "new_lesions", period)["number"]))
        rows.append(_lesion_count(arm, period, lesions, n_scans))
        watched = of(scans, arm.survivors)["patient_id"].n_unique()
        rows.append(
            arm.proportion(
                of(active, arm.survivors).filter(pl.col("number") > 0)["patient_id"].n_unique(),
                watched,
                endpoint="mri",
                term=period,
                population="survivors",
                n_not_evaluable=len(arm.survivors) - watched,
            )
        )
    return rows


def _lesions_before(arm: Arm) -> list[pl.DataFrame]:
    scans = arm.topic("mri", "scans", "before").filter(pl.col("number") > 0)
    n_scans = round(number_sum(scans["number"]))
    if n_scans == 0:
        return []
    lesions = round(number_sum(arm.topic("mri", "gd_lesions", "before")["number"]))
    rate = exact_rate(lesions, n_scans, conf_level=arm.definition.conf_level, n=n_scans)
    rate = stamp(
        rate,
        endpoint="mri",
        term="before",
        population=arm.population,
        arm=arm.name,
        unit="per scan",
        unit_of_analysis="scan",
        person_years=None,
        method="Garwood, scans treated as independent",
        note=f"gadolinium lesions; scans of {scans['patient_id'].n_unique()} patients",
    )
    return [_lesion_count(arm, "before", lesions, n_scans), rate]


def _lesion_count(arm: Arm, period: str, lesions: int, n_scans: int) -> pl.DataFrame:
    row = arm.row(
        endpoint="mri",
        term=period,
        statistic="count",
        unit="lesions",
        unit_of_analysis="scan",
        n=n_scans,
        estimate=lesions,
        n_events=lesions,
    )
    return results_frame([row])


def disability_rows(arm: Arm) -> list[pl.DataFrame]:
    """Return who worsened among the survivors, and the label of each one's first worsening."""
    rows = []
    for rule in arm.definition.disability:
        term = f"{rule.measure}_worsening"
        watched = set(arm.survivors) & _evaluable(arm, term, rule.column)
        first = (
            of(arm.events, watched)
            .filter(
                (pl.col("kind") == "disability")
                & (pl.col("measure") == rule.measure)
                & (pl.col("direction") == "worsening")
            )
            .sort("patient_id", "day", "event_id")
            .unique("patient_id", keep="first", maintain_order=True)
        )
        common = {
            "endpoint": "disability",
            "population": "survivors",
            "n_not_evaluable": len(arm.survivors) - len(watched),
        }
        rows.append(
            arm.proportion(
                first.height, len(watched), term=term, note="ever, over unequal follow-up", **common
            )
        )
        if not watched:
            continue
        labelled = first.filter(pl.col("label").is_not_null())
        imaged = first.filter((pl.col("mri_activity") != "not_assessed").fill_null(False))
        kinds = (
            ("PIRA", "relapses", labelled, pl.col("label") == "PIRA"),
            ("RAW", "relapses", labelled, pl.col("label") == "RAW"),
            ("without MRI activity", "mri", imaged, pl.col("mri_activity") == "none"),
        )
        for kind, table, known, is_kind in kinds:
            if known.is_empty() and (first.height or table not in arm.study.tables):
                continue  # nothing is known of it, which is no zero
            count = known.filter(is_kind).height
            n_unknown = first.height - known.height
            unknown = f"; unknown in {n_unknown} of them" if n_unknown else ""
            row = arm.row(
                term=f"{term}: {kind}",
                statistic="count",
                unit="patients",
                n=len(watched),
                estimate=count,
                n_events=count,
                note=f"of {first.height} who worsened, by the first event{unknown}",
                **common,
            )
            rows.append(results_frame([row]))
    return rows


def _evaluable(arm: Arm, component: str, measure: str) -> set[str]:
    """Patients whose component was followed in an endpoint; without one, those with the measure at a visit."""
    followed = arm.time_to_event.filter(pl.col("component") == component)
    if followed.height:
        return set(followed.filter("is_evaluable")["patient_id"].to_list())
    visits = arm.study.table("visits")
    return set(visits.drop_nulls(measure)["patient_id"].to_list()) if measure in visits.columns else set()


def sustained_change_rows(arm: Arm) -> list[pl.DataFrame]:
    """Return who has the sustained change, among survivors and among all."""
    rule = arm.definition.sustained_change
    if rule is None:
        return []
    term = f"{rule.measure}_{rule.direction}"
    known = arm.topic("sustained_change", term).filter(pl.col("value").is_in(["yes", "no"]))
    rows = []
    for population, patients in (("survivors", arm.survivors), (arm.population, arm.patients)):
        counted = of(known, patients)
        rows.append(
            arm.proportion(
                counted.filter(pl.col("value") == "yes").height,
                counted.height,
                endpoint="sustained_change",
                term=term,
                population=population,
                n_not_evaluable=len(patients) - counted.height,
                note="crude proportion: follow-up is unequal",
            )
        )
    return rows


def improved_and_alive_rows(arm: Arm) -> list[pl.DataFrame]:
    """Return the prevalence of "improved and alive" over time, as long as anybody alive is followed.

    At a time t count those alive whose last visit up to t shows the improvement, of all who are still
    followed at t or died before it. Somebody followed without any visit up to t is not evaluable then.
    """
    states = arm.topic("edss_state", "improved").drop_nulls(["day", "number"])
    contacts = arm.topic("follow_up", "last_contact").drop_nulls(["day", "value"])
    if states.is_empty() or contacts.is_empty():
        return []
    rows = []
    longest = contacts["day"].max()
    years = [*_PREVALENCE_YEARS, *range(2, 1 + math.floor(float(str(longest)) / DAYS_PER_YEAR))]
    for at_years in years:
        day = at_years * DAYS_PER_YEAR
        is_dead = (pl.col("value") == "dead") & (pl.col("day") <= day)
        dead = contacts.filter(is_dead)["patient_id"].to_list()
        followed = set(contacts.filter(~is_dead & (pl.col("day") >= day))["patient_id"].to_list())
        if not followed:
            break
        last = (
            of(states.filter(pl.col("day") <= day), followed)
            .sort("patient_id", "day")
            .unique("patient_id", keep="last", maintain_order=True)
        )
        n = last.height + len(dead)
        rows.append(
            arm.proportion(
                last.filter(pl.col("number") == 1).height,
                n,
                endpoint="improved_and_alive",
                statistic="prevalence",
                time_years=float(at_years),
                n_not_evaluable=len(arm.patients) - n,
                note=(
                    "alive and improved at the last visit up to then, of those still followed then "
                    f"({last.height}) or dead ({len(dead)})"
                ),
            )
        )
    return rows
