"""The one pipeline: a study and a definition become an analysis."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from ahsct.definitions import Definition, load_definition
from ahsct.estimates import Estimates, estimate_outcomes
from ahsct.outcomes import Outcomes, derive_outcomes
from ahsct.studies import clear_published, list_examples, published_numbers
from ahsct.tables import Study, check, cut_off
from ahsct.vocabulary import FLOW, from_rows

_LIBRARIES = ("ahsct", "numpy", "scipy", "polars", "numba", "matplotlib")


@dataclass(frozen=True)
class Analysis:
    """A study, a definition, and all that followed from them.

    `provenance` holds hashes and versions; no date.
    """

    study: Study
    definition: Definition
    outcomes: Outcomes
    estimates: Estimates
    provenance: Mapping[str, Any]


def analyse(
    study: Study, definition: str | Path | Definition = "atkins2016", *, cutoff: str | None = None
) -> Analysis:
    """Return the analysis of a study under a definition.

    Parameters
    ----------
    study
        A study; it is checked here (patients set aside before stay so).
    definition
        The id of a shipped definition, a TOML file, or a definition.
    cutoff
        Data cut-off, an ISO date: every patient's follow-up ends there; the rows left out are
        counted in the flow.

    Raises
    ------
    StudyError
        The study has errors; all of them are in its `problems`.
    DefinitionError
        The definition is unknown or not valid.
    RequestError
        The cut-off is no date, or the study has no dates.

    Examples
    --------
    >>> from ahsct import load_example
    >>> analysis = analyse(load_example("atkins2016"))
    >>> analysis.definition.id
    'atkins2016'
    """
    rules = load_definition(definition)
    study = check(study)
    left_out = None
    if cutoff is not None:
        study, left_out = cut_off(study, cutoff)
    outcomes = derive_outcomes(study, rules)
    if left_out is not None and cutoff is not None:
        outcomes = replace(outcomes, flow=pl.concat([_cutoff_rows(study, left_out, cutoff), outcomes.flow]))
    estimates = estimate_outcomes(study, outcomes, rules)
    if study.data_kind == "reconstructed" and study.study_id in list_examples():
        estimates = replace(
            estimates, results=clear_published(estimates.results, published_numbers(study.study_id))
        )
    provenance = {
        "study": {
            "study_id": study.study_id,
            "data_kind": study.data_kind,
            "sha256": study.content_hash,
            "sources": dict(study.sources),
        },
        "definition": {"id": rules.id, "sha256": rules.hash},
        "cutoff": cutoff,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
    }
    return Analysis(
        study=study, definition=rules, outcomes=outcomes, estimates=estimates, provenance=provenance
    )


def _cutoff_rows(study: Study, left_out: pl.DataFrame, cutoff: str) -> pl.DataFrame:
    return from_rows(
        (
            {
                "step": "data cut-off",
                "population": f"rows of {table}",
                "arm": "",
                "n": study.table(table).height,
                "n_left_out": n_left_out,
                "reason": f"dated after the cut-off of {cutoff}",
            }
            for table, n_left_out in left_out.iter_rows()
        ),
        FLOW,
    )
