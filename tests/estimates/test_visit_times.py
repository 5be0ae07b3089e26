"""What treating visit times as exact changed, on patients worked by hand and in the report."""

import polars as pl
import pytest

from ahsct.definitions import load_definition, vary
from ahsct.estimates.visit_times import visit_time_rows
from ahsct.report.visit_times import visit_time_table
from ahsct.vocabulary import RESULTS, TIME_TO_EVENT, conform

DEFINITION = vary(load_definition("atkins2016"), primary_milestone_days=365)


def table(
    rows: list[tuple[int, int | None]], *, endpoint: str = "activity_free_survival", **change: object
) -> pl.DataFrame:
    """Rows of (left, right] of one endpoint under `everyone_counted`."""
    frame = pl.DataFrame(
        {
            "patient_id": [f"p{i}" for i in range(len(rows))],
            "arm": "all",
            "endpoint": endpoint,
            "component": "composite",
            "definition": DEFINITION.id,
            "estimand": "everyone_counted",
            "population": "infused",
            "entry_day": 0,
            "left_day": [left for left, _ in rows],
            "right_day": [right for _, right in rows],
            "time_day": [left if right is None else right for left, right in rows],
            "is_event": [right is not None for _, right in rows],
            "cause": None,
            "is_evaluable": True,
        }
    ).with_columns(pl.lit(value).alias(name) for name, value in change.items())
    return conform(frame, TIME_TO_EVENT)


# seen at 180 and 400 days: 2 of 8 by day 180; 2 in (180, 400], detected after the milestone of day 365; 4 later
SEEN: list[tuple[int, int | None]] = [(0, 180)] * 2 + [(180, 400)] * 2 + [(400, None)] * 4


def test_three_rows_by_hand() -> None:
    rows = visit_time_rows(table(SEEN), DEFINITION)
    assert rows.schema == RESULTS
    by = {row["statistic"]: row for row in rows.iter_rows(named=True)}
    assert by["detected_survival_probability"]["estimate"] == pytest.approx(6 / 8)
    censored = by["interval_censored_survival_probability"]
    assert censored["estimate"] == pytest.approx(6 / 8)  # the mass of (180, 400] stands at its end
    # the two of (180, 400] may well have had it by day 365: the lower limit is that of 4 of 8
    fall = (
        8 * pl.Series([0.5]).log()[0] - 4 * pl.Series([censored["lower"], 1 - censored["lower"]]).log().sum()
    )
    assert 2 * fall == pytest.approx(3.841458820694124, rel=1e-6)
    assert by["interval_censored_minus_detected"]["estimate"] == 0
    assert by["interval_censored_minus_detected"]["lower"] is None


def test_a_late_detection_moves_the_curve() -> None:
    # one detected on day 360 after a visit on day 350, others seen free of it from 0 to 370 and later detected
    rows = visit_time_rows(table([(0, 200), (100, 370), (380, None), (380, None)]), DEFINITION)
    change = rows.filter(pl.col("statistic") == "interval_censored_minus_detected").row(0, named=True)
    # the intervals meet in (100, 200]: both events are placed there, one of them was detected after the milestone
    assert change["estimate"] == pytest.approx(2 / 4 - 3 / 4)


def test_what_has_no_rows_or_a_note() -> None:
    assert visit_time_rows(table([(100, 100), (380, None)]), DEFINITION).is_empty()  # known to the day
    competing = table(SEEN, cause="competing_death")
    assert visit_time_rows(competing, DEFINITION).is_empty()
    late = visit_time_rows(table(SEEN, entry_day=30), DEFINITION)
    censored = late.filter(pl.col("statistic") == "interval_censored_survival_probability").row(0, named=True)
    assert censored["estimate"] is None
    assert "delayed entry" in censored["note"]
    change = late.filter(pl.col("statistic") == "interval_censored_minus_detected").row(0, named=True)
    assert change["estimate"] is None


def test_every_endpoint_and_the_report() -> None:
    both = pl.concat([table(SEEN), table(SEEN, endpoint="progression_free_survival")])
    rows = visit_time_rows(both, DEFINITION)
    assert rows["endpoint"].unique(maintain_order=True).to_list() == [
        "activity_free_survival",
        "progression_free_survival",
    ]
    printed = visit_time_table(list(rows.iter_rows(named=True)), DEFINITION)
    assert printed is not None
    assert len(printed.rows) == 2
    assert "Turnbull" in printed.rows[0][printed.columns.index("Interval-censored")]
    assert visit_time_table([], DEFINITION) is None
