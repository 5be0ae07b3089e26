"""EDSS-plus of a few hundred random patients against a search written out in plain Python."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from ahsct.definitions import vary
from ahsct.outcomes import derive_outcomes

Visit = tuple[int, float | None, float | None]
PERIOD, EARLY = 168, 31  # days to the confirmation, and how much sooner it may be


def random_patients(n: int, *, seed: int) -> dict[str, list[Visit]]:
    """Up to ten visits each, some before the mobilisation on day -40, a fifth of the tests not done."""
    rng = np.random.default_rng(seed)
    patients = {}
    for i in range(n):
        days = np.sort(rng.choice(np.arange(-300, 1500, 7), rng.integers(3, 11), replace=False))
        edss = np.clip(3 + np.cumsum(rng.integers(-1, 3, days.size)) / 2, 0, 9)
        walk = np.round(5 * np.exp(np.cumsum(rng.normal(0.03, 0.1, days.size))), 1)
        done = rng.random((2, days.size)) > 0.2
        patients[f"p{i:03d}"] = [
            (int(day), float(e) if a else None, float(w) if b else None)
            for day, e, w, a, b in zip(days, edss, walk, *done, strict=True)
        ]
    return patients


def is_worse(visit: Visit, baseline: Visit) -> bool | None:
    """Worse by 1.0 (0.5 from 5.5 on) or by a fifth; None where neither is known to be and one was not done."""
    edss, walk = (now is not None and now for now in visit[1:])
    assert baseline[1] is not None
    assert baseline[2] is not None
    needed = 0.5 if baseline[1] >= 5.5 else 1.0
    if visit[1] is not None and edss - baseline[1] >= needed:
        return True
    if visit[2] is not None and round(10 * walk * 5) >= round(
        10 * baseline[2] * 6
    ):  # 1.2 times, in tenths of a second
        return True
    return None if None in visit else False


def first_event(visits: list[Visit]) -> int | str | None:
    """The first day after the infusion whose worsening every visit up to the confirming one shares."""
    complete = [visit for visit in visits if visit[0] <= -40 and None not in visit]
    if not complete:
        return "no baseline"
    baseline = complete[-1]
    seen = [(visit[0], worse) for visit in visits if (worse := is_worse(visit, baseline)) is not None]
    later = [(day, worse) for day, worse in seen if day > baseline[0]]
    for place, (day, worse) in enumerate(later):
        if not worse or day < 1:
            continue
        up_to = [one for one in later[place + 1 :] if one[0] < day + PERIOD - EARLY]
        confirming = [one for one in later[place + 1 :] if one[0] >= day + PERIOD - EARLY][:1]
        if confirming and all(one[1] for one in up_to + confirming):
            return day
    return None


@pytest.fixture(scope="module")
def patients() -> dict[str, list[Visit]]:
    return random_patients(400, seed=11)


def test_the_search_agrees_with_plain_python(build: Any, patients: dict[str, list[Visit]]) -> None:
    found = outcomes(build, patients, "any_measure")
    expected = {p: first_event(visits) for p, visits in patients.items()}
    assert sum(isinstance(day, int) for day in expected.values()) > 100
    assert found == {p: day if isinstance(day, int) else None for p, day in expected.items()}


def test_cross_confirmation_never_finds_later_than_each_measure_alone(
    build: Any, patients: dict[str, list[Visit]]
) -> None:
    """Where every test was done: what one measure confirms for itself, any of them confirms too."""
    whole = {
        p: [visit for visit in visits if None not in visit]
        for p, visits in patients.items()
    }  # fmt: skip
    whole = {p: visits for p, visits in whole.items() if visits}
    alone, crossed = (outcomes(build, whole, way) for way in ("same_measure", "any_measure"))
    both = [(crossed[p], day) for p, day in alone.items() if day is not None]
    assert all(cross is not None and cross <= day for cross, day in both)
    assert sum(day is not None for day in crossed.values()) > sum(day is not None for day in alone.values())


def outcomes(build: Any, patients: dict[str, list[Visit]], confirmed_by: str) -> dict[str, int | None]:
    visits = pl.DataFrame(
        [(p, *visit) for p, own in patients.items() for visit in own],
        schema={"patient_id": pl.String, "visit_day": pl.Int64, "edss": pl.Float64, "t25fw_s": pl.Float64},
        orient="row",
    )
    made = build.study(patients=pl.DataFrame({"patient_id": list(patients)}), visits=visits)
    base = build.definition("edss_worsening")
    edss = dict(base.disability_rule("edss").__dict__)
    fifth = [{"from": 0, "change": 0.2, "unit": "fraction"}]
    walk = edss | {"measure": "t25fw_s", "worsening_threshold": fifth, "improvement_threshold": fifth}
    definition = vary(
        base,
        disability=[edss, walk],
        combined=[
            {"id": "plus", "label": "plus", "measures": ["edss", "t25fw_s"], "confirmed_by": confirmed_by}
        ],
        endpoints__e__components=["plus_worsening"],
    )
    events = derive_outcomes(made, definition).events.filter(pl.col("direction") == "worsening")
    names = ["plus"] if confirmed_by == "any_measure" else ["edss", "t25fw_s"]
    first = events.filter(pl.col("measure").is_in(names)).group_by("patient_id").agg(pl.col("day").min())
    return dict.fromkeys(patients) | dict(first.iter_rows())
