"""What the outcomes say about the treatment: functions from an outcomes table to rows of results."""

from ahsct.estimates.broken_stick import broken_stick
from ahsct.estimates.competing import aalen_johansen
from ahsct.estimates.estimand_values import values_under
from ahsct.estimates.estimate import Estimates, estimate_outcomes
from ahsct.estimates.event_imputation import event_tipping_point, impute_events, imputed_milestone
from ahsct.estimates.hierarchical import Level, win_statistics
from ahsct.estimates.imputation import imputed_difference, tipping_point
from ahsct.estimates.kaplan_meier import kaplan_meier, reverse_kaplan_meier
from ahsct.estimates.milestones import median_time, milestone, restricted_mean
from ahsct.estimates.paired_change import paired_change
from ahsct.estimates.proportional_odds import proportional_odds
from ahsct.estimates.proportions import exact_proportion
from ahsct.estimates.rates import exact_rate, rate_ratio
from ahsct.estimates.repeated_measures import visit_means
from ahsct.estimates.shift_table import shift_table
from ahsct.estimates.slopes import mean_slope
from ahsct.estimates.turnbull import turnbull

__all__ = [
    "Estimates",
    "Level",
    "aalen_johansen",
    "broken_stick",
    "estimate_outcomes",
    "event_tipping_point",
    "exact_proportion",
    "exact_rate",
    "impute_events",
    "imputed_difference",
    "imputed_milestone",
    "kaplan_meier",
    "mean_slope",
    "median_time",
    "milestone",
    "paired_change",
    "proportional_odds",
    "rate_ratio",
    "restricted_mean",
    "reverse_kaplan_meier",
    "shift_table",
    "tipping_point",
    "turnbull",
    "values_under",
    "visit_means",
    "win_statistics",
]
