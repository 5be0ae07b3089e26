"""The arguments of `pymsprog.MSprog` as a disability rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from ahsct.definitions import DisabilityRule, ThresholdStep
from ahsct.errors import DefinitionError, did_you_mean

# what names columns, picks rows or shapes the output says nothing of the rule
_NOT_OF_THE_RULE = (
    "data", "subj_col", "value_col", "date_col", "relapse", "rsubj_col", "rdate_col", "subjects", "validconf_col",
    "RAW_PIRA", "date_format", "include_dates", "include_value", "include_stable", "return_unconfirmed", "verbose",
)  # fmt: skip
_DEFAULTS: dict[str, Any] = {
    "outcome": None, "delta_fun": None, "worsening": None, "valuedelta_col": None, "event": "firstCDW",
    "baseline": "fixed", "proceed_from": "firstconf", "sub_threshold_rebl": "none", "bl_geq": False,
    "relapse_rebl": False, "skip_local_extrema": "none", "conf_days": 84, "conf_tol_days": (7, 730.5),
    "require_sust_days": 0, "check_intermediate": True, "relapse_to_bl": 30, "relapse_to_event": 0,
    "relapse_to_conf": 30, "relapse_assoc": 90, "relapse_indep": None, "impute_last_visit": 0,
}  # fmt: skip
_MEASURES = {"edss": "edss", "t25fw": "t25fw_s", "nhpt": "nhpt_dom_s", "sdmt": "sdmt", "custom": "custom"}
_EVENTS = {
    "firstCDW": ("first", "worsening"), "firstCDI": ("first", "improvement"), "first": ("first", "either"),
    "firstPIRA": ("first", "PIRA"), "firstRAW": ("first", "RAW"), "multiple": ("all", "each_direction"),
}  # fmt: skip
_SCHEMES = {
    "fixed": "fixed", "roving_impr": "roving_down", "roving_wors": "roving_up", "roving": "roving",
}  # fmt: skip
_BELOW = {"none": "none", "event": "any", "improvement": "improvement", "worsening": "worsening"}
_LEAST = 1e-6  # a threshold of 0 asks for any change


def disability_rule_from_msprog(**arguments: Any) -> DisabilityRule:
    """Return the rule that the arguments of `pymsprog.MSprog` describe.

    Parameters
    ----------
    **arguments
        As given to `MSprog` (1.0.7); what is left out has its default there. Those that name columns, pick
        subjects or shape the output are taken and say nothing of the rule. `delta_fun` becomes a table: its
        values at every EDSS or SDMT score; for other outcomes it must be proportional to the reference or constant.

    Returns
    -------
    DisabilityRule
        The same rule, without the faults of the original: one plateau is one event, and an unwanted change that
        does not move the baseline does not hold up the search. `vary(rule, plateau="repeated")` and
        `vary(rule, search="together")` bring these two back.

    Raises
    ------
    DefinitionError
        An unknown argument or value, or one without a sound equivalent; the message names it and says why.

    References
    ----------
    pymsprog 1.0.7, the Python package of that name.

    Examples
    --------
    >>> rule = disability_rule_from_msprog(outcome="edss", event="firstPIRA", baseline="roving", conf_days=168)
    >>> rule.event_kind, rule.worsening_baseline_scheme, rule.confirmation_periods_days
    ('PIRA', 'roving', (168,))
    """
    known = [*_DEFAULTS, *_NOT_OF_THE_RULE]
    for name in arguments:
        if name not in known:
            raise DefinitionError(f"pymsprog.MSprog has no argument {name!r}.{did_you_mean(name, known)}")
    given = _DEFAULTS | {name: value for name, value in arguments.items() if name in _DEFAULTS}
    events, kind = _chosen(given, "event", _EVENTS)
    scheme = _chosen(given, "baseline", _SCHEMES)
    jumps = bool(given["relapse_rebl"])
    below = _chosen(given, "sub_threshold_rebl", _BELOW)
    if scheme == "fixed" and not jumps:
        below = "none"  # pymsprog ignores it then
    associated = _pair(given, "relapse_assoc", math.floor)
    periods = _periods(given)
    probability, within = _imputation(given)
    return DisabilityRule(
        **_measure(given, arguments.get("value_col")),
        worsening_baseline_scheme=scheme,
        improvement_baseline_scheme=scheme,
        relapse_rebaseline="next_visit_if_changed" if jumps else "none",
        relapse_evaluation_days=associated[0] if jumps and given["event"] != "firstPIRA" else 0,
        baseline_may_improve=not (given["bl_geq"] and jumps),
        sub_threshold_rebaseline=below,
        skip_local_extrema=_chosen(
            given, "skip_local_extrema", {name: name for name in ("none", "strict", "all")}
        ),
        proceed_from=_proceed(given, periods),
        confirmation_periods_days=tuple(periods),
        **_tolerances(list(periods.values())),
        confirming_visits="every" if given["check_intermediate"] else "confirming_only",
        sustained_days=given["require_sust_days"],
        relapse_to_baseline_days=_pair(given, "relapse_to_bl", math.ceil),
        relapse_to_event_days=_pair(given, "relapse_to_event", math.ceil),
        relapse_to_confirmation_days=_pair(given, "relapse_to_conf", math.ceil),
        raw_window_days=associated,
        **_pira_windows(given["relapse_indep"]),
        events=events,
        event_kind=kind,
        search="together" if given["event"] in ("multiple", "first") else "apart",
        impute_probability=probability,
        impute_within_days=within,
        same_day="last_row",
    )


def _chosen(given: dict[str, Any], name: str, choices: dict[str, Any]) -> Any:
    value = given[name]
    if value not in choices:
        raise DefinitionError(
            f"{name} = {value!r} is none of {list(choices)}.{did_you_mean(str(value), choices)}"
        )
    return choices[value]


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]


def _pair(given: dict[str, Any], name: str, whole: Callable[[float], int]) -> tuple[int, int]:
    """Return a distance as (before, after); whole days make `limit <= distance` the same for a rounded limit."""
    values = _listed(given[name])
    if len(values) > 2:
        raise DefinitionError(f"{name} = {given[name]!r} must be one number or two (before, after).")
    before, after = (values * 2)[:2] if len(values) == 2 else (values[0], 0)
    return whole(before), whole(after)


def _periods(given: dict[str, Any]) -> dict[int, tuple[float, float]]:
    """Return each confirmation period with its tolerance, in the order given."""
    periods: dict[int, tuple[float, float]] = {}
    for days in _listed(given["conf_days"]):
        tolerance = given["conf_tol_days"]
        if isinstance(tolerance, dict):
            if days not in tolerance:
                raise DefinitionError(f"conf_tol_days has no entry for the period {days!r} of conf_days.")
            tolerance = tolerance[days]
        ends = _listed(tolerance)
        if len(ends) > 2 or int(days) in periods:
            raise DefinitionError(
                f"conf_days = {given['conf_days']!r} with conf_tol_days = {given['conf_tol_days']!r}: each period once, "
                "with one tolerance or two (left, right)."
            )
        periods[int(days)] = (float(ends[0]), float(ends[-1]))
    return periods


def _tolerances(tolerances: list[tuple[float, float]]) -> dict[str, Any]:
    if len(set(tolerances)) == 1:
        return {"confirmation_tolerance_days": tolerances[0]}
    return {"confirmation_tolerances_days": tuple(tolerances)}


def _proceed(given: dict[str, Any], periods: dict[int, tuple[float, float]]) -> Any:
    """Return where the search goes on; pymsprog goes to the first period listed, mostly the earliest confirmation."""
    choice = _chosen(given, "proceed_from", {"firstconf": "confirmation", "event": "event"})
    opens = [days - early for days, (early, _) in periods.items()]
    if choice == "confirmation" and opens != sorted(opens):
        return "first_period"
    return choice


def _imputation(given: dict[str, Any]) -> tuple[float, float]:
    value = given["impute_last_visit"]
    if value < 0:
        raise DefinitionError(f"impute_last_visit = {value!r} must be 0 or more.")
    return (1, value) if value > 1 else (value, math.inf)


def _pira_windows(given: dict[str, Any] | None) -> dict[str, Any]:
    """Return the relapse-free intervals; None on both sides joins two of them."""
    if given is None:
        return {}
    lacking = [name for name in ("prec", "event", "conf") if name not in given]
    if lacking:
        raise DefinitionError(f"relapse_indep has no entry {lacking[0]!r}; it needs prec, event and conf.")
    (p0, p1), (e0, e1), (c0, c1) = (tuple(given[name]) for name in ("prec", "event", "conf"))
    preceding, confirmation = (p1 is None, e0 is None), (e1 is None, c0 is None)
    if p0 is None or c1 is None or len(set(preceding)) > 1 or len(set(confirmation)) > 1:
        raise DefinitionError(
            f"relapse_indep = {given!r}: None joins two intervals only where it stands on the right of one and on the "
            "left of the next; elsewhere pymsprog silently drops an interval. Write both ends as None, or as numbers."
        )
    joined = {(False, False): "none", (True, False): "preceding_event", (False, True): "event_confirmation"}
    whole = [0 if days is None else math.floor(days) for days in (p0, p1, e0, e1, c0, c1)]
    return {
        "pira_preceding_visit": _chosen(
            {"prec_type": "baseline"} | given,
            "prec_type",
            {name: name for name in ("baseline", "last", "last_delta")},
        ),
        "pira_around_preceding_days": (whole[0], whole[1]),
        "pira_around_event_days": (whole[2], whole[3]),
        "pira_around_confirmation_days": (whole[4], whole[5]),
        "pira_joined": joined.get((preceding[0], confirmation[0]), "all"),
    }


def _measure(given: dict[str, Any], value_col: str | None) -> dict[str, Any]:
    """Return the fields of the measure and its threshold."""
    outcome = given["outcome"]
    outcome = outcome.lower() if isinstance(outcome, str) else outcome
    measure = _chosen(given | {"outcome": outcome}, "outcome", _MEASURES)
    if value_col == "nhpt_nondom_s" and outcome == "nhpt":
        measure = value_col
    found: dict[str, Any] = {"measure": measure}
    if outcome == "custom":
        if value_col is None or given["worsening"] not in ("increase", "decrease"):
            raise DefinitionError(
                'outcome = "custom" needs value_col (the column of the score) and worsening = "increase" or "decrease".'
            )
        found |= {"custom_column": value_col, "custom_worsens": {"increase": "up", "decrease": "down"}[given["worsening"]]}  # fmt: skip
    if given["valuedelta_col"] is not None and given["valuedelta_col"] != value_col:
        found["threshold_column"] = given["valuedelta_col"]
    if given["delta_fun"] is not None:
        table = _tabulated(given["delta_fun"], outcome)
    elif outcome == "custom":
        raise DefinitionError(
            'outcome = "custom" needs delta_fun, the smallest change that counts from a reference.'
        )
    else:
        table = _default_threshold(outcome)
    return found | {"worsening_threshold": table, "improvement_threshold": table}


def _default_threshold(outcome: str) -> tuple[ThresholdStep, ...]:
    """Return the threshold that pymsprog 1.0.7 uses (its text says 3 points or 10 % for SDMT, its code 4 or 20 %)."""
    if outcome == "edss":
        steps = ((0, 1.5), (0.5, 1.0), (5.5, 0.5))
        return tuple(ThresholdStep(from_value=start, change=change) for start, change in steps)
    cap = 4 if outcome == "sdmt" else None
    return (ThresholdStep(from_value=0, change=0.2, unit="fraction", at_most=cap),)


def _tabulated(function: Callable[..., float], outcome: str) -> tuple[ThresholdStep, ...]:
    """Return a threshold function as a table, where it can be one."""

    def change(value: float) -> float:
        try:
            return float(function(value, outcome))
        except TypeError:
            return float(function(value))

    if outcome in ("edss", "sdmt"):
        scores = [score / 2 for score in range(21)] if outcome == "edss" else [float(n) for n in range(111)]
        table: list[ThresholdStep] = []
        for score in scores:
            needed = max(change(score), _LEAST)
            if not table or needed != table[-1].change:
                table.append(ThresholdStep(from_value=score, change=needed))
        return tuple(table)
    values = (1.0, 2.0, 3.3, 5.0, 7.5, 10.0, 24.0, 60.0, 150.0)
    changes = [change(value) for value in values]
    if all(math.isclose(needed, changes[0]) for needed in changes):
        return (ThresholdStep(from_value=0, change=max(changes[0], _LEAST)),)
    if all(math.isclose(needed / value, changes[0]) for needed, value in zip(changes, values, strict=True)):
        return (ThresholdStep(from_value=0, change=changes[0], unit="fraction"),)
    raise DefinitionError(
        f"delta_fun for {outcome} is neither proportional to the reference nor constant, and its scores are no short "
        "list, so that no table holds it. Leave it out here, and hand it to derive_disability(..., "
        "threshold=numpy.vectorize(delta_fun))."
        + (
            " For a custom outcome give here any constant function in its place."
            if outcome == "custom"
            else ""
        )
    )
