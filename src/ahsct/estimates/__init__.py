"""What the outcomes say about the treatment: functions from an outcomes table to rows of results."""

from ahsct.estimates.adverse_events import adverse_event_rates, worst_grades
from ahsct.estimates.before_after import before_after_rates
from ahsct.estimates.broken_stick import broken_stick
from ahsct.estimates.cause_specific import cause_specific_hazards
from ahsct.estimates.competing import aalen_johansen
from ahsct.estimates.competing_npmle import competing_npmle
from ahsct.estimates.cox import cox, fit_cox
from ahsct.estimates.cox_curves import predicted_curves
from ahsct.estimates.estimand_values import values_under
from ahsct.estimates.estimate import Estimates, estimate_outcomes
from ahsct.estimates.event_imputation import event_tipping_point, impute_events, imputed_milestone
from ahsct.estimates.fine_gray import fine_gray
from ahsct.estimates.follow_up_periods import censoring_periods
from ahsct.estimates.gray_test import gray_test
from ahsct.estimates.hierarchical import Level, win_statistics
from ahsct.estimates.illness_death import illness_death
from ahsct.estimates.imputation import imputed_difference, tipping_point
from ahsct.estimates.informative_censoring import (
    censoring_bounds,
    censoring_weighted_survival,
    censoring_weights,
)
from ahsct.estimates.interval_regression import interval_regression
from ahsct.estimates.interval_tests import interval_log_rank
from ahsct.estimates.kaplan_meier import kaplan_meier, reverse_kaplan_meier
from ahsct.estimates.landmark import landmark
from ahsct.estimates.log_rank import log_rank
from ahsct.estimates.maic import maic_balance, maic_weights
from ahsct.estimates.matching import match_patients
from ahsct.estimates.mean_cumulative import mean_count, mean_cumulative_function
from ahsct.estimates.milestone_differences import milestone_difference
from ahsct.estimates.milestones import milestone
from ahsct.estimates.negative_binomial import negative_binomial_rates
from ahsct.estimates.paired_change import paired_change
from ahsct.estimates.panel_fit import fit_panel_markov, transition_probabilities
from ahsct.estimates.panel_markov import panel_markov
from ahsct.estimates.patient_weights import effective_sample_size
from ahsct.estimates.permutation import permutation_log_rank
from ahsct.estimates.propensity import covariate_balance, propensity_weights
from ahsct.estimates.proportion_comparisons import mcnemar, proportion_difference, proportion_ratio
from ahsct.estimates.proportional_hazards import proportional_hazards_test
from ahsct.estimates.proportional_odds import proportional_odds
from ahsct.estimates.proportions import exact_proportion
from ahsct.estimates.quantiles import median_time, quantile_time
from ahsct.estimates.rates import exact_rate, rate_ratio
from ahsct.estimates.recurrent import recurrent_ratios
from ahsct.estimates.repeated_measures import visit_means
from ahsct.estimates.restricted_mean import restricted_mean, restricted_mean_difference
from ahsct.estimates.shift_table import shift_table
from ahsct.estimates.slopes import mean_slope
from ahsct.estimates.states import occupation_at, state_occupation
from ahsct.estimates.stratified import mantel_haenszel
from ahsct.estimates.target_trial import ProtocolPart, TargetTrial, with_target_trial
from ahsct.estimates.turnbull import turnbull
from ahsct.estimates.unmeasured_confounding import e_value
from ahsct.estimates.weighted_comparison import weighted_kaplan_meier, weighted_survival_difference
from ahsct.estimates.without_treatment import simulate_without_treatment

__all__ = [
    "Estimates",
    "Level",
    "ProtocolPart",
    "TargetTrial",
    "aalen_johansen",
    "adverse_event_rates",
    "before_after_rates",
    "broken_stick",
    "cause_specific_hazards",
    "censoring_bounds",
    "censoring_periods",
    "censoring_weighted_survival",
    "censoring_weights",
    "competing_npmle",
    "covariate_balance",
    "cox",
    "e_value",
    "effective_sample_size",
    "estimate_outcomes",
    "event_tipping_point",
    "exact_proportion",
    "exact_rate",
    "fine_gray",
    "fit_cox",
    "fit_panel_markov",
    "gray_test",
    "illness_death",
    "impute_events",
    "imputed_difference",
    "imputed_milestone",
    "interval_log_rank",
    "interval_regression",
    "kaplan_meier",
    "landmark",
    "log_rank",
    "maic_balance",
    "maic_weights",
    "mantel_haenszel",
    "match_patients",
    "mcnemar",
    "mean_count",
    "mean_cumulative_function",
    "mean_slope",
    "median_time",
    "milestone",
    "milestone_difference",
    "negative_binomial_rates",
    "occupation_at",
    "paired_change",
    "panel_markov",
    "permutation_log_rank",
    "predicted_curves",
    "propensity_weights",
    "proportion_difference",
    "proportion_ratio",
    "proportional_hazards_test",
    "proportional_odds",
    "quantile_time",
    "rate_ratio",
    "recurrent_ratios",
    "restricted_mean",
    "restricted_mean_difference",
    "reverse_kaplan_meier",
    "shift_table",
    "simulate_without_treatment",
    "state_occupation",
    "tipping_point",
    "transition_probabilities",
    "turnbull",
    "values_under",
    "visit_means",
    "weighted_kaplan_meier",
    "weighted_survival_difference",
    "win_statistics",
    "with_target_trial",
    "worst_grades",
]
