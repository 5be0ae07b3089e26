"""Rule sets side by side: where they disagree, whom each rule removes, who misses by one."""

from __future__ import annotations

import polars as pl

from ahsct.definitions.eligibility import EligibilityRule, RuleSet
from ahsct.eligibility.assess import Eligibility, alternatives

_FLOW = {
    "rule": pl.String(), "text": pl.String(), "n_before": pl.Int64(), "n_removed": pl.Int64(), "n_open": pl.Int64(),
    "n_left": pl.Int64(), "n_removed_alone": pl.Int64(),
}  # fmt: skip


def disagreements(eligibility: Eligibility) -> pl.DataFrame:
    """Return the patients whom some sets accept and others do not: `patient_id`, `accepted_by`, `refused_by`, `open_in`."""

    def sets(status: str) -> pl.Expr:
        return pl.col("rule_set").filter(pl.col("status") == status).sort()

    return (
        eligibility.rule_sets.group_by("patient_id", maintain_order=True)
        .agg(
            sets("met").alias("accepted_by"),
            sets("not met").alias("refused_by"),
            sets("unknown").alias("open_in"),
        )
        .filter((pl.col("accepted_by").list.len() > 0) & (pl.col("refused_by").list.len() > 0))
    )


def rule_flow(eligibility: Eligibility, rule_set: RuleSet) -> pl.DataFrame:
    """Return whom each required rule removes, one after another, as CONSORT counts.

    Returns
    -------
    pl.DataFrame
        `rule`, `text`, `n_before`, `n_removed` (not met), `n_open` (unknown; kept), `n_left`,
        `n_removed_alone` (would fail this rule in the whole cohort). Alternatives are one step.
    """
    mine = eligibility.rules.filter(pl.col("rule_set") == rule_set.id)
    wide = mine.pivot(on="rule", index="patient_id", values="status", maintain_order=True)
    steps: dict[str, list[EligibilityRule]] = {}
    for rule in rule_set.rules:
        if rule.is_required:
            steps.setdefault(rule.group or rule.id, []).append(rule)
    rows, left = [], pl.Series([True]).new_from_index(0, wide.height)
    for rules in steps.values():
        verdict = wide.select(alternatives([pl.col(rule.id) for rule in rules])).to_series()
        fails = verdict == "not met"
        n_before = int(left.sum())
        left = left & ~fails
        rows.append(
            {
                "rule": " or ".join(rule.id for rule in rules),
                "text": ", or ".join(
                    f"no {rule.text}" if rule.kind == "exclude" else rule.text for rule in rules
                ),
                "n_before": n_before,
                "n_removed": n_before - int(left.sum()),
                "n_open": int((left & (verdict == "unknown")).sum()),
                "n_left": int(left.sum()),
                "n_removed_alone": int(fails.sum()),
            }
        )
    return pl.DataFrame(rows, schema=_FLOW)


def nearest_misses(eligibility: Eligibility) -> pl.DataFrame:
    """Return who fails a set by exactly one required rule: `patient_id`, `rule_set`, `rule`, `text`, `found`."""
    one = eligibility.rule_sets.filter(
        (pl.col("status") == "not met") & (pl.col("n_not_met") == 1) & (pl.col("n_unknown") == 0)
    ).select("patient_id", "rule_set", pl.col("not_met").list.first().alias("missed"))
    rules = eligibility.rules.filter(pl.col("status") == "not met")
    return (
        one.join(rules, on=["patient_id", "rule_set"], how="inner", maintain_order="left")
        .filter(pl.col("missed").str.split(" or ").list.contains(pl.col("rule")))
        .select("patient_id", "rule_set", "rule", "text", "found")
    )
