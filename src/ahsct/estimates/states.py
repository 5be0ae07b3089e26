"""The probability of being in each of several states over time, from known days of transition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from ahsct.errors import RequestError, TableError, did_you_mean
from ahsct.estimates._groups import LABELS, curve_frame, of_kinds
from ahsct.estimates._intervals import pointwise, require_conf_level
from ahsct.estimates._state_occupation import Sojourns, occupation
from ahsct.estimates.rows import result, results_frame
from ahsct.vocabulary import CURVE, DAYS_PER_YEAR, conform, require_columns

VARIANCES = {"infinitesimal_jackknife": "infinitesimal jackknife", "greenwood": "Greenwood (Markov)"}
_NEEDED = ("patient_id", "from_state", "to_state", "start_day", "stop_day")
_KINDS = dict.fromkeys((*LABELS, "from_state", "to_state"), pl.String) | dict.fromkeys(_NEEDED[-2:], pl.Int64)


def state_occupation(
    transitions: pl.DataFrame,
    *,
    states: Sequence[str],
    initial: str | None = None,
    variance: str = "infinitesimal_jackknife",
    conf_level: float = 0.95,
) -> pl.DataFrame:
    r"""Aalen-Johansen estimate of the probability of each state.

    $$\hat p(t) = \hat p(0) \prod_{u \le t} (I + \Delta \hat A(u)), \quad \Delta \hat A_{hj} = d_{hj} / Y_h$$

    Consistent also where the process is not Markov, if censoring does not depend on the state (Datta and Satten 2001).

    Parameters
    ----------
    transitions
        One row per stay of a patient in a state: `patient_id`, `from_state`, `to_state` (missing = lost from sight),
        `start_day` and `stop_day`; at risk over (start, stop], a start after day 0 delays entry. The labels of CURVE
        (`arm` ...) make one estimate each. `derive_stays` makes it from a study.
    states
        All states, in the order wanted.
    initial
        The state in which everybody starts. Without it, the shares of those at risk on day 0.
    variance
        "infinitesimal_jackknife" (as R's survfit) or "greenwood" (as etm; assumes Markov); `method` names it.
    conf_level
        Two-sided, between 0 and 1; intervals on the log(-log p) scale.

    Returns
    -------
    pl.DataFrame
        Schema CURVE, one block per state (`cause`): `estimate` the probability of being in it, `n_at_risk` those in it
        just before, `n_events` those who enter it, `n_censored` those lost from it. The probabilities add up to 1.

    Raises
    ------
    TableError
        A column is missing, a day or state is missing, a stay ends before it starts, stays of a patient overlap, or
        nobody is at risk on day 0 although `initial` is not given.
    RequestError
        A state is not among `states`, or a word is unknown.

    References
    ----------
    Aalen and Johansen (1978), Scand J Stat 5:141-150; Datta and Satten (2001), doi:10.1016/S0167-7152(01)00155-9.
    R: survfit(Surv(start, stop, factor(state)) ~ 1, id = id, istate = from), survival 3.5.3; etm 1.1.1.

    Examples
    --------
    Of three in remission one relapses (and is seen no more), one dies; by hand 1/3, 1/3, 1/3:

    >>> stays = pl.DataFrame({"patient_id": ["a", "b", "c"], "from_state": "remission", "to_state": ["relapse", "death", None],
    ...                       "start_day": 0, "stop_day": [10, 20, 30]})
    >>> curve = state_occupation(stays, states=["remission", "relapse", "death"])
    >>> curve.group_by("cause", maintain_order=True).last()["estimate"].round(4).to_list()
    [0.3333, 0.3333, 0.3333]
    """
    require_conf_level(conf_level)
    if variance not in VARIANCES:
        raise RequestError(
            f"No variance {variance!r}; known are {', '.join(VARIANCES)}.{did_you_mean(variance, VARIANCES)}"
        )
    require_columns("state_occupation", "transitions", transitions, _NEEDED)
    transitions = of_kinds("transitions", transitions, _KINDS)
    codes = _codes(transitions, states, initial)
    frame = transitions.with_row_index("_row", offset=1).with_columns(
        pl.lit("").alias(name) for name in LABELS[:-1] if name not in transitions.columns
    )
    _require(frame)
    labels = [name for name in LABELS if name in frame.columns]
    blocks: list[dict[str, Any]] = []
    for key, rows in frame.partition_by(labels, maintain_order=True, as_dict=True).items():
        blocks += _blocks(dict(zip(labels, key, strict=True)), rows, codes, initial, variance, conf_level)
    return curve_frame(blocks)


def occupation_at(curve: pl.DataFrame, *, at_years: float) -> pl.DataFrame:
    """Return the probability of each state at a time, from `state_occupation`.

    Parameters
    ----------
    curve
        Schema CURVE, whole.
    at_years
        Years from day 0, >= 0.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS, one row per state (`term`): statistic "state_probability"; `n_at_risk` is in the state just after
        the time. Missing, with a note, where nobody was followed so long while somebody might still move.

    Raises
    ------
    RequestError
        The time is negative or not finite.

    References
    ----------
    See `state_occupation`.

    Examples
    --------
    One of two falls ill on day 100:

    >>> stays = pl.DataFrame({"patient_id": ["a", "b"], "from_state": "well", "to_state": ["ill", None],
    ...                       "start_day": 0, "stop_day": [100, 800]})
    >>> rows = occupation_at(state_occupation(stays, states=["well", "ill"]), at_years=1)
    >>> rows.select("term", "estimate").rows()
    [('well', 0.5), ('ill', 0.5)]
    """
    if not 0 <= at_years < np.inf:
        raise RequestError(f"at_years must be >= 0 and finite; found {at_years!r}.")
    rows = []
    for group in conform(curve, CURVE).partition_by(*LABELS, "method", "conf_level", maintain_order=True):
        blocks = group.partition_by("cause", maintain_order=True)
        last = float(blocks[0]["time_years"][-1])
        # whoever is left in a state that has no way out stays there
        is_beyond = at_years > last * (1 + 1e-9) and any(block["n_censored"].sum() for block in blocks)
        is_late = blocks[0]["method"][0].endswith("delayed entry")
        n = None if is_late else sum(int(block["n_at_risk"][0]) for block in blocks)
        at = int(np.searchsorted(blocks[0]["time_years"].to_numpy(), at_years * (1 + 1e-9), side="right"))
        known = sum(int(block["n_at_risk"][at]) if at < block.height else 0 for block in blocks)
        if (
            at == blocks[0].height
            and n is not None
            and not any(block["n_censored"].sum() for block in blocks)
        ):
            known = n  # all have come to rest
        for block in blocks:
            first, there = block.row(0, named=True), block.row(at - 1, named=True)
            columns: dict[str, Any] = {
                **{name: first[name] for name in LABELS},
                "statistic": "state_probability",
                "unit": "probability",
                "term": first["cause"],
                "time_years": at_years,
                "n": n,
                "n_at_risk": int(block["n_at_risk"][at]) if at < block.height else 0,
                "n_events": int(block["n_events"][:at].sum()),
                "n_censored": int(block["n_censored"][:at].sum()),
                "conf_level": first["conf_level"],
                "method": first["method"],
            }
            if is_beyond:
                note = f"follow-up ends at {last:.4g} years: not extrapolated"
                rows.append(result(**columns, note=note))
                continue
            numbers = {name: there[name] for name in ("estimate", "std_error", "lower", "upper")}
            if numbers["std_error"] == 0:
                numbers["std_error"] = None
            if numbers["lower"] is None:
                columns |= _one_sided(numbers["estimate"], known, columns["conf_level"])
                numbers = {name: numbers[name] for name in ("estimate", "std_error")}
            rows.append(result(**columns, **numbers))
    return results_frame(rows)


def _one_sided(estimate: float, known: int, conf_level: float) -> dict[str, Any]:
    """Return limits where everybody or nobody is in the state: those of a proportion of the patients still seen."""
    if estimate not in (0.0, 1.0) or known == 0:
        return {"note": f"no log-log limits where the estimate is {estimate:g}"}
    reach = ((1 - conf_level) / 2) ** (1 / known)
    limits = {"lower": reach, "upper": 1.0} if estimate else {"lower": 0.0, "upper": 1 - reach}
    note = f"limits of {'all' if estimate else 'none'} of the {known} patients still seen or settled"
    return {**limits, "note": note, "method": "state occupation, Clopper-Pearson of those still seen"}


def _blocks(
    labels: Mapping[str, Any],
    rows: pl.DataFrame,
    codes: Mapping[str, int],
    initial: str | None,
    variance: str,
    conf_level: float,
) -> list[dict[str, Any]]:
    start = rows["start_day"].to_numpy()
    if initial is None and not np.any(start <= 0):
        raise TableError(
            f"Nobody of {rows['patient_id'].n_unique()} patients is at risk on day 0 (the first enters on day "
            f"{start.min():g}); name the state in which everybody starts as `initial`."
        )
    number = {
        patient: i for i, patient in enumerate(rows["patient_id"].unique(maintain_order=True).to_list())
    }
    sojourns = Sojourns(
        start,
        rows["stop_day"].to_numpy(),
        np.array([codes[state] for state in rows["from_state"]]),
        np.array([-1 if state is None else codes[state] for state in rows["to_state"]]),
        np.array([number[patient] for patient in rows["patient_id"]]),
    )
    found = occupation(
        sojourns,
        n_states=len(codes),
        initial=None if initial is None else np.eye(len(codes))[codes[initial]],
        variance=variance,
    )
    limits = pointwise(found.probability, found.std_error, interval="log-log", conf_level=conf_level)
    entry = ", delayed entry" if _enters_late(rows) else ""
    return [
        {
            **labels,
            "cause": state,
            "time_years": found.time / DAYS_PER_YEAR,
            "n_at_risk": found.n_at_risk[k],
            "n_events": found.n_entered[k],
            "n_censored": found.n_censored[k],
            "estimate": found.probability[k],
            "std_error": found.std_error[k],
            "lower": limits[0][k],
            "upper": limits[1][k],
            "conf_level": conf_level,
            "method": f"state occupation, Aalen-Johansen, {VARIANCES[variance]}, log-log{entry}",
        }
        for state, k in codes.items()
    ]


def _enters_late(rows: pl.DataFrame) -> bool:
    return bool((rows.group_by("patient_id").agg(pl.col("start_day").min())["start_day"] > 0).any())


def _codes(transitions: pl.DataFrame, states: Sequence[str], initial: str | None) -> dict[str, int]:
    if not states or len(set(states)) < len(states):
        raise RequestError(f"`states` must be one or more different names; found {list(states)}.")
    seen = {
        *transitions["from_state"].drop_nulls(),
        *transitions["to_state"].drop_nulls(),
        *([initial] if initial else []),
    }
    for state in sorted(seen - set(states)):
        raise RequestError(
            f"State {state!r} is not among `states` ({', '.join(states)}).{did_you_mean(state, states)}"
        )
    return {state: k for k, state in enumerate(states)}


def _require(frame: pl.DataFrame) -> None:
    for name in ("patient_id", "from_state", "start_day", "stop_day"):
        wrong = frame.filter(pl.col(name).is_null())
        if wrong.height:
            raise TableError(
                f"`transitions.{name}` is missing in {wrong.height} of {frame.height} rows, the first is row "
                f"{wrong['_row'][0]}."
            )
    wrong = frame.filter(pl.col("stop_day") < 0)
    if wrong.height:
        raise TableError(
            f"`transitions.stop_day` must be >= 0; {wrong.height} of {frame.height} rows are not, the first is row "
            f"{wrong['_row'][0]} ({wrong['stop_day'][0]})."
        )
    loops = frame.filter(pl.col("from_state") == pl.col("to_state"))
    if loops.height:
        raise TableError(
            f"A transition leads to another state; {loops.height} of {frame.height} rows stay in "
            f"{loops['from_state'][0]!r}, the first is row {loops['_row'][0]}. Join the two stays."
        )
