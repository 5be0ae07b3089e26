"""What the outcomes say about the treatment: functions from an outcomes table to rows of results."""

from ahsct.estimates.cause_specific import cause_specific_hazards
from ahsct.estimates.competing import aalen_johansen
from ahsct.estimates.competing_npmle import competing_npmle
from ahsct.estimates.estimate import Estimates, estimate_outcomes
from ahsct.estimates.fine_gray import fine_gray
from ahsct.estimates.gray_test import gray_test
from ahsct.estimates.illness_death import illness_death
from ahsct.estimates.interval_regression import interval_regression
from ahsct.estimates.interval_tests import interval_log_rank
from ahsct.estimates.kaplan_meier import kaplan_meier, reverse_kaplan_meier
from ahsct.estimates.milestones import median_time, milestone, restricted_mean
from ahsct.estimates.panel_fit import fit_panel_markov, transition_probabilities
from ahsct.estimates.panel_markov import panel_markov
from ahsct.estimates.proportions import exact_proportion
from ahsct.estimates.rates import exact_rate, rate_ratio
from ahsct.estimates.states import occupation_at, state_occupation
from ahsct.estimates.turnbull import turnbull

__all__ = [
    "Estimates",
    "aalen_johansen",
    "cause_specific_hazards",
    "competing_npmle",
    "estimate_outcomes",
    "exact_proportion",
    "exact_rate",
    "fine_gray",
    "fit_panel_markov",
    "gray_test",
    "illness_death",
    "interval_log_rank",
    "interval_regression",
    "kaplan_meier",
    "median_time",
    "milestone",
    "occupation_at",
    "panel_markov",
    "rate_ratio",
    "restricted_mean",
    "reverse_kaplan_meier",
    "state_occupation",
    "transition_probabilities",
    "turnbull",
]
