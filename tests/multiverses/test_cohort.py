"""On patients in whom every choice matters, each point is still what its definition alone gives."""

import numpy as np
import polars as pl
import pytest
from tests.multiverses.test_answers import NUMBERS, alone
from tests.multiverses.toy import toy_grid

from ahsct import make_study, multiverse
from ahsct.definitions import list_grids, load_grid, vary
from ahsct.errors import RequestError
from ahsct.multiverses import share_spread


@pytest.fixture(scope="module")
def busy():
    """Forty patients of two arms with relapses, up and down walks of EDSS, deaths, lost scans and no infusions."""
    rng = np.random.Generator(np.random.Philox(7))
    n, visits = 40, 24
    ids = [f"p{i:02d}" for i in rng.permutation(n)]
    who = np.repeat(np.arange(n), visits)
    day = np.tile(-70 + 90 * np.arange(visits), n) + rng.integers(-9, 10, n * visits)
    walk = np.cumsum(rng.choice([-1, -0.5, 0, 0, 0.5, 1], (n, visits)), axis=1)
    edss = np.clip(np.round((rng.integers(4, 11, n)[:, None] / 2 + walk) * 2) / 2, 1, 9.5).ravel()
    last = day.reshape(n, visits).max(axis=1) + 20
    is_dead = rng.random(n) < 0.15
    relapses = np.repeat(np.arange(n), rng.poisson(5, n))
    onset = rng.integers(-400, 2000, relapses.size)
    scan_of = np.repeat(np.arange(n), visits)
    name = np.array(ids)
    return make_study(
        "busy",
        data_kind="simulated",
        patients=pl.DataFrame({"patient_id": ids, "arm": np.where(np.arange(n) % 3 == 0, "B", "A")}),
        visits=pl.DataFrame({"patient_id": name[who], "visit_day": day, "edss": edss}).filter(
            pl.Series(rng.random(n * visits) < 0.93)
        ),
        relapses=pl.DataFrame({"patient_id": name[relapses], "onset_day": onset}).filter(
            pl.Series(onset < last[relapses])
        ),
        mri=pl.DataFrame(
            {
                "patient_id": name[scan_of],
                "scan_day": day,
                "gd_n": rng.binomial(2, 0.02, scan_of.size),
                "new_t2_n": rng.binomial(3, 0.03, scan_of.size),
            }
        ).filter(pl.Series(rng.random(n * visits) < 0.9)),
        transplants=pl.DataFrame({"patient_id": ids}).with_columns(
            pl.lit(-50).alias("mobilisation_start_day"),
            pl.when(pl.int_range(pl.len()) % 11 == 5).then(None).otherwise(0).alias("infusion_day"),
        ),
        treatments=pl.DataFrame(
            {"patient_id": ids[:3], "kind": "dmt", "drug": "rituximab", "start_day": [500, 900, 1300]}
        ),
        follow_up=pl.DataFrame(
            {
                "patient_id": ids,
                "last_contact_day": last,
                "vital_status": np.where(is_dead, "dead", "alive"),
                "death_day": [int(end) if dead else None for end, dead in zip(last, is_dead, strict=True)],
                "cause_class": [
                    ("treatment-related" if i % 2 else "other") if is_dead[i] else None for i in range(n)
                ],
            }
        ),
    )


@pytest.mark.parametrize("id", list_grids())
def test_each_point_is_what_its_definition_alone_gives(busy, id: str) -> None:
    grid = load_grid(id)
    found = multiverse(busy, grid)
    assert found["estimate"].n_unique() > 5
    rng = np.random.Generator(np.random.Philox(11))
    for number in [1, *rng.choice(len(grid.combinations), 4, replace=False) + 1]:
        assert found.filter(pl.col("point") == number).select(NUMBERS).rows() == alone(
            busy, grid, int(number)
        )


def test_shares_of_a_busy_cohort_are_shares(busy) -> None:
    grid = load_grid("pira_muller2025")
    shares = share_spread(multiverse(busy, grid), grid)
    assert shares["note"].null_count() == shares.height == 2 * 5
    for _, arm in shares.group_by("arm"):
        assert arm["main_share"].sum() <= 1 + 1e-12 <= arm["total_share"].sum() + 2e-12
        assert (arm["main_share"] <= arm["total_share"] + 1e-12).all()


def test_combined_components_take_the_long_way_and_agree(busy) -> None:
    # a component made of several measures is not stacked: its events are derived whole
    grid = toy_grid(
        base="kappos2020", endpoint="raw", set={"endpoints.raw.components": ["cda_raw", "edss_worsening"]}
    )
    found = multiverse(busy, grid)
    for number in (1, 4):
        rows = found.filter((pl.col("point") == number) & (pl.col("n") > 0)).select(NUMBERS).rows()
        assert rows == alone(busy, grid, number)


def test_events_that_compete_have_no_single_curve(busy) -> None:
    base = vary(toy_grid().definition())
    competing = {"strategy": "while_alive", "handling": "competing"}
    grid = toy_grid(
        estimand="everyone_counted",
        set={"estimands.everyone_counted.other_death": competing, "endpoints.activity_free_survival.estimands": ["everyone_counted"],
             **{f"endpoints.{one.id}.estimands": ["everyone_counted"] for one in base.endpoints}},
    )  # fmt: skip
    with pytest.raises(RequestError, match="other_death compete"):
        multiverse(busy, grid)


def test_nobody_evaluable_is_a_row_that_says_why(busy) -> None:
    study = make_study(
        "bare",
        data_kind="simulated",
        **{name: frame.drop("row") for name, frame in busy.tables.items() if name != "mri"},
    )
    found = multiverse(study, toy_grid())
    assert found["estimate"].null_count() == found.height == 4 * 2
    assert found["note"].unique().to_list() == [
        "nobody can be evaluated: the study has no table of scans (mri)"
    ]
    assert (found["n"] == 0).all()
    assert (found["n_not_evaluable"] > 0).all()


def test_workers_below_one_are_refused(busy) -> None:
    with pytest.raises(RequestError, match="1 or more"):
        multiverse(busy, toy_grid(), workers=0)
