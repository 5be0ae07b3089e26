"""What the rules ask of each patient, from a study's tables or from one patient's file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import polars as pl

from ahsct.definitions.eligibility import RuleSet
from ahsct.definitions.facts import FACTS, fact_of
from ahsct.errors import RequestError, SourceError, TableError, did_you_mean
from ahsct.tables import Study
from ahsct.vocabulary import DAYS_PER_YEAR

DAYS_PER_MONTH = DAYS_PER_YEAR / 12
At = Literal["index", "treatment_decision", "randomisation", "mobilisation_start"]
_DTYPES = {"number": pl.Float64(), "flag": pl.Boolean(), "text": pl.String()}
_FAILED = (
    r"(?i)inefficacy|lack of efficacy|inefficient|breakthrough|failure|disease activity|relapse|progression"
)
_LESIONS = ("gd_n", "new_t2_n", "enlarging_t2_n")
_CYTOTOXIC = ("cyclophosphamide", "mitoxantrone", "azathioprine", "methotrexate", "cladribine", "busulfan")


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
            ["patient_id", "ms_course", "birth_day", "birth_year", "index_date", "age_at_index_years", "disease_onset_day",
             "diagnosis_day", "n_relapses_12m", "n_relapses_24m", "edss_at_index", "prior_dmt_n",
             "treatment_decision_day", "randomisation_day"],
        ).unique("patient_id", keep="first", maintain_order=True)  # fmt: skip
        mobilised = study.table("transplants", ["patient_id", "mobilisation_start_day", "infusion_day"])
        first = mobilised.group_by("patient_id", maintain_order=True).agg(
            pl.col("mobilisation_start_day").min(), pl.col("infusion_day").min().alias("first_infusion_day")
        )
        day = pl.lit(0) if at == "index" else pl.coalesce(f"{at}_day", pl.lit(0))
        assert patients.height == wanted.height
        self.study, self.rules = study, rules
        self.people = wanted.join(first, on="patient_id", how="left", maintain_order="left").with_columns(
            day.cast(pl.Int64).alias("at_day")
        )

    def fact(self, key: str) -> pl.Series:
        """Return one fact; those that no table holds are unknown."""
        name = fact_of(key)
        assert name is not None, key
        months = int(key.rpartition("_")[2][:-1]) if FACTS[name].is_windowed else None
        dtype = _DTYPES[FACTS[name].kind]
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

    def _at_least(self, name: str, n: pl.Series, unclear: list[str]) -> pl.Series:
        """Return a count; where more may have happened, only if it is enough for the rules already."""
        asked = [
            float(condition.value)
            for rule in self.rules.rules
            for case in (*rule.applies_when, *rule.cases)
            for condition in case
            if condition.fact == name and isinstance(condition.value, (int, float))
        ]
        is_certain = ~pl.col("patient_id").is_in(unclear) | (pl.lit(n) >= max(asked, default=0.0))
        return self._per_patient(pl.when(is_certain).then(pl.lit(n)))

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
            (pl.col("visit_day") <= pl.col("at_day")) & pl.col(column).is_not_null()
        )
        return self._by_patient(
            rows.sort("visit_day", maintain_order=True), pl.col(column).last(), absent=None
        )

    def _edss(self) -> pl.Series:
        seen = self._last_at_visit("edss")
        return self._per_patient(pl.coalesce(pl.lit(seen), pl.col("edss_at_index")))

    def _fs_pyramidal(self) -> pl.Series:
        return self._last_at_visit("fs_pyramidal")

    def _fs_cerebellar(self) -> pl.Series:
        return self._last_at_visit("fs_cerebellar")

    def _edss_rise(self, months: int) -> pl.Series:
        """Return the last EDSS minus the first of the window; unknown with fewer than two."""
        rows = self._rows("visits", ["visit_day", "edss"]).filter(
            _in_window("visit_day", months) & pl.col("edss").is_not_null()
        )
        rise = pl.when(pl.len() >= 2).then(pl.col("edss").last() - pl.col("edss").first())
        return self._by_patient(rows.sort("visit_day", maintain_order=True), rise, absent=None)

    # relapses

    def _relapses(self, months: int, name: str) -> pl.Series:
        if not self.study.has("relapses"):
            return self._unknown()
        rows = self._rows("relapses", ["onset_day"])
        counted = rows.filter(_in_window("onset_day", months))
        n = self._by_patient(counted, pl.len().cast(pl.Float64), absent=0.0)
        undated = rows.filter(pl.col("onset_day").is_null())
        return self._at_least(name, n, undated["patient_id"].unique().to_list())

    def _relapses_n(self, months: int) -> pl.Series:
        from_rows = self._relapses(months, "relapses_n")
        recorded = {12: pl.col("n_relapses_12m"), 24: pl.col("n_relapses_24m")}.get(
            months, pl.lit(None, pl.Int64)
        )
        # a count recorded for the index date says nothing of another day
        recorded = pl.when(pl.col("at_day") == 0).then(recorded)
        return self._per_patient(pl.coalesce(pl.lit(from_rows), recorded.cast(pl.Float64)))

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
        counted = rows.filter(_in_window("onset_day", months) & pl.col("_keep")).with_row_index("_row")
        courses = self._courses().select("patient_id", "start_day", "end_day")
        on_drug = (pl.col("onset_day") >= pl.col("start_day") + after_months * DAYS_PER_MONTH) & (
            pl.col("onset_day") <= pl.col("end_day").fill_null(pl.col("at_day"))
        )
        hit = (
            counted.join(courses, on="patient_id", how="inner", maintain_order="left")
            .filter(on_drug)
            .unique("_row")
        )
        n = self._by_patient(hit, pl.len().cast(pl.Float64), absent=0.0)
        undated = [
            *rows.filter(pl.col("onset_day").is_null() & pl.col("_keep").fill_null(True))["patient_id"],
            *rows.filter(pl.col("_keep").is_null() & _in_window("onset_day", months))["patient_id"],
            *self._courses().filter(pl.col("start_day").is_null())["patient_id"],
        ]
        return self._at_least(name, n, undated)

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
        active = self._scans(months).filter(pl.any_horizontal(pl.col(_LESIONS).is_not_null()))
        n = self._by_patient(
            active, (pl.sum_horizontal(pl.col(_LESIONS).fill_null(0)) > 0).sum(), absent=None
        )
        return self._per_patient(pl.lit(n) + pl.lit(self._relapses(months, "relapses_n")))

    def _has_clinical_activity(self, months: int) -> pl.Series:
        relapses, rise = (
            pl.lit(self._relapses(months, "relapses_n")),
            pl.lit(self._edss_rise(months)),
        )
        return self._per_patient((relapses >= 1) | (rise > 0))

    # treatments

    def _courses(self) -> pl.DataFrame:
        rows = self._rows(
            "treatments", ["kind", "drug", "drug_class", "start_day", "end_day", "reason_stopped"]
        )
        before = (pl.col("start_day") < pl.col("at_day")).fill_null(True)
        return rows.filter((pl.col("kind") == "dmt") & before)

    def _had_drug(self, drugs: tuple[str, ...]) -> pl.Series:
        if not self.study.has("treatments"):
            return self._unknown()
        rows = self._courses().filter(pl.col("drug").str.to_lowercase().is_in(drugs))
        return self._by_patient(rows, pl.lit(True).first(), absent=False)

    def _had_mitoxantrone(self) -> pl.Series:
        return self._had_drug(("mitoxantrone",))

    def _had_cytotoxic_drug(self) -> pl.Series:
        return self._had_drug(_CYTOTOXIC)

    def _had_transplant(self) -> pl.Series:
        if not self.study.has("transplants"):
            return self._unknown()
        return self._per_patient((pl.col("first_infusion_day") < pl.col("at_day")).fill_null(False))

    def _is_dmt_naive(self) -> pl.Series:
        recorded = pl.col("prior_dmt_n") == 0
        if not self.study.has("treatments"):
            return self._per_patient(recorded)
        none = self._by_patient(self._courses(), pl.lit(False).first(), absent=True)
        return self._per_patient(pl.lit(none) & recorded.fill_null(True))

    def _years_since_first_dmt(self) -> pl.Series:
        first = (pl.col("at_day").first() - pl.col("start_day").min()) / DAYS_PER_YEAR
        return self._by_patient(self._courses(), first, absent=None)

    def _failed(self, name: str, keep: pl.Expr | None) -> pl.Series:
        """Count the drugs that failed: stopped for it, or activity while on them after the rule set's months."""
        if not self.study.has("treatments"):
            return self._per_patient(pl.when(pl.col("prior_dmt_n") == 0).then(0.0))
        courses = self._courses() if keep is None else self._courses().filter(keep)
        courses = courses.with_row_index("_course")
        stopped = courses.filter(pl.col("reason_stopped").str.contains(_FAILED).fill_null(False))
        since = pl.col("start_day") + self.rules.failure_after_months * DAYS_PER_MONTH
        until = pl.min_horizontal(pl.col("end_day").fill_null(pl.col("at_day")), "at_day")
        failed = [stopped.select("_course", "patient_id", "drug")]
        scans = self._scans(None).filter(pl.sum_horizontal(pl.col(_LESIONS).fill_null(0)) > 0)
        for happened, day in ((self._rows("relapses", ["onset_day"]), "onset_day"), (scans, "scan_day")):
            beside = courses.join(
                happened.select("patient_id", day), on="patient_id", how="inner", maintain_order="left"
            )
            on_drug = beside.filter(
                (pl.col(day) >= since) & (pl.col(day) > pl.col("start_day")) & (pl.col(day) <= until)
            )
            failed.append(on_drug.select("_course", "patient_id", "drug"))
        drugs = pl.concat(failed).unique(["patient_id", "drug"], maintain_order=True)
        n = self._by_patient(drugs, pl.len().cast(pl.Float64), absent=0.0)
        # stopped for a reason nobody wrote down, or nothing that could show activity: perhaps it failed
        can_tell = self.study.has("relapses") and self.study.has("mri")
        is_open = pl.col("start_day").is_null() | (
            pl.col("reason_stopped").is_null() & (pl.col("end_day").is_not_null() | pl.lit(not can_tell))
        )
        others = courses.filter(is_open).join(
            drugs, on=["patient_id", "drug"], how="anti", maintain_order="left"
        )
        return self._at_least(name, n, others["patient_id"].unique().to_list())

    def _failed_dmt_n(self) -> pl.Series:
        return self._failed("failed_dmt_n", None)

    def _failed_high_efficacy_dmt_n(self) -> pl.Series:
        by_name = pl.col("drug").str.to_lowercase().is_in(self.rules.high_efficacy)
        # a class recorded in the table decides only where the rule set names no drugs
        by_class = pl.col("drug_class") == "high_efficacy"
        return self._failed("failed_high_efficacy_dmt_n", by_name if self.rules.high_efficacy else by_class)


def _in_window(day: str, months: int) -> pl.Expr:
    """Return whether a day lies in the months before the patient's day, that day included."""
    return (pl.col(day) <= pl.col("at_day")) & (pl.col(day) > pl.col("at_day") - months * DAYS_PER_MONTH)


def read_patient(file: str | Path) -> pl.DataFrame:
    """Return the facts of one patient from a TOML file of `fact = value` lines.

    Raises
    ------
    SourceError
        The file cannot be read.
    TableError
        An unknown fact (the nearest is named), or a value of the wrong kind.
    """
    path = Path(file)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SourceError(f"{path.name} cannot be read as TOML: {error}.") from error
    return facts_of_one(data, name=path.name)


def facts_of_one(data: dict[str, object], *, name: str) -> pl.DataFrame:
    """Return a frame with one patient's facts, checked."""
    columns = {"patient_id": pl.Series([str(data.get("patient_id", "patient"))])}
    for key, value in data.items():
        if key == "patient_id":
            continue
        fact = fact_of(key)
        if fact is None:
            known = [n if not f.is_windowed else f"{n}_12m" for n, f in FACTS.items()]
            raise TableError(
                f"{name}: no fact {key!r}.{did_you_mean(key, known)} Windowed facts end in months: relapses_n_12m."
            )
        kind = FACTS[fact].kind
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        fits = {"number": is_number, "flag": isinstance(value, bool), "text": isinstance(value, str)}[kind]
        if not fits:
            raise TableError(f"{name}: `{key}` must be a {kind}, found {value!r}.")
        columns[key] = pl.Series([value], dtype=_DTYPES[kind], strict=False)
    return pl.DataFrame(columns)


def typed_facts(frame: pl.DataFrame, *, name: str) -> pl.DataFrame:
    """Return a table of facts read as text with its types: numbers, true or false, words.

    Raises
    ------
    TableError
        An unknown fact, a value that does not fit its kind (first row named), or no `patient_id`.
    """
    if "patient_id" not in frame.columns:
        raise TableError(f"{name} needs a column `patient_id`.")
    columns = [frame["patient_id"]]
    for key in frame.columns:
        fact = fact_of(key)
        if key == "patient_id":
            continue
        if fact is None:
            raise TableError(f"{name}: no fact {key!r}.{did_you_mean(key, FACTS)}")
        text = frame[key].str.strip_chars().replace("", None)
        if FACTS[fact].kind == "flag":
            value = text.str.to_lowercase().replace_strict(
                {"true": True, "false": False}, default=None, return_dtype=pl.Boolean
            )
        else:
            value = text.cast(_DTYPES[FACTS[fact].kind], strict=False)
        is_wrong = value.is_null() & text.is_not_null()
        if is_wrong.any():
            row = (is_wrong.arg_max() or 0) + 1
            raise TableError(
                f"{name}: `{key}` must be a {FACTS[fact].kind} (flags: true, false); row {row} is not."
            )
        columns.append(value.alias(key))
    return pl.DataFrame(columns)
