"""The one pipeline: a study and a definition become an analysis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ahsct.definitions import Definition, load_definition
from ahsct.estimates import Estimates, estimate_outcomes
from ahsct.outcomes import Outcomes, derive_outcomes
from ahsct.tables import Study, check


@dataclass(frozen=True)
class Analysis:
    """A study, a definition, and all that followed from them."""

    study: Study
    definition: Definition
    outcomes: Outcomes
    estimates: Estimates
    provenance: Mapping[str, Any]


def analyse(
    study: Study, definition: str | Path | Definition = "atkins2016", *, cutoff: str | None = None
) -> Analysis:
    """Return the analysis of a study under a definition.

    `cutoff` (an ISO date) ends every patient's follow-up on that day; later rows are left out and
    counted in the flow.
    """
    definition = load_definition(definition)
    study = check(study)
    outcomes = derive_outcomes(study, definition)
    estimates = estimate_outcomes(study, outcomes, definition)
    return Analysis(study=study, definition=definition, outcomes=outcomes, estimates=estimates, provenance={})
