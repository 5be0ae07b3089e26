"""Weights of patients, with how they came about: what every weighted comparison starts from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from ahsct.estimates._risk_table import Floats
from ahsct.estimates.rows import result, results_frame

TREATED, COMPARATOR = "treated", "comparator"


@dataclass(frozen=True, kw_only=True)
class PatientWeights:
    """One weight per patient.

    `patients` holds `patient_id`, `group` ("treated", "comparator"), `weight` and, where there is one, `propensity`;
    `covariates` and `matrix` what the weights balance; `slope` (patients by coefficients) is the derivative of each
    weight by the coefficients behind it, `influence` that of each patient on the coefficients, so that errors can
    take in that the weights were estimated. `name` says which weights they are.
    """

    name: str
    patients: pl.DataFrame
    covariates: tuple[str, ...]
    matrix: Floats
    slope: Floats
    influence: Floats

    def groups(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield each group that has patients, and which patients they are."""
        group = self.patients["group"]
        for name in (TREATED, COMPARATOR):
            found = (group == name).to_numpy()
            if found.any():
                yield name, found


def effective_sample_size(weights: PatientWeights) -> pl.DataFrame:
    r"""Return, by group, how many unweighted patients would say as much: $(\sum w)^2 / \sum w^2$ (Kish).

    Parameters
    ----------
    weights
        From `propensity_weights`, `match_patients` or `maic_weights`.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS, statistic "effective_sample_size"; `n` counts the patients, the note gives the largest share
        that one patient has of the group's weight.

    References
    ----------
    Kish (1965), Survey Sampling, Wiley. Phillippo et al (2016), NICE DSU technical support document 18.

    Examples
    --------
    Weights 3, 3, 1, 1; by hand 8^2 / 20:

    >>> from ahsct.estimates.maic import maic_weights
    >>> frame = pl.DataFrame({"patient_id": list("abcd"), "is_woman": [1, 1, 0, 0]})
    >>> effective_sample_size(maic_weights(frame, means={"is_woman": 0.75}))["estimate"].round(6).item()
    3.2
    """
    weight = weights.patients["weight"].to_numpy()
    rows = []
    for name, is_in in weights.groups():
        own = weight[is_in]
        total = float(own.sum())
        rows.append(
            result(
                statistic="effective_sample_size",
                unit="patients",
                arm=name,
                n=own.size,
                estimate=total**2 / float((own**2).sum()) if total > 0 else 0.0,
                method=f"Kish, {weights.name}",
                note=f"the heaviest patient has {float(own.max()) / total:.1%} of the weight"
                if total > 0
                else "no weight",
            )
        )
    return results_frame(rows)
