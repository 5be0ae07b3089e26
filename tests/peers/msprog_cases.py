"""Arguments of the peer event detector and made-up patients for it, free of the triggers of its known faults.

Nothing here imports ahsct, numpy or pandas: both environments read it. The stream of chance uses
`random.Random.random` alone, which gives the same numbers in every version of Python.

Left out, because the peer is at fault there (numbers as in tests/outcomes/test_disability_defects.py): relapses
earlier than the baseline distance before the first visit (6), unsorted relapses (8), differences of exactly 20 %
(values are eighths or whole numbers, whose fifths are exact or no difference at all), a reference of 0 (a threshold of
0), falling measures with sub-threshold re-baselining (3) or `bl_geq` (9), `bl_geq` with local extrema or
`last_delta` (9: the overwritten score is looked at again), missing `validconf` (13), a probability of
imputation between 0 and 1 (12).
"""

from __future__ import annotations

import hashlib
import json
import random
from typing import Any

INF = float("inf")
DELTAS = {
    "eighth": lambda value: value / 8,
    "three": lambda value: 3.0,
    "half_steps": lambda value: 1.0 if value < 6 else 0.5,
}


class Chance:
    """Choices from a stream of uniform numbers."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def of(self, *choices: Any) -> Any:
        """Return one of the choices."""
        return choices[int(self._random() * len(choices))]

    def upto(self, low: int, high: int) -> int:
        """Return a whole number from low to high."""
        return low + int(self._random() * (high - low + 1))


def arguments(c: Chance) -> dict[str, Any]:
    """Return a call's arguments that matter, as JSON can hold them."""
    outcome = c.of("edss", "edss", "edss", "edss", "nhpt", "t25fw", "sdmt", "custom")
    given: dict[str, Any] = {"outcome": outcome}
    falls = outcome == "sdmt"
    if outcome == "custom":
        given["worsening"] = c.of("increase", "decrease")
        given["delta_fun"] = c.of("eighth", "three")
        falls = given["worsening"] == "decrease"
    elif outcome == "edss":
        given["delta_fun"] = c.of(None, None, None, "half_steps")
    given["event"] = c.of("firstCDW", "firstCDI", "first", "firstPIRA", "firstRAW", *["multiple"] * 5)
    given["RAW_PIRA"] = c.of(True, True, False)
    given["baseline"] = c.of("fixed", "roving_impr", "roving_wors", "roving", "roving")
    given["proceed_from"] = c.of("firstconf", "firstconf", "event")
    below = ("none",) if falls else ("none", "none", "event", "improvement", "worsening")
    given["sub_threshold_rebl"] = c.of(*below)
    given["relapse_rebl"] = c.of(False, False, True)
    given["skip_local_extrema"] = c.of("none", "none", "none", "strict", "all")
    given["bl_geq"] = c.of(False, True) and not falls and given["skip_local_extrema"] == "none"
    days = c.of(84, 168, [84], [84, 168], [168, 84], [0], [360, 84, 180], [28, 56], 91.5)
    given["conf_days"] = days
    pairs = ([7, 730.5], [7, 730.5], 14, [31, INF], [0, 0], [100, 45], [30])
    given["conf_tol_days"] = c.of(*pairs)
    if isinstance(days, list) and c.of(True, False, False):
        given["conf_tol_days"] = {str(period): c.of(*pairs) for period in days}
    given["require_sust_days"] = c.of(0, 0, 0, 30, 180, 400, INF)
    given["check_intermediate"] = c.of(True, True, False)
    for name, first in (("relapse_to_bl", 30), ("relapse_to_event", 0), ("relapse_to_conf", 30)):
        given[name] = c.of(first, first, 0, 60, [30, 15], [20.5, 0])
    given["relapse_assoc"] = c.of(90, 90, 30, [90, 30], [0], 45.5)
    event, conf = c.of([90, 30], [30, 30], [0, 0]), c.of([90, 30], [30, 30], [0, 0])
    windows = c.of(
        None,
        None,
        {"prec": [0, 0], "event": event, "conf": conf},
        {"prec": c.of([0, 30], [0, 0]), "event": event, "conf": conf, "prec_type": c.of("last", "last_delta")},
        {"prec": [0, None], "event": [None, 30], "conf": [30, 30], "prec_type": c.of("baseline", "last")},
        {"prec": [0, 0], "event": [90, None], "conf": [None, 0]},
        {"prec": [0, None], "event": [None, None], "conf": [None, 0], "prec_type": c.of("baseline", "last_delta")},
    )  # fmt: skip
    if windows and given["bl_geq"] and windows.get("prec_type") == "last_delta":
        windows["prec_type"] = "last"
    given["relapse_indep"] = windows
    given["impute_last_visit"] = c.of(0, 0, 0, 1, 900)
    if c.of(False, False, False, True) and outcome == "edss":
        given["valuedelta_col"] = "other"
    return given


def patient(c: Chance, given: dict[str, Any], name: str) -> dict[str, Any]:
    """Return one patient's visits (day, value, other, validconf) and relapse days."""
    outcome = given["outcome"]
    gaps = (1, 7, 20, 29, 30, 60, 77, 84, 90, 91, 92, 98, 120, 168, 182)
    day, days = c.upto(0, 300), []
    for _ in range(c.of(1, 2, *range(3, 22), *range(6, 16))):
        days.append(day)
        day += c.of(*gaps)
    first = {"edss": (0, 1, 2, 2.5, 3, 4, 5, 5.5, 6), "sdmt": (20, 33, 45, 50)}.get(
        outcome, (5.125, 8.375, 20.625)
    )
    moves = {
        "edss": (-2, -1.5, -1, -0.5, -0.5, 0.5, 0.5, 1, 1, 1.5, 2), "sdmt": (-8, -5, -4, -2, 1, 3, 4, 5),
    }.get(outcome, (-3.875, -1.625, -1, -0.125, 0.25, 1, 1.125, 2.125, 4))  # fmt: skip
    top, low = {"edss": (10, 0), "sdmt": (60, 1)}.get(outcome, (60, 1.125))
    value, rows = c.of(*first), []
    for place in days:
        rows.append([place, value, min(max(value + c.of(0, 0, 1, -0.5), low), top), c.of(*[True] * 8, False)])
        if c.of(False, False, True):
            value = min(max(value + c.of(*moves), low), top)
        if c.of(*[False] * 30, True):
            rows.append([place, value, value, True])  # a second visit that day: the last row counts
    if outcome == "edss":
        for row in rows:
            row[1:3] = [1.0 if score == 0.5 else score for score in row[1:3]]
    before = given["relapse_to_bl"]
    before = int(before[0] if isinstance(before, list) else before)
    relapses = [
        min(max(c.of(*days) + c.of(-100, -91, -90, -45, -30, -29, -20, -1, 0, 1, 15, 30, 90), days[0] - before), days[-1] + 60)
        for _ in range(c.of(0, 0, 0, 1, 1, 2, 3, 5))
    ]  # fmt: skip
    return {"id": name, "visits": rows, "relapses": sorted(relapses)}


def case(seed: int, n_patients: int) -> dict[str, Any]:
    """Return one cohort and the arguments of one call."""
    c = Chance(seed)
    given = arguments(c)
    patients = [patient(c, given, f"p{k:03}") for k in range(n_patients)]
    return {"seed": seed, "arguments": given, "patients": patients}


def digest(made: dict[str, Any]) -> str:
    """Return a hash of a case, to tell that it is still the recorded one."""
    return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:16]


def call_arguments(given: dict[str, Any]) -> dict[str, Any]:
    """Return arguments as `MSprog` takes them: functions, and periods as keys."""
    call = {name: value for name, value in given.items() if value is not None or name == "relapse_indep"}
    if call.get("delta_fun"):
        call["delta_fun"] = DELTAS[call["delta_fun"]]
    if isinstance(call["conf_tol_days"], dict):
        call["conf_tol_days"] = {int(days): pair for days, pair in call["conf_tol_days"].items()}
    return call
