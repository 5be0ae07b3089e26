"""Run one job of benchmarks/survival.py with one Python library, in the environment of `make bench`.

Run: .venv-bench/bin/python benchmarks/peers/survival_python.py LIBRARY JOB FOLDER. The numbers a job gives are those of
`ours` in benchmarks/survival.py; NaN where the library has none.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from measure import measure

Numbers = Sequence[float]
NONE = float("nan")


def lifelines(job: str, read: Callable[[str], Any], at: float) -> Callable[[], Numbers]:
    import pandas as pd
    from lifelines import AalenJohansenFitter, CoxPHFitter, KaplanMeierFitter
    from lifelines.statistics import logrank_test

    def kaplan_meier(time: Any, event: Any, arm: Any) -> Numbers:
        for one in (arm == 0, arm == 1):
            fit = KaplanMeierFitter().fit(time[one], event[one])
        return fit.predict(at), NONE

    def log_rank(time: Any, event: Any, arm: Any) -> Numbers:
        a, b = arm == 0, arm == 1
        return logrank_test(time[a], time[b], event[a], event[b]).test_statistic, NONE

    def aalen_johansen(time: Any, cause: Any) -> Numbers:
        for k in (2, 1):
            fit = AalenJohansenFitter(seed=1).fit(time, cause.astype(int), event_of_interest=k)
        row = fit.cumulative_density_.index.searchsorted(at, side="right") - 1
        return fit.cumulative_density_.iloc[row, 0], float(fit.variance_.iloc[row]) ** 0.5

    def cox(time: Any, event: Any, x: Any, cluster: Any | None) -> Numbers:
        frame = pd.DataFrame(x, columns=list("abcde")).assign(time=time, event=event)
        options = {} if cluster is None else {"cluster_col": "cluster", "robust": True}
        fit = CoxPHFitter().fit(
            frame if cluster is None else frame.assign(cluster=cluster), "time", "event", **options
        )
        return fit.params_.iloc[0], fit.standard_errors_.iloc[0]

    return _bind(job, read, kaplan_meier, log_rank, aalen_johansen, cox)


def scikit_survival(job: str, read: Callable[[str], Any], at: float) -> Callable[[], Numbers]:
    from sksurv.compare import compare_survival
    from sksurv.linear_model import CoxPHSurvivalAnalysis
    from sksurv.nonparametric import cumulative_incidence_competing_risks, kaplan_meier_estimator
    from sksurv.util import Surv

    def kaplan_meier(time: Any, event: Any, arm: Any) -> Numbers:
        for one in (arm == 0, arm == 1):
            times, survival, _ = kaplan_meier_estimator(event[one], time[one], conf_type="log-log")
        return survival[times.searchsorted(at, side="right") - 1], NONE

    def log_rank(time: Any, event: Any, arm: Any) -> Numbers:
        return compare_survival(Surv.from_arrays(event, time), arm)[0], NONE

    def aalen_johansen(time: Any, cause: Any) -> Numbers:
        times, incidence, _ = cumulative_incidence_competing_risks(
            cause.astype(int), time, conf_type="log-log"
        )
        return incidence[1][times.searchsorted(at, side="right") - 1], NONE

    def cox(time: Any, event: Any, x: Any, cluster: Any | None) -> Numbers:
        if cluster is not None:
            raise NotImplementedError("no standard errors")
        return CoxPHSurvivalAnalysis(ties="efron").fit(x, Surv.from_arrays(event, time)).coef_[0], NONE

    return _bind(job, read, kaplan_meier, log_rank, aalen_johansen, cox)


def statsmodels(job: str, read: Callable[[str], Any], at: float) -> Callable[[], Numbers]:
    from statsmodels.duration.hazard_regression import PHReg
    from statsmodels.duration.survfunc import CumIncidenceRight, SurvfuncRight, survdiff

    def kaplan_meier(time: Any, event: Any, arm: Any) -> Numbers:
        for one in (arm == 0, arm == 1):
            fit = SurvfuncRight(time[one], event[one])
        row = fit.surv_times.searchsorted(at, side="right") - 1
        return fit.surv_prob[row], fit.surv_prob_se[row]

    def log_rank(time: Any, event: Any, arm: Any) -> Numbers:
        return survdiff(time, event, arm)[0], NONE

    def aalen_johansen(time: Any, cause: Any) -> Numbers:
        fit = CumIncidenceRight(time, cause.astype(int))
        row = fit.times.searchsorted(at, side="right") - 1
        return fit.cinc[0][row], fit.cinc_se[0][row]

    def cox(time: Any, event: Any, x: Any, cluster: Any | None) -> Numbers:
        fit = PHReg(time, x, status=event, ties="efron").fit(groups=cluster)
        return fit.params[0], fit.bse[0]

    return _bind(job, read, kaplan_meier, log_rank, aalen_johansen, cox)


def _bind(job: str, read: Callable[[str], Any], *functions: Callable[..., Numbers]) -> Callable[[], Numbers]:
    """Read the data of a job and return the call to measure."""
    kaplan_meier, log_rank, aalen_johansen, cox = functions
    if job.startswith("cox"):
        time, event, x = read("time_cox"), read("died") == 1, read("x").reshape(-1, 5)
        cluster = read("patient").astype(int) if job == "cox_cluster" else None
        return lambda: cox(time, event, x, cluster)
    kind, _, times = job.rpartition("_")
    time, cause = read(times), read("cause")
    if kind == "aalen_johansen":
        return lambda: aalen_johansen(time, cause)
    function, arm = (kaplan_meier if kind == "kaplan_meier" else log_rank), read("arm")
    return lambda: function(time, cause > 0, arm)


def main(library: str, job: str, folder: str) -> None:
    libraries = {"lifelines": lifelines, "scikit-survival": scikit_survival, "statsmodels": statsmodels}
    warnings.simplefilter("ignore")
    at = 183.0 if job.endswith("days") else 0.5
    measure(libraries[library](job, lambda name: np.fromfile(Path(folder) / f"{name}.f64"), at))


if __name__ == "__main__":
    main(*sys.argv[1:])
