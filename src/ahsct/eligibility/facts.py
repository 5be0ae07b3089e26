"""What the rules ask of each patient, from a study's tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import polars as pl

from ahsct.definitions.eligibility import RuleSet
from ahsct.definitions.facts import FACTS, fact_of
from ahsct.eligibility.drug_courses import Courses, drug_courses
from ahsct.eligibility.told import DTYPES
from ahsct.errors import RequestError
from ahsct.tables import Study
from ahsct.vocabulary import DAYS_PER_YEAR

DAYS_PER_MONTH = DAYS_PER_YEAR / 12
At = Literal["index", "treatment_decision", "randomisation", "mobilisation_start"]
_LESIONS = ("gd_n", "new_t2_n", "enlarging_t2_n")
_RECENT_DAYS = 365  # an examination before that says nothing of the day


def facts_needed(rule_sets: Iterable[RuleSet]) -> list[str]:
    """Return the columns of facts that the rules ask for, in order of appearance."""
    return list(
        dict.fromkeys(
            condition.key
            for rules in rule_sets
            for rule in rules.rules
            for case in (*rule.applies_when, *rule.cases)
            for condition in case
        )
    )


def derive_facts(study: Study, rules: RuleSet, *, at: At = "mobilisation_start") -> pl.DataFrame:
    """Return what one rule set asks of each patient, as known on the day before a date.

    Parameters
    ----------
    study
        A checked study.
    rules
        The rule set: it brings its own windows, its class of high-efficacy drugs and what failure means.
    at
        The patient's day: `index` (day 0), `treatment_decision`, `randomisation` or `mobilisation_start`
        (where a patient has none, day 0). Only what happened before it is looked at.

    Returns
    -------
    pl.DataFrame
        `patient_id` and one column per fact (windowed ones named `relapses_n_12m`); missing = unknown.
        Where the study lacks a table, or a patient's event has no day, the count is unknown, never 0; a
        fact that no table can hold (`accepts_risk`) is unknown.
    """
    if study.table("patients").is_empty():
        raise RequestError(f"{study.study_id} has no patient; eligibility needs at least one.")
    context = _Context(study, rules, at)
    columns = [context.fact(key).alias(key) for key in facts_needed([rules])]
    return context.people.select("patient_id").with_columns(columns)


class _Context:
    """The tables of a study beside each patient's day; every method returns a column in order of patients."""

    def __init__(self, study: Study, rules: RuleSet, at: At) -> None:
        if at not in ("index", "treatment_decision", "randomisation", "mobilisation_start"):
            raise RequestError(
                f"`at` must be index, treatment_decision, randomisation or mobilisation_start, not {at!r}."
            )
        patients = study.table("patients").unique("patient_id", keep="first", maintain_order=True)
        wanted = study.table(
            "patients",
            ["patient_id", "ms_course", "birth_day", "age_at_index_years", "disease_onset_day", "diagnosis_day",
             "n_relapses_12m", "n_relapses_24m", "edss_at_index", "prior_dmt_n",
             "treatment_decision_day", "randomisation_day"],
        ).unique("patient_id", keep="first", maintain_order=True)  # fmt: skip
        mobilised = study.table("transplants", ["patient_id", "mobilisation_start_day"])
        first = mobilised.group_by("patient_id", maintain_order=True).agg(
            pl.col("mobilisation_start_day").min()
        )
        day = pl.lit(0) if at == "index" else pl.coalesce(f"{at}_day", pl.lit(0))
        assert patients.height == wanted.height
        self.study, self.rules = study, rules
        self.people = wanted.join(first, on="patient_id", how="left", maintain_order="left").with_columns(
            day.cast(pl.Int64).alias("at_day")
        )
        self.courses: Courses = drug_courses(study, self.people)

    def fact(self, key: str) -> pl.Series:
        """Return one fact; those that no table holds are unknown."""
        name = fact_of(key)
        assert name is not None, key
        months = int(key.rpartition("_")[2][:-1]) if FACTS[name].is_windowed else None
        dtype = DTYPES[FACTS[name].kind]
        if not FACTS[name].is_derived:
            return pl.Series([None], dtype=dtype).new_from_index(0, self.people.height)
        method = getattr(self, f"_{name}")
        column: pl.Series = method() if months is None else method(months)
        return column.cast(dtype)

    def _per_patient(self, expression: pl.Expr) -> pl.Series:
        return self.people.select(expression.alias("value")).to_series()

    def _rows(self, table: str, columns: list[str]) -> pl.DataFrame:
        """Return a table's rows beside the patient's day."""
        rows = self.study.table(table, ["patient_id", *columns])
        return rows.join(
            self.people.select("patient_id", "at_day"), on="patient_id", how="inner", maintain_order="left"
        )

    def _by_patient(self, rows: pl.DataFrame, value: pl.Expr, *, absent: float | bool | None) -> pl.Series:
        """Return one value per patient; `absent` for those without a row."""
        found = rows.group_by("patient_id", maintain_order=True).agg(
            value.alias("value"), pl.lit(True).alias("is_there")
        )
        joined = self.people.select("patient_id").join(
            found, on="patient_id", how="left", maintain_order="left"
        )
        return joined.select(
            pl.when(pl.col("is_there").is_null()).then(absent).otherwise("value")
        ).to_series()

    def _at_least(
        self, name: str, n: pl.Series, unclear: list[str], asked: Sequence[tuple[str, float]] = ()
    ) -> pl.Series:
        """Return a count; where more may have happened, only if it is enough already for the rules (or `asked`)."""
        asked = asked or [
            (condition.op, float(condition.value))
            for rule in self.rules.rules
            for case in (*rule.applies_when, *rule.cases)
            for condition in case
            if condition.fact == name and isinstance(condition.value, (int, float))
        ]
        found = pl.lit(n)
        is_enough = [{">": found > value, ">=": found >= value}.get(op, pl.lit(False)) for op, value in asked]
        is_certain = ~pl.col("patient_id").is_in(unclear)
        enough = pl.all_horizontal(is_enough) if is_enough else pl.lit(False)
        return self._per_patient(pl.when(is_certain | enough).then(found))

    def _unknown(self) -> pl.Series:
        return self._per_patient(pl.lit(None, pl.Float64))

    # patients

    def _ms_course(self) -> pl.Series:
        return self.people["ms_course"]

    def _age_years(self) -> pl.Series:
        by_day = (pl.col("at_day") - pl.col("birth_day")) / DAYS_PER_YEAR
        at_index = pl.col("age_at_index_years") + pl.col("at_day") / DAYS_PER_YEAR
        return self._per_patient(pl.coalesce(by_day, at_index))

    def _disease_duration_years(self) -> pl.Series:
        return self._per_patient((pl.col("at_day") - pl.col("disease_onset_day")) / DAYS_PER_YEAR)

    def _years_since_diagnosis(self) -> pl.Series:
        return self._per_patient((pl.col("at_day") - pl.col("diagnosis_day")) / DAYS_PER_YEAR)

    # visits

    def _last_at_visit(self, column: str) -> pl.Series:
        rows = self._rows("visits", ["visit_day", column]).filter(
            (pl.col("visit_day") <= pl.col("at_day"))
            & (pl.col("visit_day") > pl.col("at_day") - _RECENT_DAYS)
            & pl.col(column).is_not_null()
        )
        return self._by_patient(
            rows.sort("visit_day", maintain_order=True), pl.col(column).last(), absent=None
        )

    def _edss(self) -> pl.Series:
        seen = self._last_at_visit("edss")
        at_index = pl.when(pl.col("at_day").abs() < _RECENT_DAYS).then(pl.col("edss_at_index"))
        return self._per_patient(pl.coalesce(pl.lit(seen), at_index))

    def _fs_pyramidal(self) -> pl.Series:
        return self._last_at_visit("fs_pyramidal")

    def _fs_cerebellar(self) -> pl.Series:
        return self._last_at_visit("fs_cerebellar")

    def _edss_rise(self, months: int, asked: Sequence[tuple[str, float]] = ()) -> pl.Series:
        """Return the last EDSS minus the first of the window; unknown with fewer than two.

        Where the first comes in the later half of the window, only a rise that is enough already is known.
        """
        rows = self._rows("visits", ["visit_day", "edss"]).filter(
            _in_window("visit_day", months) & pl.col("edss").is_not_null()
        )
        rise = pl.when(pl.len() >= 2).then(pl.col("edss").last() - pl.col("edss").first())
        n = self._by_patient(rows.sort("visit_day", maintain_order=True), rise, absent=None)
        early = rows.filter(pl.col("visit_day") <= pl.col("at_day") - months / 2 * DAYS_PER_MONTH)
        late = self.people.filter(~pl.col("patient_id").is_in(early["patient_id"].to_list()))["patient_id"]
        return self._at_least("edss_rise", n, late.to_list(), asked)

    # relapses

    def _relapses(self, months: int, asked: Sequence[tuple[str, float]] = ()) -> pl.Series:
        if not self.study.has("relapses"):
            return self._unknown()
        rows = self._rows("relapses", ["onset_day"])
        counted = rows.filter(_in_window("onset_day", months))
        n = self._by_patient(counted, pl.len().cast(pl.Float64), absent=0.0)
        return self._at_least("relapses_n", n, self._relapses_open(rows), asked)

    def _relapses_open(self, rows: pl.DataFrame) -> list[str]:
        """Return the patients of whom the table may lack relapses: undated ones, or those from before the study."""
        if rows.filter(pl.col("onset_day") <= pl.col("at_day") - 6 * DAYS_PER_MONTH).is_empty():
            return self.people[
                "patient_id"
            ].to_list()  # nobody's half a year back: it may begin with the study
        undated = rows.filter(pl.col("onset_day").is_null())["patient_id"]
        lacking = []
        for months in (12, 24):
            before = pl.col("onset_day").is_between(-months * DAYS_PER_MONTH, 0)
            n = self._by_patient(rows.filter(before), pl.len(), absent=0)
            fewer = (pl.lit(n) < pl.col(f"n_relapses_{months}m")).fill_null(False)
            lacking += self.people.filter(fewer)["patient_id"].to_list()
        return [*undated.unique(), *lacking]

    def _relapses_n(self, months: int) -> pl.Series:
        from_rows = self._relapses(months)
        recorded = {12: pl.col("n_relapses_12m"), 24: pl.col("n_relapses_24m")}.get(
            months, pl.lit(None, pl.Int64)
        )
        # a count recorded for the index date says nothing of another day
        recorded = pl.when(pl.col("at_day") == 0).then(recorded)
        return self._per_patient(pl.max_horizontal(pl.lit(from_rows), recorded.cast(pl.Float64)))

    def _steroid_treated_relapses_on_dmt_n(self, months: int) -> pl.Series:
        """Count relapses that were treated and came after the rule set's months on the drug."""
        return self._on_dmt(
            "steroid_treated_relapses_on_dmt_n",
            months,
            pl.col("steroid_treated"),
            self.rules.failure_after_months,
        )

    def _relapses_on_dmt_n(self, months: int) -> pl.Series:
        return self._on_dmt("relapses_on_dmt_n", months, pl.lit(True), 0)

    def _on_dmt(self, name: str, months: int, keep: pl.Expr, after_months: int) -> pl.Series:
        """Count the relapses that began on a DMT, so many months after its start."""
        if not (self.study.has("relapses") and self.study.has("treatments")):
            return self._unknown()
        rows = self._rows("relapses", ["onset_day", "steroid_treated"]).with_columns(keep.alias("_keep"))
        counted = rows.filter(_in_window("onset_day", months) & pl.col("_keep"))
        n = self._by_patient(
            self._during(counted, "onset_day", self.courses.dmt, after_months),
            pl.len().cast(pl.Float64),
            absent=0.0,
        )
        undated = [
            *rows.filter(pl.col("onset_day").is_null() & pl.col("_keep").fill_null(True))["patient_id"],
            *rows.filter(pl.col("_keep").is_null() & _in_window("onset_day", months))["patient_id"],
            *self._relapses_open(rows.filter(pl.col("onset_day").is_not_null())),
        ]
        unclear = [*self._of_those_on(self.courses.dmt, months, undated), *self._courses_open()]
        return self._at_least(name, n, unclear)

    def _during(
        self, happened: pl.DataFrame, day: str, courses: pl.DataFrame, after_months: int
    ) -> pl.DataFrame:
        """Return the rows whose day lies in a course, so many months after its start."""
        within = (
            (pl.col(day) >= pl.col("start_day") + after_months * DAYS_PER_MONTH)
            & (pl.col(day) > pl.col("start_day"))
            & (pl.col(day) <= pl.col("end_day").fill_null(pl.col("at_day")))
        )
        return (
            happened.with_row_index("_row")
            .join(courses.select("patient_id", "start_day", "end_day"), on="patient_id", how="inner")
            .filter(within)
            .unique("_row")
            .sort("_row")
        )

    def _of_those_on(self, courses: pl.DataFrame, months: int, patients: list[str]) -> list[str]:
        """Return those of the patients who had one of the courses within the window."""
        until = pl.col("end_day").fill_null(pl.col("at_day"))
        reaches_in = courses.filter(until > pl.col("at_day") - months * DAYS_PER_MONTH)["patient_id"]
        return sorted(set(patients) & set(reaches_in))

    def _courses_open(self) -> list[str]:
        """Return the patients of whom a course of a DMT, or its start, may be unknown."""
        undated = self.courses.dmt.filter(pl.col("start_day").is_null())["patient_id"]
        return [*undated, *self.courses.incomplete]

    def _activity_episodes_on_dmt_n(self, months: int) -> pl.Series:
        """Count relapses and active scans on a DMT that qualifies, after the rule set's months on it."""
        if not (self.study.has("relapses") and self.study.has("treatments")):
            return self._unknown()
        groups = list(self.rules.qualifying_groups)
        dmt = self.courses.dmt
        is_group = pl.col("group").is_in(groups) if groups else pl.lit(True)
        relapses = self._rows("relapses", ["onset_day"])
        scans = self._scans(months)
        active = scans.filter(_is_active())
        found = pl.concat(
            self._during(rows, day, dmt.filter(is_group), self.rules.failure_after_months).select(
                "patient_id"
            )
            for rows, day in (
                (relapses.filter(_in_window("onset_day", months)), "onset_day"),
                (active, "scan_day"),
            )
        )
        n = self._by_patient(found, pl.len().cast(pl.Float64), absent=0.0)
        unread = dmt.filter(pl.col("group").is_null() & pl.lit(bool(groups)))["patient_id"]
        unseen = [*self._relapses_open(relapses), *self._scans_open(scans)]
        unclear = [
            *self._of_those_on(dmt.filter(is_group), months, unseen),
            *self._courses_open(),
            *unread,
        ]
        return self._at_least("activity_episodes_on_dmt_n", n, unclear)

    # scans

    def _scans(self, months: int | None) -> pl.DataFrame:
        """Return the scans before the day: of each kind of lesion the certain number, and what a category leaves open."""
        rows = self._rows(
            "mri", ["scan_day", *_LESIONS, *(f"{n}_{end}" for n in _LESIONS for end in ("min", "max"))]
        )
        when = pl.col("scan_day") <= pl.col("at_day") if months is None else _in_window("scan_day", months)
        return rows.filter(when).with_columns(
            *(
                (pl.col(n).is_null() & (pl.col(f"{n}_min") != pl.col(f"{n}_max")).fill_null(False)).alias(
                    f"{n}_open"
                )
                for n in _LESIONS
            ),
            *(pl.coalesce(n, f"{n}_min").alias(n) for n in _LESIONS),
        )

    def _scans_open(self, scans: pl.DataFrame) -> list[str]:
        """Return the patients of whom scans may lack activity: a kind of lesion that none counted, or an open category."""
        counted = scans.group_by("patient_id").agg(pl.col("gd_n", "new_t2_n").is_not_null().any())
        is_counted = counted.filter(pl.col("gd_n") & pl.col("new_t2_n"))["patient_id"].to_list()
        lacking = self.people.filter(~pl.col("patient_id").is_in(is_counted))["patient_id"]
        is_open = pl.any_horizontal(f"{kind}_open" for kind in _LESIONS) & ~_is_active()
        return [*lacking, *scans.filter(is_open)["patient_id"].unique()]

    def _lesions(self, name: str, months: int, value: pl.Expr, kinds: Sequence[str]) -> pl.Series:
        """Return a count over the window; unknown without a scan on which these lesions were counted.

        A kind that no scan of the window counted leaves the number open. Enlarging lesions are the exception:
        where they are not recorded, they are taken to be among the new ones.
        """
        rows = self._scans(months).filter(pl.any_horizontal(pl.col(kinds).is_not_null()))
        is_open = pl.any_horizontal(f"{kind}_open" for kind in kinds)
        n = self._by_patient(rows, value.cast(pl.Float64), absent=None)
        needed = [kind for kind in kinds if kind != "enlarging_t2_n"]
        lacks = rows.group_by("patient_id").agg(pl.col(needed).is_not_null().any()).filter(
            ~pl.all_horizontal(needed)
        )  # fmt: skip
        unclear = [*rows.filter(is_open)["patient_id"].unique(), *lacks["patient_id"]]
        return self._at_least(name, n, unclear)

    def _gd_n(self, months: int) -> pl.Series:
        return self._lesions("gd_n", months, pl.col("gd_n").max(), _LESIONS[:1])

    def _new_t2_n(self, months: int) -> pl.Series:
        return self._lesions("new_t2_n", months, pl.col("new_t2_n").sum(), _LESIONS[1:2])

    def _new_or_enlarging_t2_n(self, months: int) -> pl.Series:
        n = pl.sum_horizontal(pl.col(_LESIONS[1:]).fill_null(0)).sum()
        return self._lesions("new_or_enlarging_t2_n", months, n, _LESIONS[1:])

    def _active_lesions_n(self, months: int) -> pl.Series:
        n = pl.sum_horizontal(pl.col(_LESIONS).fill_null(0)).sum()
        return self._lesions("active_lesions_n", months, n, _LESIONS)

    def _months_since_mri(self) -> pl.Series:
        since = (pl.col("at_day").first() - pl.col("scan_day").max()) / DAYS_PER_MONTH
        return self._by_patient(self._scans(None), since, absent=None)

    def _activity_episodes_n(self, months: int) -> pl.Series:
        relapses, scans = self._rows("relapses", ["onset_day"]), self._scans(months)
        found = pl.concat(
            [
                relapses.filter(_in_window("onset_day", months)).select("patient_id"),
                scans.filter(_is_active()).select("patient_id"),
            ]
        )
        n = self._by_patient(found, pl.len().cast(pl.Float64), absent=0.0)
        unclear = [*self._relapses_open(relapses), *self._scans_open(scans)]
        return self._at_least("activity_episodes_n", n, unclear)

    def _has_clinical_activity(self, months: int) -> pl.Series:
        relapses, rise = (
            pl.lit(self._relapses(months, [(">=", 1)])),
            pl.lit(self._edss_rise(months, [(">", 0)])),
        )
        return self._per_patient((relapses >= 1) | (rise > 0))

    # treatments

    def _had_drug(self, is_one: pl.Expr) -> pl.Series:
        """Say whether a patient had a drug; unknown where a name could not be read or a course may be missing."""
        if not self.study.has("treatments"):
            return self._unknown()
        had = self._by_patient(self.courses.drugs, is_one.any(ignore_nulls=False), absent=False)
        is_open = pl.col("patient_id").is_in(self.courses.incomplete)
        return self._per_patient(pl.when(pl.lit(had).eq_missing(pl.lit(True)) | ~is_open).then(pl.lit(had)))

    def _had_mitoxantrone(self) -> pl.Series:
        return self._had_drug(pl.col("substance") == "mitoxantrone")

    def _had_cytotoxic_drug(self) -> pl.Series:
        return self._had_drug(pl.col("is_cytotoxic"))

    def _had_transplant(self) -> pl.Series:
        if not self.study.has("transplants"):
            return self._unknown()
        rows = self._rows("transplants", ["transplant_number", "mobilisation_start_day", "infusion_day"])
        is_earlier = (
            pl.when(pl.col("infusion_day").is_not_null())
            .then(pl.col("infusion_day") < pl.col("at_day"))
            .when(pl.col("mobilisation_start_day") >= pl.col("at_day"))
            .then(False)  # one without a day of infusion was earlier, or never came to it
        )
        # a second transplant comes after a first, listed or not
        had = is_earlier.any(ignore_nulls=False) | (pl.col("transplant_number").min() > 1).fill_null(False)
        return self._by_patient(rows, had, absent=False)

    def _is_dmt_naive(self) -> pl.Series:
        recorded = pl.col("prior_dmt_n") == 0
        if not self.study.has("treatments"):
            return self._per_patient(recorded)
        had = pl.col("patient_id").is_in(self.courses.dmt["patient_id"].to_list()) | ~recorded.fill_null(True)
        is_open = pl.col("patient_id").is_in(self.courses.incomplete)
        return self._per_patient(pl.when(had).then(False).when(~is_open).then(True))

    def _years_since_first_dmt(self) -> pl.Series:
        first = (pl.col("at_day").first() - pl.col("start_day").min()) / DAYS_PER_YEAR
        years = self._by_patient(self.courses.dmt, first, absent=None)
        return self._per_patient(
            pl.when(~pl.col("patient_id").is_in(self._courses_open())).then(pl.lit(years))
        )

    def _failed(self, name: str, is_one: pl.Expr) -> pl.Series:
        """Count the drugs that failed: stopped for it, or activity while on them after the rule set's months."""
        if not self.study.has("treatments"):
            return self._per_patient(pl.when(pl.col("prior_dmt_n") == 0).then(0.0))
        courses = self.courses.dmt.with_row_index("_course")
        scanned = self._scans(None)
        scans = scanned.filter(_is_active())
        since = pl.col("start_day") + self.rules.failure_after_months * DAYS_PER_MONTH
        until = pl.min_horizontal(pl.col("end_day").fill_null(pl.col("at_day")), "at_day")
        active: list[int] = []
        relapses = self._rows("relapses", ["onset_day"])
        for happened, day in ((relapses, "onset_day"), (scans, "scan_day")):
            beside = courses.join(happened.select("patient_id", day), on="patient_id", how="inner")
            on_drug = (pl.col(day) >= since) & (pl.col(day) > pl.col("start_day")) & (pl.col(day) <= until)
            active += beside.filter(on_drug)["_course"].to_list()
        # a step or more on the drug may be progression, which is for a neurologist to say
        seen = self._rows("visits", ["visit_day", "edss"]).drop_nulls(["visit_day", "edss"])
        on_drug = (pl.col("visit_day") >= pl.col("start_day")) & (pl.col("visit_day") <= until)
        examined = courses.join(seen.select("patient_id", "visit_day", "edss"), on="patient_id").filter(
            on_drug
        )
        rose = examined.sort("_course", "visit_day").group_by("_course").agg(
            pl.col("edss").last() - pl.col("edss").first() >= 1.0
        ).filter("edss")["_course"].to_list()  # fmt: skip
        # ended for a reason nobody wrote down or that cannot be read, or nothing to show activity: perhaps it failed
        is_open = [*self._relapses_open(relapses), *self._scans_open(scanned)]
        can_tell = ~pl.col("patient_id").is_in(is_open)
        goes_on = pl.col("end_day").is_null() & pl.col("reason_stopped").is_null() & can_tell
        failed = (
            pl.when(pl.col("stopped_for_failure") | pl.col("_course").is_in(active))
            .then(True)
            .when(pl.col("_course").is_in(rose) & ~pl.col("stopped_for_failure").fill_null(False))
            .then(None)
            .when(pl.col("start_day").is_not_null() & (goes_on | ~pl.col("stopped_for_failure")))
            .then(False)
        )
        judged = courses.with_columns((is_one & failed).alias("_counts"))
        drugs = judged.filter(pl.col("_counts")).unique(["patient_id", "drug"], maintain_order=True)
        n = self._by_patient(drugs, pl.len().cast(pl.Float64), absent=0.0)
        others = judged.filter(pl.col("_counts").is_null()).join(
            drugs, on=["patient_id", "drug"], how="anti", maintain_order="left"
        )
        return self._at_least(name, n, [*others["patient_id"], *self.courses.incomplete])

    def _failed_dmt_n(self) -> pl.Series:
        return self._failed("failed_dmt_n", pl.lit(True))

    def _failed_baseline_dmt_n(self) -> pl.Series:
        return self._failed("failed_baseline_dmt_n", pl.col("group") == "injectable")

    def _failed_high_efficacy_dmt_n(self) -> pl.Series:
        by_name = pl.col("substance").is_in(self.rules.high_efficacy)
        # a class recorded in the table decides only where the rule set names no drugs
        by_class = pl.col("drug_class") == "high_efficacy"
        return self._failed("failed_high_efficacy_dmt_n", by_name if self.rules.high_efficacy else by_class)


def _is_active() -> pl.Expr:
    """Return whether a scan shows a lesion that enhances, is new or grows."""
    return pl.sum_horizontal(pl.col(_LESIONS).fill_null(0)) > 0


def _in_window(day: str, months: int) -> pl.Expr:
    """Return whether a day lies in the months before the patient's day, that day included."""
    return (pl.col(day) <= pl.col("at_day")) & (pl.col(day) > pl.col("at_day") - months * DAYS_PER_MONTH)
