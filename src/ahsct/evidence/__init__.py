"""Published results as data, and what they say together."""

from ahsct.evidence.answers import Answer
from ahsct.evidence.check import find_evidence_problems
from ahsct.evidence.curve_patients import reconstruct_patients, reconstruction_error
from ahsct.evidence.entries import Entry, collect
from ahsct.evidence.glmm import binomial_normal, poisson_normal
from ahsct.evidence.new_study import read_results
from ahsct.evidence.overlap import Selection, select
from ahsct.evidence.pooling import Pool, Settings, pool
from ahsct.evidence.questions import QUESTIONS, answer
from ahsct.evidence.random_effects import fit_random_effects, prediction_interval
from ahsct.evidence.read import Evidence, read_evidence, write_template
from ahsct.evidence.recover import recover_counts, recover_effective

__all__ = [
    "QUESTIONS",
    "Answer",
    "Entry",
    "Evidence",
    "Pool",
    "Selection",
    "Settings",
    "answer",
    "binomial_normal",
    "collect",
    "find_evidence_problems",
    "fit_random_effects",
    "poisson_normal",
    "pool",
    "prediction_interval",
    "read_evidence",
    "read_results",
    "reconstruct_patients",
    "reconstruction_error",
    "recover_counts",
    "recover_effective",
    "select",
    "write_template",
]
