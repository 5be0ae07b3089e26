"""The seven questions, each answered by one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from ahsct.errors import RequestError
from ahsct.evidence.activity import activity, disability
from ahsct.evidence.answers import Answer
from ahsct.evidence.check import find_evidence_problems
from ahsct.evidence.comparisons import against_drugs
from ahsct.evidence.intensity import brain_volume, intensity
from ahsct.evidence.mortality import mortality
from ahsct.evidence.new_study import new_study
from ahsct.evidence.pooling import Settings
from ahsct.evidence.read import Evidence, require_sound

QUESTIONS: Mapping[int, str] = {
    1: "Mortality from the transplant",
    2: "Free of disease activity",
    3: "Progression, relapses, lesions, improvement",
    4: "Does intensity matter?",
    5: "Brain volume",
    6: "Against drugs",
    7: "Where does a new study stand?",
}


def answer(
    evidence: Evidence,
    question: int,
    *,
    settings: Settings | None = None,
    rule: str = "recorded",
    results: pl.DataFrame | None = None,
) -> Answer:
    """Answer one of the seven questions from the evidence.

    Parameters
    ----------
    question
        1 to 7, see `QUESTIONS`.
    settings
        How pools are made; None: the defaults.
    rule
        How regimens are classed by intensity: "recorded" (as the sources do), "cy_atg_intermediate", "cy_atg_low".
    results
        For question 7: the results of a study, schema RESULTS (`read_results`).

    Raises
    ------
    RequestError
        There is no such question, or a setting is unknown.
    StudyError
        The evidence has errors: nothing is pooled from it.

    Examples
    --------
    >>> from ahsct.evidence.read import read_evidence
    >>> answer(read_evidence(), 1).results.filter(pl.col("subgroup").is_null())["n_events"][0]
    11
    """
    if question not in QUESTIONS:
        raise RequestError(
            f"No question {question}; there are 1 to {len(QUESTIONS)}: {'; '.join(QUESTIONS.values())}."
        )
    if results is not None and question != 7:
        raise RequestError("A study's results are placed by question 7.")
    require_sound(evidence, find_evidence_problems(evidence))
    made = settings or Settings()
    answers: Mapping[int, Callable[[], Answer]] = {
        1: lambda: mortality(evidence, made, rule=rule),
        2: lambda: activity(evidence, made),
        3: lambda: disability(evidence, made),
        4: lambda: intensity(evidence, made, rule=rule),
        5: lambda: brain_volume(evidence),
        6: lambda: against_drugs(evidence, made),
        7: lambda: new_study(evidence, made, results),
    }
    return answers[question]()
