"""Rules on the columns of one row against each other: units, counts, contrast, severity and grade."""

from __future__ import annotations

import polars as pl

from ahsct.tables.problems import Rule

_CTCAE_SEVERITY = {1: "mild", 2: "moderate", 3: "severe", 4: "life-threatening", 5: "fatal"}
_GRADED = ("CTCAE 3.0", "CTCAE 4.03", "CTCAE 5.0", "CTCAE 6.0", "Bearman")
# Lowest and highest value a unit can plausibly carry. Outside, the unit is wrong: 3500 neutrophils are
# cells per microlitre, haemoglobin 12 is g/dL. Bounds lie beyond what is survived, so that real
# values pass.
_PLAUSIBLE = {
    ("neutrophils", "10^9/L"): (0, 200),
    ("leukocytes", "10^9/L"): (0, 1000),
    ("lymphocytes", "10^9/L"): (0, 500),
    ("monocytes", "10^9/L"): (0, 100),
    ("eosinophils", "10^9/L"): (0, 150),
    ("platelets", "10^9/L"): (0, 3000),
    ("haemoglobin", "g/L"): (21, 260),
    ("cd3", "10^9/L"): (0, 50),
    ("cd4", "10^9/L"): (0, 50),
    ("cd8", "10^9/L"): (0, 50),
    ("cd19", "10^9/L"): (0, 50),
    ("nk", "10^9/L"): (0, 50),
    ("creatinine", "umol/L"): (6, 3000),
    ("creatinine", "mg/dl"): (0, 35),
    ("bilirubin", "umol/L"): (0, 1500),
    ("bilirubin", "mg/dl"): (0, 90),
}
_COUNTS = ("gd_n", "new_t2_n", "enlarging_t2_n")


def row_rules(table: str) -> list[Rule]:
    """Return the rules of this kind for one table."""
    return _RULES.get(table, list)()


def _lab_rules() -> list[Rule]:
    test, unit, value = pl.col("test"), pl.col("unit"), pl.col("value")
    is_implausible = pl.any_horizontal(
        (test == name) & (unit == of) & ~value.is_between(low, high) & (value >= 0)
        for (name, of), (low, high) in _PLAUSIBLE.items()
    )
    is_share = (unit == "%") & (value > 100)
    return [
        Rule(
            name="implausible_unit", column="value", when=is_implausible | is_share,
            value=pl.concat_str(test, pl.lit(" "), value, pl.lit(" "), unit),
            message="`labs.value`: {value} is not plausible; is it another unit? Convert the value or correct `unit`.",
        ),
        Rule(
            name="below_minimum", column="value", when=value < 0,
            message="`labs.value` must be at least 0, found {value}. Correct the value.",
        ),
        Rule(
            name="min_above_max", column="lower_limit", when=pl.col("lower_limit") > pl.col("upper_limit"),
            message="`labs.lower_limit` is {value}, above `upper_limit`. Correct them.",
        ),
    ]  # fmt: skip


def _mri_rules() -> list[Rule]:
    rules = []
    for name in _COUNTS:
        n, low, high = pl.col(name), pl.col(f"{name}_min"), pl.col(f"{name}_max")
        rules += [
            Rule(
                name="min_above_max", column=f"{name}_min", when=low > high,
                message=f"`mri.{name}_min` is {{value}}, above `{name}_max`. Correct them.",
            ),
            Rule(
                name="count_outside_range", column=name, when=(n < low) | (n > high),
                message=f"`mri.{name}` is {{value}}, outside its own `{name}_min` to `{name}_max`. Correct them.",
            ),
        ]  # fmt: skip
    has_gd, has_new = _any_given("gd_n"), _any_given("new_t2_n") | _any_given("enlarging_t2_n")
    return [
        *rules,
        Rule(
            name="gd_without_contrast", column="gd_n", when=has_gd & ~pl.col("with_gd"),
            message="`mri.gd_n` counts enhancing lesions on a scan without contrast (`with_gd` is false). "
            "Empty the counts or correct `with_gd`.",
        ),
        Rule(
            name="contrast_not_stated", column="with_gd", when=has_gd & pl.col("with_gd").is_null(),
            severity="warning",
            message="`mri.with_gd` is missing on a scan with a count of enhancing lesions; the count is believed. "
            "State whether contrast was given.",
        ),
        Rule(
            name="gd_not_counted", column="gd_n", when=pl.col("with_gd") & ~has_gd, severity="warning",
            message="`mri.gd_n` is missing on a scan with contrast: it cannot show that there was no enhancing lesion. "
            "Give the count, 0 included.",
        ),
        Rule(
            name="new_t2_without_reference", column="new_t2_n",
            when=has_new & pl.col("reference_scan_day").is_null(), severity="warning",
            message="`mri.new_t2_n` (or enlarging) needs the scan it is counted against; `reference_scan_*` is missing, "
            "so the lesions cannot be placed in time. Give the reference scan.",
        ),
        Rule(
            name="scan_without_counts", column="gd_n", when=~has_gd & ~has_new & ~pl.col("with_gd").fill_null(False),
            severity="warning",
            message="This scan has no lesion count at all and cannot be evaluated. Give the counts, 0 included.",
        ),
    ]  # fmt: skip


def _visit_rules() -> list[Rule]:
    is_dead_by_then = pl.col("patient.is_dead").fill_null(False) & (
        pl.col("visit_day") >= pl.col("patient.death_day")
    ).fill_null(True)
    return [
        Rule(
            name="edss_10_alive", column="edss", when=(pl.col("edss") == 10) & ~is_dead_by_then,
            message="`visits.edss` is 10, death due to MS, at a visit of a patient who is not dead by then in "
            "`follow_up`. Correct the score, or give the death.",
        ),
    ]  # fmt: skip


def _any_given(name: str) -> pl.Expr:
    return pl.any_horizontal(pl.col(name, f"{name}_min", f"{name}_max").is_not_null())


def _adverse_event_rules() -> list[Rule]:
    grade, severity, scale = pl.col("grade"), pl.col("severity"), pl.col("scale")
    is_ctcae = scale.str.starts_with("CTCAE")
    expected = grade.replace_strict(_CTCAE_SEVERITY, default="none", return_dtype=pl.String)
    return [
        Rule(
            name="severity_and_grade_disagree", column="grade", when=is_ctcae & (severity != expected),
            value=pl.concat_str(pl.lit("grade "), grade, pl.lit(", "), severity),
            message="`adverse_events`: {value} do not agree. CTCAE: 1 mild, 2 moderate, 3 severe, 4 life-threatening, "
            "5 fatal. Correct one of them.",
        ),
        Rule(
            name="above_maximum", column="grade", when=(scale == "Bearman") & (grade > 4),
            message="`adverse_events.grade` is at most 4 on Bearman's scale, found {value}. Correct grade or scale.",
        ),
        Rule(
            name="grade_without_scale", column="grade",
            when=grade.is_not_null() & (scale.is_null() | ~scale.is_in(_GRADED)), severity="warning",
            message="`adverse_events.grade` is {value}, but `scale` names no graded scale; the grade cannot be compared. "
            "Name the scale with its version; never derive a grade from a severity.",
        ),
        Rule(
            name="fatal_without_death", column="severity",
            when=((severity == "fatal") | (pl.col("outcome") == "fatal") | (is_ctcae & (grade == 5)))
            .fill_null(False) & ~pl.col("patient.is_dead").fill_null(False),
            message="`adverse_events`: a fatal event of a patient who is not dead in `follow_up`. Correct one of them.",
        ),
    ]  # fmt: skip


def _patient_rules() -> list[Rule]:
    age, year = pl.col("age_at_index_years"), pl.col("birth_year")
    index_year = pl.col("index_date").dt.year()
    by_birth_day = (age + pl.col("birth_day") / 365.25).abs() > 1
    by_birth_year = (age - (index_year - year - 0.5)).abs() > 1.5
    has_birth_day = pl.col("birth_day").is_not_null()
    return [
        Rule(
            name="age_and_birth_disagree", column="age_at_index_years",
            when=pl.when(has_birth_day).then(by_birth_day).otherwise(by_birth_year),
            message="`patients.age_at_index_years` is {value}, more than a year off the birth date or year. "
            "Correct one of them.",
        ),
        Rule(
            name="birth_year_and_date_disagree", column="birth_year", when=year != pl.col("birth_date").dt.year(),
            message="`patients.birth_year` is {value}, but `birth_date` lies in another year. Correct one of them.",
        ),
        Rule(
            name="relapse_counts_disagree", column="n_relapses_12m",
            when=pl.col("n_relapses_12m") > pl.col("n_relapses_24m"),
            message="`patients.n_relapses_12m` is {value}, more than `n_relapses_24m`. Correct one of them.",
        ),
    ]  # fmt: skip


def _transplant_rules() -> list[Rule]:
    is_infused = pl.col("infusion_day").is_not_null()
    has_conditioning = pl.any_horizontal(
        pl.col("conditioning_start_day", "conditioning_regimen", "patient.conditioning_day").is_not_null()
    )
    return [
        Rule(
            name="infusion_without_conditioning", column="conditioning_regimen",
            when=is_infused & ~has_conditioning, severity="warning",
            message="An infusion without conditioning: neither `conditioning_*` here nor a conditioning drug in "
            "`treatments`. Add it; doses and toxicity are counted from it.",
        ),
    ]  # fmt: skip


def _follow_up_rules() -> list[Rule]:
    death, status = pl.col("death_day"), pl.col("vital_status")
    has_cause = pl.any_horizontal(pl.col("death_cause", "cause_class").is_not_null())
    return [
        Rule(
            name="death_but_alive", column="vital_status", when=death.is_not_null() & (status == "alive"),
            message="`follow_up.vital_status` is alive although a death is dated. Correct one of them.",
        ),
        Rule(
            name="death_without_date", column="death_day",
            when=(status == "dead") & death.is_null() & pl.col("death_date").is_null(),
            message="`follow_up` says dead, but `death_date` or `death_day` is missing: survival cannot be counted. Give it.",
        ),
        Rule(
            name="cause_without_death", column="cause_class", when=has_cause & (status == "alive") & death.is_null(),
            value=pl.coalesce("cause_class", "death_cause"),
            message="`follow_up` gives a cause of death for a patient who is alive. Correct one of them.",
        ),
        Rule(
            name="death_without_cause_class", column="cause_class",
            when=(status == "dead") & pl.col("cause_class").is_null(), severity="warning",
            message="`follow_up.cause_class` is missing for a death; it counts as unknown. "
            "Give the adjudicated class: treatment-related, ms or other.",
        ),
    ]  # fmt: skip


_RULES = {
    "visits": _visit_rules,
    "labs": _lab_rules,
    "mri": _mri_rules,
    "adverse_events": _adverse_event_rules,
    "patients": _patient_rules,
    "transplants": _transplant_rules,
    "follow_up": _follow_up_rules,
}
