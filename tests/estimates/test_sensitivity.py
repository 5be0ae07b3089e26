"""How the primary number moves with the rule for unconfirmed changes, on three patients worked by hand."""

import polars as pl
import pytest

from ahsct.definitions import load_definition
from ahsct.estimates.sensitivity import sensitivity_rows
from ahsct.outcomes import derive_outcomes
from ahsct.tables import make_study

YEAR = 365
DAYS = [-70, -10, 180, 365, 550, 730, 915, 1090, 1280]


def study(last_scores: dict[str, float]) -> object:
    """Three patients seen twice a year; the last score of some is two points worse and never confirmed."""
    people = ["a", "b", "c"]
    rows = [(p, day, last_scores.get(p, 4.0) if day == DAYS[-1] else 4.0) for p in people for day in DAYS]
    each = pl.DataFrame({"patient_id": people})
    return make_study(
        "three",
        data_kind="simulated",
        patients=each,
        visits=pl.DataFrame(rows, schema=["patient_id", "visit_day", "edss"], orient="row"),
        relapses=pl.DataFrame(schema={"patient_id": pl.String, "onset_day": pl.Int64}),
        mri=pl.DataFrame(
            [(p, day, 0, 0) for p in people for day in (-10, 100, 365, 730, 1090, 1280)],
            schema=["patient_id", "scan_day", "gd_n", "new_t2_n"],
            orient="row",
        ),
        transplants=each.with_columns(mobilisation_start_day=pl.lit(-50), infusion_day=pl.lit(0)),
        follow_up=each.with_columns(last_contact_day=pl.lit(1280), vital_status=pl.lit("alive")),
    )


def rows_of(last_scores: dict[str, float], milestone_days: int) -> pl.DataFrame:
    from ahsct.definitions import vary

    definition = vary(
        load_definition("atkins2016"), primary_milestone_days=milestone_days, milestones_days=[milestone_days]
    )
    made = study(last_scores)
    rows = sensitivity_rows(made, derive_outcomes(made, definition), definition)  # type: ignore[arg-type]
    return rows.filter(pl.col("estimand") == "everyone_counted")


def test_nothing_unconfirmed_gives_the_same_number_under_every_rule() -> None:
    rows = rows_of({}, 1096)
    assert set(rows["term"]) == {"censor before onset", "censor at last visit", "event"}
    assert set(rows["estimate"]) == {1.0}
    assert set(rows["statistic"]) == {"sensitivity_survival_probability"}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("event", 2 / 3),  # one of three has the event on day 1280
        ("censor at last visit", 1.0),
    ],
)
def test_a_change_seen_only_at_the_last_visit(rule: str, expected: float) -> None:
    rows = rows_of({"a": 6.0}, 1280).filter(pl.col("term") == rule)
    detected = rows.filter(~pl.col("method").str.contains("Turnbull"))
    assert detected.height
    assert detected["estimate"].to_list() == pytest.approx([expected] * detected.height)


def test_the_own_rule_as_detected_is_the_headline_and_not_repeated() -> None:
    rows = rows_of({"a": 6.0}, 1280).filter(pl.col("term") == "censor before onset")
    assert rows["method"].str.contains("Turnbull").all()
