"""Question 6: against drugs. Randomised, matched and unadjusted comparisons, each pooled apart, never with single arms."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from ahsct.evidence.answers import (
    POOL_COLUMNS,
    Answer,
    Panel,
    Sheet,
    join_results,
    panel_of,
    pool_row,
    pool_text,
    ratio,
)
from ahsct.evidence.entries import Entry, collect
from ahsct.evidence.pooling import Pool, Settings, pool
from ahsct.evidence.read import Evidence, seen_results

_KINDS = {"randomised": "randomised", "matched": "matched or weighted", "unadjusted": "unadjusted"}
_OUTCOMES: dict[str, tuple[str, tuple[str, ...]]] = {
    "progression": ("Disability progression", ("progression", "progression_free")),
    "relapse": ("Relapse", ("relapse_rate", "relapse_free")),
    "activity": ("Any disease activity", ("activity_free",)),
    "mri": ("MRI activity", ("mri_free",)),
    "improvement": ("Improvement", ("improved",)),
}


def against_drugs(evidence: Evidence, settings: Settings) -> Answer:
    """Answer question 6: ratios below 1 favour the transplant, but for improvement."""
    panels: list[Panel] = []
    rows, results = [], []
    pools: dict[tuple[str, str], Pool] = {}
    for name, (title, outcomes) in _OUTCOMES.items():
        for kind, words in _KINDS.items():
            entries = contrasts(evidence, outcomes, kind)
            if not entries:
                continue
            one = pool(entries, evidence.overlaps, measure="ratio", settings=settings)
            pools[name, kind] = one
            better = "above" if name == "improvement" else "below"
            panels.append(panel_of(one, id=f"drugs-{name}-{kind}", title=f"{title}: {words} comparisons", unit="ratio",
                                   caption=f"Ratios {better} 1 favour the transplant."))  # fmt: skip
            rows.append(pool_row(f"{title}, {words}", one))
            results.append(one.rows(endpoint=name, subgroup=words))
    trial, matched = pools.get(("progression", "randomised")), pools.get(("progression", "matched"))
    first = (
        f"In the randomised trial that prints an interval the hazard of progression is {pool_text(trial) if trial else 'not known'} times that on "
        f"drugs; matched comparisons without a shared patient give {pool_text(matched) if matched else 'nothing'}, and single ones of them "
        f"run from {_run(matched)}."
    )
    second = (
        "The comparator drugs are a mix that in part is no longer the strongest, matched comparisons keep what was not measured, and "
        "several of them may hold the same transplanted patients, so that only one of each such group is pooled; the trials against the "
        "strongest drugs have no result in the texts read."
    )
    return Answer(
        number=6, title="Against drugs", question="What does the transplant do that drugs do not?", sentences=(first, second),
        panels=tuple(panels), scatters=(),
        sheets=(
            Sheet(id="drugs-pools", caption="Ratios of transplant to drugs, by kind of comparison", columns=POOL_COLUMNS, rows=tuple(rows)),
            _every(evidence),
            _running(evidence),
        ),
        results=join_results(results),
        notes=("Comparisons of two percentages without an interval are in the table and in no pool.",),
    )  # fmt: skip


def contrasts(evidence: Evidence, outcomes: Sequence[str], kind: str) -> list[Entry]:
    """Return the comparisons of one kind; one within a study (regimens, enhancement) is none of them.

    Examples
    --------
    >>> from ahsct.evidence.read import read_evidence
    >>> [one.study_id for one in contrasts(read_evidence(), ("progression",), "randomised")]
    ['mist2019']
    """
    return [one for one in collect(evidence, tuple(outcomes), kind="contrast") if one.comparison == kind]


def _run(matched: Pool | None) -> str:
    if matched is None:
        return "nothing to nothing"
    values = [
        one.estimate
        for one in (*matched.selection.chosen, *(one for one, _ in matched.selection.left_out))
        if one.estimate
    ]
    return f"{min(values):.2f} to {max(values):.2f}"


def _every(evidence: Evidence) -> Sheet:
    """Return every comparison with a drug as printed."""
    names = dict(evidence.studies.select("study_id", "citation").iter_rows())
    found = seen_results(evidence).filter(pl.col("comparison").is_in(list(_KINDS)))
    rows = []
    for row in found.iter_rows(named=True):
        effect = (
            f"{row['effect_measure']} {ratio(row['effect'], row['effect_lower'], row['effect_upper'])}"
            if row["effect"] is not None
            else ""
        )
        value = row["printed"] or (
            "" if row["estimate"] is None else f"{row['estimate']:g} {row['unit'] or ''}".strip()
        )
        pair = f"{value} against {row['comparator_estimate']}" if row["comparator_estimate"] else value
        rows.append(
            (
                names[row["study_id"]],
                row["endpoint"],
                row["comparator"] or "",
                _KINDS[row["comparison"]],
                pair,
                effect,
                row["p_value"] or "",
            )
        )
    return Sheet(id="drugs-every", caption="Every comparison with drugs, as printed",
                 columns=("Study", "Endpoint", "Against", "Kind", "Values", "Effect (95 %)", "p"), rows=tuple(rows))  # fmt: skip


def _running(evidence: Evidence) -> Sheet:
    """Return the randomised trials without a published result."""
    with_result = set(evidence.results.filter(pl.col("kind") != "design")["study_id"])
    found = evidence.studies.filter(
        (pl.col("design") == "rct") & ~pl.col("study_id").is_in(list(with_result))
    )
    rows = [
        (
            row["citation"],
            row["country"] or "",
            row["regimen"] or "",
            row["control_arm"] or "",
            row["note"] or "",
        )
        for row in found.iter_rows(named=True)
    ]
    return Sheet(id="drugs-trials", caption="Randomised trials without a published result",
                 columns=("Trial", "Country", "Regimen", "Against", "Note"), rows=tuple(rows))  # fmt: skip
