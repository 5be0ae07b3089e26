"""No patient twice: the exact choice, what is printed, and pools that refuse what overlaps."""

from itertools import combinations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ahsct.errors import RequestError
from ahsct.evidence import QUESTIONS, Settings, answer, collect, pool, pooling, read_evidence, select
from ahsct.evidence.entries import Entry
from ahsct.evidence.overlap import Selection, _heaviest, _nearly_as_heavy, _total, require_no_overlap

EVIDENCE = read_evidence()
DEATHS = collect(EVIDENCE, "transplant_death", kind="proportion")


def entry(
    study: str, weight: float = 10, year: int = 2010, types: str = "rrms spms", **more: object
) -> Entry:
    fields = {
        "key": f"{study}/1", "study_id": study, "label": study, "subgroup": "all", "types": frozenset(types.split()),
        "strata": frozenset(), "year": year, "weight": weight, "effective_n": None, "estimate": 0.1, "lower": None, "upper": None,
        "conf_level": None, "y": None, "se": None, "events": 1, "n": int(weight), "time_years": None, "endpoint": "", "definition": "",
        "comparison": "", "comparator": "", "source": "", "verified": "yes", "is_pooled": True, "reason": "", "origin": "shipped",
    }  # fmt: skip
    return Entry(**fields | more)  # type: ignore[arg-type]


def edges(*pairs: tuple[str, str, str], trial: str | None = None) -> pl.DataFrame:
    return pl.DataFrame(
        [(a, b, relation, trial, "why") for a, b, relation in pairs],
        schema={"study_a": pl.String, "study_b": pl.String, "relation": pl.String, "nested_trial": pl.String, "basis": pl.String},
        orient="row",
    )  # fmt: skip


def ids(selection: Selection) -> list[str]:
    return [one.study_id for one in selection.chosen]


@given(
    n=st.integers(1, 9), pairs=st.sets(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=20),
    weights=st.lists(st.integers(1, 40), min_size=9, max_size=9), years=st.lists(st.integers(2000, 2024), min_size=9, max_size=9),
)  # fmt: skip
def test_the_choice_is_the_best_of_all_subsets(
    n: int, pairs: set[tuple[int, int]], weights: list[int], years: list[int]
) -> None:
    neighbours = [0] * n
    for a, b in pairs:
        if a < n and b < n and a != b:
            neighbours[a] |= 1 << b
            neighbours[b] |= 1 << a
    values = [(float(weights[i]), 1, years[i]) for i in range(n)]
    free = [
        set(chosen)
        for size in range(n + 1)
        for chosen in combinations(range(n), size)
        if all(not neighbours[a] >> b & 1 for a, b in combinations(chosen, 2))
    ]
    best = _heaviest(neighbours, values)
    assert _total(best, values) == max(_total(one, values) for one in free)
    maximal = [one for one in free if not any(one < other for other in free)]
    least = 0.95 * _total(best, values)[0]
    near = {frozenset(one) for one in maximal if _total(one, values)[0] >= least} - {best}
    found, is_complete = _nearly_as_heavy(neighbours, values, best)
    assert is_complete
    assert set(found) == near


def test_ties_go_to_more_studies_then_to_later_ones() -> None:
    three = [entry("large", 20), entry("a", 10), entry("b", 10)]
    assert ids(select(three, edges(("large", "a", "contains"), ("large", "b", "contains")))) == ["a", "b"]
    two = [entry("old", 10, 2001), entry("new", 10, 2020)]
    assert ids(select(two, edges(("old", "new", "partly")))) == ["new"]


@pytest.mark.parametrize("relation", ["contains", "same", "partly", "unknown"])
def test_every_kind_of_overlap_blocks(relation: str) -> None:
    both = [entry("a", 10), entry("b", 12)]
    chosen = select(both, edges(("a", "b", relation)))
    assert ids(chosen) == ["b"]
    assert chosen.left_out[0][1].startswith(f"overlaps b: {relation} (why)")


def test_only_an_unknown_overlap_can_be_released_by_name() -> None:
    both = [entry("a"), entry("b")]
    chosen = select(both, edges(("a", "b", "unknown")), release=["b,a"])
    assert ids(chosen) == ["a", "b"]
    assert chosen.released == (("b", "a"),)
    with pytest.raises(RequestError, match="not unknown"):
        select(both, edges(("a", "b", "partly")), release=["a,b"])
    with pytest.raises(RequestError, match="No overlap"):
        select(both, edges(("a", "b", "unknown")), release=["a,c"])


def test_a_released_overlap_is_printed_with_the_pool() -> None:
    released = pool(
        DEATHS, EVIDENCE.overlaps, measure="proportion", settings=Settings(release=("mexico426,ruiz2019",))
    )
    assert "mexico426 with ruiz2019" in " ".join(released.warnings)
    assert (released.n_events, released.n) == (12, 2159 + 426)


def test_types_of_one_cohort_do_not_overlap_but_the_whole_overlaps_its_types() -> None:
    types = [entry("a", 10, types="rrms", key="a/1"), entry("a", 8, types="spms", key="a/2")]
    assert len(select(types, edges()).chosen) == 2
    whole = [entry("a", 17, key="a/0"), *types]
    assert [one.key for one in select(whole, edges()).chosen] == ["a/1", "a/2"]
    regimens = [
        entry("a", 9, key="a/1", strata=frozenset({("regimen", "regimen=beam")})),
        entry("a", 8, key="a/2", strata=frozenset({("regimen", "regimen=cy")})),
    ]
    assert len(select(regimens, edges()).chosen) == 2


def test_a_trial_within_a_cohort_enters_contrasts_only() -> None:
    both = [entry("trial"), entry("cohort")]
    overlaps = edges(("trial", "cohort", "partly"), trial="trial")
    chosen = select(both, overlaps)
    assert ids(chosen) == ["cohort"]
    assert "contrasts only" in chosen.left_out[0][1]
    assert "trial" in ids(select([both[0]], overlaps, contrasts=True))
    reasons = {one.study_id: reason for one, reason in select(DEATHS, EVIDENCE.overlaps).left_out}
    assert "contrasts only" in reasons["mist2019"]


def test_meta_analyses_and_recalled_rows_never_enter() -> None:
    chosen = select(DEATHS, EVIDENCE.overlaps)
    reasons = {one.study_id: reason for one, reason in chosen.left_out}
    assert all("meta-analysis" in reasons[name] for name in ("sormani2017", "ge2019", "zhang2020"))
    assert reasons["astims2015"].startswith("recalled")
    assert not {"sormani2017", "ge2019", "zhang2020", "astims2015"} & set(ids(chosen))


def test_no_study_enters_any_pool_twice() -> None:
    # the pairs of the reference, each of which would count patients twice
    known = [
        {"silfverberg2024", "burman2014"}, {"silfverberg2024", "zhukovsky2021"}, {"boffa2021", "mancardi2012"},
        {"boffa2021", "saccardi2005"}, {"boffa2021", "boffa2023spms"}, {"ruiz2019", "mexico392"}, {"ruiz2019", "mexico426"},
        {"melnichenko2022", "melnichenko2021"}, {"melnichenko2022", "shevchenko2012"}, {"fassas2011", "kazis_thessaloniki"},
        {"burt2021", "burt2015"}, {"burt2021", "burt2009"}, {"nash2003", "bowen2012"}, {"mist2019", "burt2021"},
    ]  # fmt: skip
    listed = {frozenset(pair) for pair in EVIDENCE.overlaps.select("study_a", "study_b").iter_rows()}
    assert all(frozenset(pair) in listed for pair in known)
    for settings in ({"kind": "proportion", "outcome": "transplant_death"}, {"kind": "survival", "outcome": "activity_free", "at_years": 5.0},
                     {"kind": "survival", "outcome": "progression_free", "at_years": 5.0}, {"kind": "contrast", "outcome": "progression"}):  # fmt: skip
        outcome = str(settings.pop("outcome"))
        found = select(
            collect(EVIDENCE, outcome, **settings),
            EVIDENCE.overlaps,
            contrasts=settings["kind"] == "contrast",
        )  # type: ignore[arg-type]
        require_no_overlap(found.chosen, EVIDENCE.overlaps)
        names = {one.study_id for one in found.chosen}
        assert not [pair for pair in known if len(pair & names) == 2 and found.chosen[0].comparison == ""]
        for other in found.alternatives:
            require_no_overlap(other, EVIDENCE.overlaps)


def test_a_pool_refuses_a_set_that_counts_patients_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = tuple(one for one in DEATHS if one.is_pooled)
    careless = Selection(chosen=entries, left_out=(), alternatives=(), released=(), is_complete=True)
    monkeypatch.setattr(pooling, "select", lambda *_, **__: careless)
    with pytest.raises(RequestError, match="Patients would count twice"):
        pool(DEATHS, EVIDENCE.overlaps, measure="proportion")


def test_a_pool_refuses_a_recalled_row(monkeypatch: pytest.MonkeyPatch) -> None:
    recalled = next(one for one in DEATHS if one.verified == "memory")
    careless = Selection(chosen=(recalled,), left_out=(), alternatives=(), released=(), is_complete=True)
    monkeypatch.setattr(pooling, "select", lambda *_, **__: careless)
    with pytest.raises(RequestError, match="cannot enter a pool"):
        pool(DEATHS, EVIDENCE.overlaps, measure="proportion")


def test_nothing_recalled_reaches_a_pool_or_a_figures_estimate() -> None:
    recalled = EVIDENCE.results.filter(pl.col("verified") == "memory")
    values = {(row["study_id"], row["estimate"]) for row in recalled.iter_rows(named=True)}
    assert len(values) == 7
    names = dict(EVIDENCE.studies.select("study_id", "citation").iter_rows())
    labels = {names[study] for study, _ in values}
    seen_grey = 0
    for number in QUESTIONS:
        found = answer(EVIDENCE, number)
        for panel in found.panels:
            for line in panel.lines:
                if line.role == "memory":
                    seen_grey += 1
                    assert any(label in line.label for label in labels)
                is_recalled = any(
                    line.label.startswith(names[study])
                    and line.estimate is not None
                    and abs(100 * line.estimate - value) < 1e-9
                    for study, value in values
                    if value is not None and study != "astims2015"
                )
                assert not (is_recalled and line.role != "memory"), line
        for scatter in found.scatters:
            for point in scatter.points:
                assert not [1 for study, value in values if point.label.startswith(names[study]) and abs(100 * point.y - (value or -1)) < 1e-9]  # fmt: skip
    assert seen_grey >= 3
