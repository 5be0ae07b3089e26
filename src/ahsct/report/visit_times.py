"""The table that shows what treating visit times as exact changed."""

from __future__ import annotations

from collections.abc import Sequence

from ahsct.definitions import Definition
from ahsct.report.formats import interval
from ahsct.report.tables import Row, Table, estimate_text, text_table
from ahsct.report.words import endpoint_label, estimand_label

_DETECTED = "detected_survival_probability"
_INTERVAL = "interval_censored_survival_probability"
_CHANGE = "interval_censored_minus_detected"


def visit_time_table(rows: Sequence[Row], definition: Definition) -> Table | None:
    """Return each endpoint as detected and interval-censored, side by side; nothing is computed for the page."""
    groups: dict[tuple[str, str, str], dict[str, list[Row]]] = {}
    for row in rows:
        if row["statistic"] in (_DETECTED, _INTERVAL, _CHANGE):
            key = (row["endpoint"], row["estimand"], row["arm"])
            groups.setdefault(key, {}).setdefault(row["statistic"], []).append(row)
    has_arms = len({arm for _, _, arm in groups}) > 1
    printed = [
        (
            endpoint_label(definition, endpoint),
            estimand_label(definition, estimand),
            arm if has_arms else "",
            _text(found[_DETECTED]),
            _text(found[_INTERVAL]),
            estimate_text(found[_CHANGE][0]),
        )
        for (endpoint, estimand, arm), found in groups.items()
        if found.keys() >= {_DETECTED, _INTERVAL, _CHANGE}
    ]
    return text_table(
        "visit_times",
        "What treating the day of detection as the day of the event changed, at the primary milestone",
        ("Endpoint", "Way of counting", "Arm", "As detected", "Interval-censored", "Change"),
        printed,
    )


def _text(rows: Sequence[Row]) -> str:
    """Return the estimate with each of its intervals."""
    if rows[0].get("hidden"):
        return estimate_text(rows[0])
    limits = [f"{interval(row)}, {row['method']}" for row in rows if row["lower"] is not None]
    if not limits:
        limits = [row["note"] for row in rows if row["note"]][:1]
    return "; ".join([estimate_text(rows[0]), *limits])
