"""Questions 2 and 3: free of disease activity, of progression, of relapses and of new lesions; improved."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import ndtri

from ahsct.evidence.answers import (
    POOL_COLUMNS,
    Answer,
    Sheet,
    join_results,
    left_out_sheet,
    panel_of,
    percent,
    pool_row,
    pool_text,
    ratio,
    with_limits,
)
from ahsct.evidence.entries import MS_TYPES, Entry, collect
from ahsct.evidence.pooling import Pool, Settings, pool
from ahsct.evidence.read import Evidence

TIMES = (2.0, 3.0, 5.0, 10.0)
_Z = float(ndtri(0.975))


@dataclass(frozen=True, kw_only=True)
class Periods:
    """Yearly risk in two periods of one group of patients, and the later hazard over the earlier with its limits."""

    entry: Entry
    times: tuple[float, float]
    yearly: tuple[float, float]
    ratio: tuple[float, float, float]


def activity(evidence: Evidence, settings: Settings) -> Answer:
    """Answer question 2: pools at 2, 3, 5 and 10 years, by MS type, and the shape over time."""
    pools = {at: _survival(evidence, "activity_free", at, settings) for at in TIMES}
    relapsing = _of_type(evidence, "activity_free", 5.0, settings, "rrms")
    shapes = hazard_periods(evidence, "activity_free") + hazard_periods(evidence, "progression_free")
    five = pools[5.0]
    first = (
        f"At 5 years {pool_text(five)} are free of disease activity, at 3 years {pool_text(pools[3.0])}, at 10 years {pool_text(pools[10.0])}; "
        "other cohorts print no interval and are shown beside the pools."
    )
    falling = [one for one in shapes if one.entry.study_id == "silfverberg2024"]
    second = (
        f"In Sweden the yearly risk falls from {percent(falling[0].yearly[0])} in the first five years to {percent(falling[0].yearly[1])} in the "
        f"next five (hazards {ratio(*falling[0].ratio)}), so that a constant risk does not fit there; whether this holds elsewhere cannot "
        "be said, for most reports print a percentage without its interval, by definitions that differ."
        if falling
        else "No cohort gives two times with intervals, so that the shape over time cannot be said."
    )
    rows = [pool_row(f"{at:g} years", one) for at, one in pools.items()]
    rows.append(pool_row("5 years, relapsing MS", relapsing))
    return Answer(
        number=2, title="Free of disease activity", question="How many stay free of relapses, new lesions and progression, and for how long?",
        sentences=(first, second),
        panels=tuple(
            panel_of(one, id=f"activity-{at:g}", title=f"Free of disease activity at {at:g} years",
                     caption="Filled: pooled; hollow: shown only, mostly because no interval is printed; grey: recalled.")
            for at, one in pools.items() if one.selection.chosen or one.selection.left_out
        ),
        scatters=(),
        sheets=(
            Sheet(id="activity-pools", caption="By time and type of MS", columns=POOL_COLUMNS, rows=tuple(rows)),
            _by_definition(evidence, pools),
            shape_sheet(shapes),
            left_out_sheet(five, "activity-left-out"),
        ),
        results=join_results([
            *(one.rows(endpoint="activity_free", time_years=at) for at, one in pools.items()),
            relapsing.rows(endpoint="activity_free", time_years=5.0, subgroup="relapsing MS"),
        ]),
        notes=(
            "Definitions differ in the threshold of the EDSS, its confirmation, the scans that count and whether a death is an event; "
            "the printed number of 2016 leaves the treatment death out.",
        ),
    )  # fmt: skip


def disability(evidence: Evidence, settings: Settings) -> Answer:
    """Answer question 3: free of progression, relapse and lesions at 5 years, and improved."""
    outcomes = {
        "progression_free": "Free of disability progression",
        "relapse_free": "Free of relapse",
        "mri_free": "Free of MRI activity",
    }
    pools = {name: _survival(evidence, name, 5.0, settings) for name in outcomes}
    by_type = {
        kind: _of_type(evidence, "progression_free", 5.0, settings, kind) for kind in ("rrms", "progressive")
    }
    improved = pool(
        collect(evidence, "improved", kind="proportion", complete=True),
        evidence.overlaps,
        measure="proportion",
        settings=settings,
    )
    progression, rrms, later = pools["progression_free"], by_type["rrms"], by_type["progressive"]
    first = (
        f"At 5 years {pool_text(progression)} are free of disability progression, in relapsing MS {pool_text(rrms)}, in progressive MS "
        f"{pool_text(later)}; of those assessed for it {pool_text(improved)} improved."
    )
    second = (
        f"Free of relapse are {pool_text(pools['relapse_free'])}, free of MRI activity {pool_text(pools['mri_free'])}; cohorts that print no "
        f"interval report {_span(pools['relapse_free'])} and {_span(pools['mri_free'])}, and a share improved counts those who could be "
        "assessed, not all who were transplanted."
    )
    panels = [
        panel_of(one, id=name.replace("_", "-"), title=f"{outcomes[name]} at 5 years",
                 caption="Filled: pooled; hollow: shown only; grey: recalled.")
        for name, one in pools.items()
    ]  # fmt: skip
    panels.append(panel_of(improved, id="improved", title="Disability improved, of those assessed", others=False,
                           caption="Each at its own time; a share of those assessed."))  # fmt: skip
    rows = [pool_row(f"{outcomes[name]}, 5 years", one) for name, one in pools.items()]
    rows += [
        pool_row(f"Free of progression, 5 years, {name}", one)
        for name, one in (("relapsing MS", rrms), ("progressive MS", later))
    ]
    rows.append(pool_row("Improved, of those assessed", improved))
    return Answer(
        number=3, title="Progression, relapses, lesions, improvement",
        question="How many stay free of progression, of relapses, of new lesions, and how many improve?",
        sentences=(first, second), panels=tuple(panels), scatters=(),
        sheets=(
            Sheet(id="disability-pools", caption="At 5 years, by type of MS", columns=POOL_COLUMNS, rows=tuple(rows)),
            shape_sheet(hazard_periods(evidence, "progression_free")),
            left_out_sheet(progression, "disability-left-out"),
        ),
        results=join_results([
            *(one.rows(endpoint=name, time_years=5.0) for name, one in pools.items()),
            *(one.rows(endpoint="progression_free", time_years=5.0, subgroup=kind) for kind, one in by_type.items()),
            improved.rows(endpoint="improved"),
        ]),
        notes=("Progression is any EDSS change above 0.5 in one report, 1.0 or more confirmed after 6 or 12 months in others: see the definitions.",),
    )  # fmt: skip


def hazard_periods(evidence: Evidence, outcome: str) -> list[Periods]:
    r"""Return, for every group with two landmark times and their intervals, the yearly risk before and between them.

    With $H = -\log S$ the increments of one Kaplan-Meier curve are uncorrelated, so that
    $\mathrm{var}(H_2 - H_1) = \mathrm{var}(H_2) - \mathrm{var}(H_1)$; where rounding of the printed limits makes that
    negative the group is left out. The ratio of the hazards has its limits on the log scale.

    Examples
    --------
    Sweden, 73 % at 5 and 65 % at 10 years: 6.1 % a year, then 2.3 %.

    >>> from ahsct.evidence.read import read_evidence
    >>> (sweden,) = [one for one in hazard_periods(read_evidence(), "activity_free") if one.entry.study_id == "silfverberg2024"]
    >>> [round(100 * risk, 1) for risk in sweden.yearly], [round(value, 2) for value in sweden.ratio]
    ([6.1, 2.3], [0.37, 0.16, 0.86])
    """
    early = {
        (one.study_id, one.subgroup): one
        for at in TIMES[:-1]
        for one in collect(evidence, outcome, kind="survival", at_years=at)
        if one.y is not None and one.is_pooled
    }
    found = []
    for last in (one for at in TIMES for one in collect(evidence, outcome, kind="survival", at_years=at)):
        first = early.get((last.study_id, last.subgroup))
        if (
            first is None
            or last.y is None
            or not last.is_pooled
            or (first.time_years or 0) >= (last.time_years or 0)
        ):
            continue
        h1, h2 = math.exp(first.y or 0.0), math.exp(last.y)
        v1, v2 = (h1 * (first.se or 0.0)) ** 2, (h2 * (last.se or 0.0)) ** 2
        if v2 <= v1 or h2 <= h1:
            continue
        t1, t2 = first.time_years or 0.0, last.time_years or 0.0
        rates = h1 / t1, (h2 - h1) / (t2 - t1)
        middle = math.log(rates[1] / rates[0])
        se = math.sqrt((v2 - v1) / (h2 - h1) ** 2 + v1 / h1**2)
        found.append(Periods(
            entry=last, times=(t1, t2), yearly=(1 - math.exp(-rates[0]), 1 - math.exp(-rates[1])),
            ratio=(math.exp(middle), math.exp(middle - _Z * se), math.exp(middle + _Z * se)),
        ))  # fmt: skip
    return found


def shape_sheet(shapes: list[Periods]) -> Sheet:
    """Return the yearly risks of two periods as a table."""
    rows = []
    for one in shapes:
        verdict = (
            "falls" if one.ratio[2] < 1 else "rises" if one.ratio[1] > 1 else "constant or changing: both fit"
        )
        t1, t2 = one.times
        rows.append((f"{one.entry.label}, {one.entry.subgroup}", one.entry.endpoint, f"0 to {t1:g}: {percent(one.yearly[0])}",
                     f"{t1:g} to {t2:g}: {percent(one.yearly[1])}", ratio(*one.ratio), verdict))  # fmt: skip
    return Sheet(id="shape", caption="The shape over time: yearly risk in an early and a late period of the same patients",
                 columns=("Cohort", "Endpoint", "Early years, a year", "Late years, a year", "Late over early hazard (95 %)", "The risk"),
                 rows=tuple(rows))  # fmt: skip


def _survival(evidence: Evidence, outcome: str, at: float, settings: Settings) -> Pool:
    return pool(
        collect(evidence, outcome, kind="survival", at_years=at),
        evidence.overlaps,
        measure="survival",
        settings=settings,
    )


def _of_type(evidence: Evidence, outcome: str, at: float, settings: Settings, kind: str) -> Pool:
    """Return the pool of groups that hold this type of MS only."""
    entries = [
        one
        for one in collect(evidence, outcome, kind="survival", at_years=at)
        if one.types <= MS_TYPES["relapsing" if kind == "rrms" else kind]
    ]
    return pool(entries, evidence.overlaps, measure="survival", settings=settings)


def _by_definition(evidence: Evidence, pools: dict[float, Pool]) -> Sheet:
    """Return every cohort's number with the definition that made it."""
    labels = {row["definition"]: row for row in evidence.definitions.iter_rows(named=True)}
    rows = []
    for at, one in pools.items():
        for entry in (*one.selection.chosen, *(entry for entry, _ in one.selection.left_out)):
            found = labels.get(entry.definition)
            rule = found["rule"] if found else "not in the text read"
            rows.append(
                (
                    f"{entry.label}, {entry.subgroup}",
                    f"{at:g}",
                    with_limits(entry.estimate, entry.lower, entry.upper),
                    rule,
                )
            )
    return Sheet(
        id="activity-definitions",
        caption="Each number with its definition",
        columns=("Study", "Years", "Free of activity", "An event is"),
        rows=tuple(rows),
    )


def _span(one: Pool) -> str:
    """Return the lowest and highest number that is shown for want of an interval."""
    shown = [
        entry.estimate
        for entry, reason in one.selection.left_out
        if entry.estimate is not None and "no interval" in reason
    ]
    return "nothing else" if not shown else f"{100 * min(shown):.0f} to {100 * max(shown):.0f} %"
