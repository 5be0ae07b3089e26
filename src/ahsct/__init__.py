"""ahsct: from a study's tables to the answer, for trials of aHSCT in multiple sclerosis.

Names load on first use (PEP 562), so that `ahsct --help` imports nothing heavy.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "AhsctError": "errors",
    "SourceError": "errors",
    "TableError": "errors",
    "StudyError": "errors",
    "DefinitionError": "errors",
    "RequestError": "errors",
    "run_chunks": "chunks",
    "random_stream": "chunks",
    "load_definition": "definitions",
    "vary": "definitions",
    "list_definitions": "definitions",
    "list_grids": "definitions",
    "load_grid": "definitions",
    "DisabilityRule": "definitions",
    "Definition": "definitions",
    "Study": "tables",
    "read_study": "tables",
    "make_study": "tables",
    "find_problems": "tables",
    "check": "tables",
    "cut_off": "tables",
    "write_study": "tables",
    "load_example": "studies",
    "published_numbers": "studies",
    "derive_relapses": "outcomes",
    "derive_mri_activity": "outcomes",
    "derive_disability": "outcomes",
    "derive_time_to_event": "outcomes",
    "derive_outcomes": "outcomes",
    "derive_stays": "outcomes",
    "derive_edss_panel": "outcomes",
    "kaplan_meier": "estimates",
    "reverse_kaplan_meier": "estimates",
    "aalen_johansen": "estimates",
    "turnbull": "estimates",
    "interval_regression": "estimates",
    "interval_log_rank": "estimates",
    "gray_test": "estimates",
    "fine_gray": "estimates",
    "cause_specific_hazards": "estimates",
    "competing_npmle": "estimates",
    "state_occupation": "estimates",
    "occupation_at": "estimates",
    "panel_markov": "estimates",
    "illness_death": "estimates",
    "milestone": "estimates",
    "median_time": "estimates",
    "restricted_mean": "estimates",
    "exact_proportion": "estimates",
    "exact_rate": "estimates",
    "rate_ratio": "estimates",
    "proportion_difference": "estimates",
    "before_after_rates": "estimates",
    "negative_binomial_rates": "estimates",
    "adverse_event_rates": "estimates",
    "mantel_haenszel": "estimates",
    "propensity_weights": "estimates",
    "weighted_kaplan_meier": "estimates",
    "estimate_outcomes": "estimates",
    "cox": "estimates",
    "fit_cox": "estimates",
    "proportional_hazards_test": "estimates",
    "predicted_curves": "estimates",
    "log_rank": "estimates",
    "mean_cumulative_function": "estimates",
    "mean_count": "estimates",
    "recurrent_ratios": "estimates",
    "quantile_time": "estimates",
    "restricted_mean_difference": "estimates",
    "milestone_difference": "estimates",
    "permutation_log_rank": "estimates",
    "landmark": "estimates",
    "read_evidence": "evidence",
    "find_evidence_problems": "evidence",
    "fit_random_effects": "evidence",
    "binomial_normal": "evidence",
    "analyse": "analysis",
    "multiverse": "multiverses",
    "write_report": "report",
    "plot_course": "report",
    "write_multiverse": "report",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'ahsct' has no attribute {name!r}")
    return getattr(import_module(f"ahsct.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
