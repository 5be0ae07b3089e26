"""What the outcomes say about the treatment: functions from an outcomes table to rows of results."""

from ahsct.estimates.competing import aalen_johansen
from ahsct.estimates.cox import cox, fit_cox
from ahsct.estimates.cox_curves import predicted_curves
from ahsct.estimates.estimate import Estimates, estimate_outcomes
from ahsct.estimates.kaplan_meier import kaplan_meier, reverse_kaplan_meier
from ahsct.estimates.landmark import landmark
from ahsct.estimates.log_rank import log_rank
from ahsct.estimates.mean_cumulative import mean_count, mean_cumulative_function
from ahsct.estimates.milestone_differences import milestone_difference
from ahsct.estimates.milestones import milestone
from ahsct.estimates.permutation import permutation_log_rank
from ahsct.estimates.proportional_hazards import proportional_hazards_test
from ahsct.estimates.proportions import exact_proportion
from ahsct.estimates.quantiles import median_time, quantile_time
from ahsct.estimates.rates import exact_rate, rate_ratio
from ahsct.estimates.recurrent import recurrent_ratios
from ahsct.estimates.restricted_mean import restricted_mean, restricted_mean_difference
from ahsct.estimates.turnbull import turnbull

__all__ = [
    "Estimates",
    "aalen_johansen",
    "cox",
    "estimate_outcomes",
    "exact_proportion",
    "exact_rate",
    "fit_cox",
    "kaplan_meier",
    "landmark",
    "log_rank",
    "mean_count",
    "mean_cumulative_function",
    "median_time",
    "milestone",
    "milestone_difference",
    "permutation_log_rank",
    "predicted_curves",
    "proportional_hazards_test",
    "quantile_time",
    "rate_ratio",
    "recurrent_ratios",
    "restricted_mean",
    "restricted_mean_difference",
    "reverse_kaplan_meier",
    "turnbull",
]
