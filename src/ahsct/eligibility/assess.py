"""Three-valued logic: each rule, then each rule set, for each patient."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_, eq, ge, gt, le, lt, ne, or_
from typing import Any

import polars as pl

from ahsct.definitions.eligibility import Cases, Condition, EligibilityRule, RuleSet
from ahsct.eligibility.facts import At, derive_facts
from ahsct.errors import TableError
from ahsct.tables import Study

_OPERATORS: Mapping[str, Callable[[Any, Any], pl.Expr]] = {
    "==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge,
}  # fmt: skip
RULES = {
    "patient_id": pl.String(),
    "rule_set": pl.String(),
    "rule": pl.String(),
    "kind": pl.String(),
    "text": pl.String(),
    "status": pl.String(),  # met, not met, unknown, does not apply
    "found": pl.String(),  # the facts and values looked at
    "missing": pl.List(pl.String()),  # the facts that would settle it
    "seen": pl.String(),
}
SETS = {
    "patient_id": pl.String(),
    "rule_set": pl.String(),
    "year": pl.Int64(),
    "status": pl.String(),  # met, not met, unknown, not covered
    "n_required": pl.Int64(),
    "n_met": pl.Int64(),
    "n_not_met": pl.Int64(),
    "n_unknown": pl.Int64(),
    "n_preferred": pl.Int64(),
    "n_preferred_met": pl.Int64(),
    "not_met": pl.List(pl.String()),
    "missing": pl.List(pl.String()),
    "settled_by": pl.String(),  # the one fact that would settle it, if there is one
    "rests_on_recalled": pl.Boolean(),
}


@dataclass(frozen=True)
class Eligibility:
    """`rules`: each rule for each patient. `rule_sets`: each set for each patient."""

    rules: pl.DataFrame
    rule_sets: pl.DataFrame


def assess_eligibility(
    patients: Study | pl.DataFrame,
    rule_sets: Sequence[RuleSet],
    *,
    at: At = "mobilisation_start",
    facts: pl.DataFrame | None = None,
) -> Eligibility:
    """Apply rule sets to patients: met, not met or unknown, rule by rule and as a whole.

    A rule that excludes is met when what it excludes is absent. Alternatives (one group) are met when one
    of them is. A set is not met when a required rule is not met, else unknown when one is unknown, else
    met; where no rule that includes or refers applies to a patient, the set does not cover them.
    Preferences never decide.

    Parameters
    ----------
    patients
        A checked study, from whose tables the facts are derived, or a frame of facts (`read_patient`).
    rule_sets
        As `load_rule_set` returns them.
    at
        With a study: the day on which eligibility is judged.
    facts
        With a study: facts that its tables do not hold, `patient_id` and one column each; they come
        before derived ones where both are known.

    Raises
    ------
    TableError
        `facts` lacks `patient_id`, names a patient twice or one of whom nothing else is known.

    Examples
    --------
    >>> from ahsct.definitions.eligibility import load_rule_set
    >>> from ahsct.eligibility.told import facts_of_one
    >>> one = facts_of_one({"ms_course": "RRMS", "age_years": 50, "edss": 6.0}, name="example")
    >>> assess_eligibility(one, [load_rule_set("ramms2018")]).rule_sets.select("status", "not_met").row(0)
    ('not met', ['RAM-02'])
    """
    if facts is not None and ("patient_id" not in facts.columns or facts["patient_id"].is_duplicated().any()):
        raise TableError("assess_eligibility: `facts` needs one row per patient, with `patient_id`.")
    if facts is not None:
        people = patients.table("patients") if isinstance(patients, Study) else patients
        strange = ~facts["patient_id"].is_in(people["patient_id"].to_list())
        if strange.any():
            raise TableError(
                f"assess_eligibility: {strange.sum()} of {facts.height} rows of `facts` name no patient of the study; "
                f"the first is row {(strange.arg_max() or 0) + 1}. Correct `patient_id`, or take them out."
            )
    rules, sets = [], []
    for rule_set in rule_sets:
        known = derive_facts(patients, rule_set, at=at) if isinstance(patients, Study) else patients
        if facts is not None:
            known = _with_told(known, facts)
        of_rules = [_apply(rule, known, rule_set) for rule in rule_set.rules]
        rules += [frame.select(list(RULES)) for frame in of_rules]
        sets.append(_whole_set(rule_set, of_rules, known))
    return Eligibility(
        pl.concat(rules) if rules else pl.DataFrame(schema=RULES),
        pl.concat(sets) if sets else pl.DataFrame(schema=SETS),
    )


def _with_told(known: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    joined = known.join(told, on="patient_id", how="left", maintain_order="left", suffix="_told")
    return joined.select(
        "patient_id",
        *(
            pl.coalesce(pl.col(f"{name}_told").cast(known.schema[name]), name).alias(name)
            if f"{name}_told" in joined.columns
            else name
            for name in known.columns[1:]
        ),
        *(name for name in told.columns[1:] if name not in known.columns),
    )


def holds(cases: Cases, facts: pl.DataFrame) -> pl.Expr:
    """Return whether one of the cases holds, in three values (missing = unknown)."""
    return reduce(or_, (reduce(and_, (_compare(condition, facts) for condition in case)) for case in cases))


def _compare(condition: Condition, facts: pl.DataFrame) -> pl.Expr:
    if condition.key not in facts.columns:
        return _active_lesions(condition, facts)
    column, value = pl.col(condition.key), condition.value
    if condition.fact == "active_lesions_n":
        return pl.coalesce(_OPERATORS[condition.op](column, value), _active_lesions(condition, facts))
    if isinstance(value, tuple):
        if condition.op == "in":
            return column.is_in(list(value))
        low, high = float(value[0]), float(value[1])
        # "18 to 50 years" includes the year that begins with the fiftieth birthday
        return (column >= low) & ((column < high + 1) if condition.fact == "age_years" else (column <= high))
    return _OPERATORS[condition.op](column, value)


def _active_lesions(condition: Condition, facts: pl.DataFrame) -> pl.Expr:
    """Return whether the lesions of each kind already make so many active ones; missing for any other fact."""
    parts = [f"{kind}_{condition.window_months}m" for kind in ("gd_n", "new_t2_n", "new_or_enlarging_t2_n")]
    seen = [pl.col(name) for name in parts if name in facts.columns]
    if condition.fact != "active_lesions_n" or condition.op != ">=" or not seen:
        return pl.lit(None, pl.Boolean)
    assert isinstance(condition.value, (int, float))
    # of new lesions, and of new or enlarging ones, the larger number holds the smaller
    gd, *t2 = [pl.col(name) if name in facts.columns else pl.lit(None, pl.Float64) for name in parts]
    t2_n = pl.max_horizontal(*t2)
    at_least = gd.fill_null(0) + t2_n.fill_null(0) >= condition.value
    is_known = gd.is_not_null() & t2[1].is_not_null()
    return pl.when(at_least | is_known).then(at_least)


def _apply(rule: EligibilityRule, facts: pl.DataFrame, rule_set: RuleSet) -> pl.DataFrame:
    """Return one rule for each patient."""
    applies = holds(rule.applies_when, facts) if rule.applies_when else pl.lit(True)
    met = holds(rule.cases, facts) if rule.cases else pl.lit(None, pl.Boolean)
    if rule.kind == "exclude":
        met = ~met
    says_nothing = pl.lit(rule.kind == "note" and not rule.cases)
    # a rule that is met stands in nobody's way, whether it applies or not
    status = (
        pl.when(applies.eq_missing(pl.lit(False)) | says_nothing)
        .then(pl.lit("does not apply"))
        .when(met.eq_missing(pl.lit(True)))
        .then(pl.lit("met"))
        .when(met.eq_missing(pl.lit(False)) & applies.eq_missing(pl.lit(True)))
        .then(pl.lit("not met"))
        .otherwise(pl.lit("unknown"))
    )
    keys = list(dict.fromkeys(c.key for case in (*rule.applies_when, *rule.cases) for c in case))
    known = {key: pl.col(key).is_not_null() if key in facts.columns else pl.lit(False) for key in keys}
    found = [
        pl.when(known[key]).then(pl.format(f"{key} {{}}", _printed(key, facts)))
        for key in keys
        if key in facts.columns
    ]
    nothing = pl.lit([], pl.List(pl.String))
    missing = [pl.when(~is_known).then(pl.lit(key)) for key, is_known in known.items()]
    asked = pl.concat_list(missing).list.drop_nulls() if missing else nothing
    of_scope = dict.fromkeys(c.key for case in rule.applies_when for c in case)
    scope = [pl.when(~known[key]).then(pl.lit(key)) for key in of_scope]
    return facts.select(
        "patient_id",
        pl.lit(rule_set.id).alias("rule_set"),
        pl.lit(rule.id).alias("rule"),
        pl.lit(rule.kind).alias("kind"),
        pl.lit(rule.text).alias("text"),
        status.alias("status"),
        (pl.concat_str(found, separator=", ", ignore_nulls=True) if found else pl.lit("")).alias("found"),
        # only an open rule asks for anything
        pl.when(status == "unknown").then(asked).otherwise(nothing).alias("missing"),
        pl.lit(rule.seen).alias("seen"),
        applies.alias("_applies"),
        (pl.concat_list(scope).list.drop_nulls() if scope else nothing).alias("_scope"),
    ).cast(RULES | {"_applies": pl.Boolean(), "_scope": pl.List(pl.String())})  # type: ignore[arg-type]


def _printed(key: str, facts: pl.DataFrame) -> pl.Expr:
    if not facts.schema[key].is_float():
        return pl.col(key).cast(pl.String)
    rounded = pl.col(key).round(1)
    whole = rounded == rounded.round(0)
    return (
        pl.when(whole)
        .then(rounded.cast(pl.Int64, strict=False).cast(pl.String))
        .otherwise(rounded.cast(pl.String))
    )


def _whole_set(rule_set: RuleSet, of_rules: list[pl.DataFrame], facts: pl.DataFrame) -> pl.DataFrame:
    """Return one set for each patient, from its rules."""
    pairs = list(zip(rule_set.rules, of_rules, strict=True))
    wide = pl.DataFrame(
        [frame["status"].alias(rule.id) for rule, frame in pairs]
        + [frame["missing"].alias(f"missing {rule.id}") for rule, frame in pairs]
        + [frame["_applies"].alias(f"applies {rule.id}") for rule, frame in pairs]
        + [frame["_scope"].alias(f"scope {rule.id}") for rule, frame in pairs]
    )
    required = [rule for rule in rule_set.rules if rule.is_required]
    groups: dict[str, list[EligibilityRule]] = {}
    for rule in required:
        groups.setdefault(rule.group or rule.id, []).append(rule)
    verdicts = {name: alternatives([pl.col(rule.id) for rule in rules]) for name, rules in groups.items()}
    wide = wide.with_columns(verdict.alias(f"group {name}") for name, verdict in verdicts.items())
    columns = [f"group {name}" for name in verdicts]

    def count(value: str) -> pl.Expr:
        return pl.sum_horizontal((pl.col(name) == value).cast(pl.Int64) for name in columns)

    preferred = [rule.id for rule in rule_set.rules if rule.kind == "prefer"]
    includes = [rule.id for rule in rule_set.rules if rule.kind in ("include", "refer")]
    covered = pl.any_horizontal(f"applies {id}" for id in includes)  # missing where nobody can tell
    recalled = [rule.id for rule in required if rule.seen == "recalled"]
    names = {name: " or ".join(rule.id for rule in rules) for name, rules in groups.items()}
    not_met = pl.concat_list(
        pl.when(pl.col(f"group {name}") == "not met").then(pl.lit(ids)) for name, ids in names.items()
    ).list.drop_nulls()
    nothing = pl.lit([], pl.List(pl.String))
    asked = pl.concat_list(
        pl.when(pl.col(f"group {rule.group or rule.id}") == "unknown")
        .then(f"missing {rule.id}")
        .otherwise(nothing)
        for rule in required
    ).list.unique(maintain_order=True)
    scope = pl.concat_list(
        pl.when(pl.col(f"applies {id}").is_null()).then(f"scope {id}").otherwise(nothing) for id in includes
    )
    asked = (
        pl.when(covered.is_null())
        .then(pl.concat_list(asked, scope).list.unique(maintain_order=True))
        .otherwise(asked)
    )
    result = wide.select(
        facts["patient_id"],
        pl.lit(rule_set.id).alias("rule_set"),
        pl.lit(rule_set.year, pl.Int64).alias("year"),
        pl.when(~covered)
        .then(pl.lit("not covered"))
        .when(count("not met") > 0)
        .then(pl.lit("not met"))
        .when((count("unknown") > 0) | covered.is_null())
        .then(pl.lit("unknown"))
        .otherwise(pl.lit("met"))
        .alias("status"),
        (count("met") + count("not met") + count("unknown")).alias("n_required"),
        count("met").alias("n_met"),
        count("not met").alias("n_not_met"),
        count("unknown").alias("n_unknown"),
        pl.sum_horizontal((pl.col(id) != "does not apply").cast(pl.Int64) for id in preferred).alias(
            "n_preferred"
        )
        if preferred
        else pl.lit(0, pl.Int64).alias("n_preferred"),
        pl.sum_horizontal((pl.col(id) == "met").cast(pl.Int64) for id in preferred).alias("n_preferred_met")
        if preferred
        else pl.lit(0, pl.Int64).alias("n_preferred_met"),
        not_met.alias("not_met"),
        asked.alias("missing"),
        (
            pl.any_horizontal(pl.col(id) != "does not apply" for id in recalled)
            if recalled
            else pl.lit(False)
        ).alias("rests_on_recalled"),
    )
    settles = (pl.col("status") == "unknown") & (pl.col("missing").list.len() == 1)
    return result.with_columns(
        pl.when(settles).then(pl.col("missing").list.first()).alias("settled_by")
    ).select(pl.col(name).cast(dtype) for name, dtype in SETS.items())


def alternatives(rules: list[pl.Expr]) -> pl.Expr:
    """Return the verdict on rules of which one suffices."""
    return (
        pl.when(pl.any_horizontal(rule == "met" for rule in rules))
        .then(pl.lit("met"))
        .when(pl.any_horizontal(rule == "unknown" for rule in rules))
        .then(pl.lit("unknown"))
        .when(pl.all_horizontal(rule == "does not apply" for rule in rules))
        .then(pl.lit("does not apply"))
        .otherwise(pl.lit("not met"))
    )
