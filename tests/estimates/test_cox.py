"""Cox's model from tables: against R (also time-dependent), tests, predicted curves, degenerate and impossible input."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ahsct.errors import RequestError, TableError
from ahsct.estimates import cox, fit_cox, predicted_curves, proportional_hazards_test
from ahsct.estimates.counting_process import split_at_changes
from ahsct.estimates.cox import CoxFit
from ahsct.vocabulary import CURVE, DAYS_PER_YEAR, RESULTS, TIME_TO_EVENT, empty

REFERENCE = Path(__file__).parents[1] / "reference"
DATA = pl.read_csv(REFERENCE / "cox_data.csv", infer_schema_length=None)
R = pl.read_csv(REFERENCE / "cox.csv", infer_schema_length=None)
SETS = ["veteran", "lung", "heart", "rats", "aml"]
TERMS = ["x1", "x2", "x3"]


def tables(data_set: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return outcomes and covariates; patients of `heart` change from day to day of `from_day`."""
    rows = DATA.filter(pl.col("data_set") == data_set)
    if data_set != "heart":  # rats are clustered by litter: their own numbers are made here
        rows = rows.with_columns(pl.int_range(pl.len()).cast(pl.String).alias("patient_id"))
    else:
        rows = rows.with_columns(pl.col("id").cast(pl.String).alias("patient_id"))
    outcomes = rows.group_by("patient_id", maintain_order=True).agg(
        pl.col("time").max().alias("time_day"), (pl.col("event") == 1).any().alias("is_event")
    )
    covariates = rows.select("patient_id", pl.col("entry").alias("from_day"), *TERMS, "stratum", "id")
    return outcomes, covariates if data_set == "heart" else covariates.drop("from_day")


def fit(data_set: str, **arguments: object) -> CoxFit:
    outcomes, covariates = tables(data_set)
    return fit_cox(outcomes, covariates, terms=TERMS, **arguments)  # type: ignore[arg-type]


def expected(data_set: str, model: str, quantity: str) -> list[float]:
    found = R.filter(
        (pl.col("data_set") == data_set) & (pl.col("model") == model) & (pl.col("quantity") == quantity)
    )
    return found["value"].cast(pl.Float64).to_list()


@pytest.mark.parametrize("data_set", SETS)
def test_rows_agree_with_coxph(data_set: str) -> None:
    outcomes, covariates = tables(data_set)
    rows = cox(outcomes, covariates, terms=TERMS)
    assert rows.schema == RESULTS
    ratios = rows.filter(pl.col("statistic") == "hazard_ratio")
    beta = np.array(expected(data_set, "efron", "coefficient"))
    error = np.array(expected(data_set, "efron", "std_error"))
    np.testing.assert_allclose(ratios["estimate"], np.exp(beta), rtol=1e-8)
    np.testing.assert_allclose(ratios["std_error"], error, rtol=1e-8)
    z = 1.959963984540054
    np.testing.assert_allclose(ratios["lower"], np.exp(beta - z * error), rtol=1e-8)
    np.testing.assert_allclose(ratios["upper"], np.exp(beta + z * error), rtol=1e-8)
    tests = {row["statistic"]: row for row in rows.filter(pl.col("df").is_not_null()).rows(named=True)}
    null, top = expected(data_set, "efron", "loglik")
    assert tests["likelihood_ratio_test"]["estimate"] == pytest.approx(2 * (top - null), rel=1e-8)
    for name in ("score_test", "wald_test"):
        assert tests[name]["estimate"] == pytest.approx(expected(data_set, "efron", name)[0], rel=1e-8)
        assert tests[name]["df"] == 3


@pytest.mark.parametrize("data_set", SETS)
def test_clusters_agree_with_coxph(data_set: str) -> None:
    outcomes, covariates = tables(data_set)
    rows = cox(outcomes, covariates, terms=TERMS, cluster="patient_id" if data_set == "heart" else "id")
    np.testing.assert_allclose(
        rows["std_error"].drop_nulls(), expected(data_set, "efron", "robust_std_error"), rtol=1e-8
    )
    assert rows["statistic"][-1] == "wald_test"
    assert rows["estimate"][-1] == pytest.approx(expected(data_set, "efron", "robust_wald_test")[0], rel=1e-8)
    assert "likelihood_ratio_test" not in rows["statistic"].to_list()
    assert "robust" in rows["method"][0]


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("transform", ["km", "rank", "identity", "log"])
@pytest.mark.parametrize("data_set", SETS)
def test_proportional_hazards_test_agrees_with_cox_zph(data_set: str, transform: str, ties: str) -> None:
    rows = proportional_hazards_test(fit(data_set, ties=ties), transform=transform)
    assert rows["term"].to_list() == [*TERMS, "all"]
    assert rows["df"].to_list() == [1, 1, 1, 3]
    theirs = expected(data_set, ties, f"zph_{transform}")
    np.testing.assert_allclose(rows["estimate"], theirs, rtol=1e-6)


@pytest.mark.parametrize("data_set", ["veteran", "lung", "heart", "rats"])
def test_stratified_test_agrees_with_cox_zph(data_set: str) -> None:
    rows = proportional_hazards_test(fit(data_set, strata=["stratum"]))
    np.testing.assert_allclose(rows["estimate"], expected(data_set, "efron", "stratified_zph_km"), rtol=1e-6)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("data_set", SETS)
def test_predicted_curves_agree_with_survfit(data_set: str, ties: str) -> None:
    x2, x3 = expected(data_set, ties, "profile_x2_x3")
    profiles = pl.DataFrame({"x1": [0, 1], "x2": [x2] * 2, "x3": [x3] * 2})
    curves = predicted_curves(fit(data_set, ties=ties), profiles)
    assert curves.schema == CURVE
    times = expected(data_set, ties, "curve_time")
    for k, block in enumerate(curves.partition_by("subgroup", maintain_order=True), start=1):
        rows = [
            block["time_years"].search_sorted(t / DAYS_PER_YEAR * (1 + 1e-9), side="right") - 1 for t in times
        ]
        for ours, theirs in (("estimate", "curve"), ("std_error", "curve_error"), ("lower", "curve_lower"), ("upper", "curve_upper")):  # fmt: skip
            np.testing.assert_allclose(
                block[rows][ours], expected(data_set, ties, f"{theirs}_{k}"), rtol=1e-7, err_msg=ours
            )


def test_texts_become_levels_against_a_reference() -> None:
    outcomes, covariates = tables("veteran")
    cells = covariates.with_columns(
        pl.col("stratum")
        .replace_strict({1: "squamous", 2: "smallcell", 3: "adeno", 4: "large"})
        .alias("cell")
    )
    rows = cox(outcomes, cells, terms=["cell", "x2"], references={"cell": "squamous"})
    assert rows["term"].to_list()[:4] == [
        "cell: adeno against squamous",
        "cell: large against squamous",
        "cell: smallcell against squamous",
        "x2",
    ]
    tested = proportional_hazards_test(fit_cox(outcomes, cells, terms=["cell", "x2"]))
    assert tested.select("term", "df").rows() == [("cell", 3), ("x2", 1), ("all", 4)]
    curve = predicted_curves(fit_cox(outcomes, cells, terms=["cell", "x2"]), cells[:1])
    assert curve["subgroup"][0] == "cell=squamous, x2=60.0"


def test_arms_are_named_in_their_own_columns() -> None:
    outcomes, _ = tables("aml")
    arms = outcomes.with_columns(pl.Series("arm", ["HSCT", "control"] * 11 + ["HSCT"]))
    row = cox(arms, references={"arm": "control"}).row(0, named=True)
    assert (row["arm"], row["reference_arm"], row["term"]) == ("HSCT", "control", None)
    assert (row["n"], row["n_events"]) == (23, 18)
    assert row["person_years"] == pytest.approx(outcomes["time_day"].sum() / 365.25)
    swapped = cox(arms, references={"arm": "HSCT"}).row(0, named=True)
    assert swapped["estimate"] == pytest.approx(1 / row["estimate"], rel=1e-9)


def test_each_endpoint_is_fitted_by_itself() -> None:
    outcomes, covariates = tables("aml")
    both = pl.concat([outcomes.with_columns(pl.lit(name).alias("endpoint")) for name in ("efs", "os")])
    rows = cox(both, covariates, terms=["x1"])
    assert rows["endpoint"].unique(maintain_order=True).to_list() == ["efs", "os"]
    with pytest.raises(TableError, match="found 2"):
        fit_cox(both, covariates, terms=["x1"])


def test_an_arm_without_events_is_said_and_bounded() -> None:
    outcomes, covariates = tables("ovarian_empty_arm")
    row = cox(outcomes, covariates, terms=TERMS).row(0, named=True)
    assert (row["estimate"], row["std_error"], row["lower"], row["upper"], row["p_value"]) == (None,) * 5
    assert "towards a hazard ratio of 0 (separation)" in row["note"]
    row = cox(outcomes, covariates, terms=TERMS, interval="profile").row(0, named=True)
    assert row["estimate"] is None
    assert row["lower"] is None
    assert row["upper"] > 0
    firth = cox(outcomes, covariates, terms=TERMS, penalty="firth", interval="profile").row(0, named=True)
    model = "firth_efron"
    assert firth["estimate"] == pytest.approx(
        np.exp(expected("ovarian_empty_arm", model, "coefficient")[0]), rel=1e-6
    )
    limits = [
        np.exp(expected("ovarian_empty_arm", model, f"profile_{name}")[0]) for name in ("lower", "upper")
    ]
    assert [firth["lower"], firth["upper"]] == pytest.approx(limits, rel=1e-6)
    assert firth["p_value"] == pytest.approx(expected("ovarian_empty_arm", model, "profile_p")[0], rel=1e-6)
    with pytest.raises(RequestError, match="finite estimates"):
        proportional_hazards_test(fit_cox(outcomes, covariates, terms=TERMS))
    with pytest.raises(RequestError, match="finite estimates"):
        predicted_curves(fit_cox(outcomes, covariates, terms=TERMS), covariates)


def test_no_event_is_one_row_that_says_so() -> None:
    frame = pl.DataFrame(
        {"patient_id": ["a", "b"], "time_day": [3, 4], "is_event": [False, False], "arm": ["X", "Y"]}
    )
    rows = cox(frame)
    assert rows.height == 1
    assert rows.select("estimate", "n", "n_events").row(0) == (None, 2, 0)
    assert "no event in 2 patients" in rows["note"][0]
    assert cox(empty(TIME_TO_EVENT)).equals(empty(RESULTS))


def table(**columns: object) -> pl.DataFrame:
    frame = {"patient_id": ["a", "b", "c"], "time_day": [5, 6, 7], "is_event": [True, True, False]}
    return pl.DataFrame({**frame, **columns})


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (table(arm=["X", "X", "X"]), "'arm' has the one level 'X'"),
        (table(arm=["X", None, "Y"]), "'arm' is missing in 1 of 3 rows, the first is row 2"),
        (table(arm=["X", "Y", "X"], cause=[None, "competing_death", None]), "cannot take competing events"),
        (table(arm=["X", "Y", "X"], patient_id=["a", "b", "a"]), "repeat a patient"),
    ],
)
def test_impossible_tables_are_refused(frame: pl.DataFrame, message: str) -> None:
    with pytest.raises((TableError, RequestError), match=message):
        cox(frame)


@pytest.mark.parametrize(
    ("covariates", "message"),
    [
        (
            pl.DataFrame({"patient_id": ["a", "b"], "age": [1, 2]}),
            "1 of 3 patients of `time_to_event` has no row",
        ),
        (
            pl.DataFrame({"patient_id": ["a", "b", "c", "c"], "age": [1, 2, 3, 4]}),
            "need the column 'from_day'",
        ),
        (
            pl.DataFrame({"patient_id": ["a", "b", "c"], "age": [1, None, 3]}),
            "'age' is missing in 1 of 3 rows",
        ),
        (pl.DataFrame({"patient_id": ["a", "b", "c"], "age": [1, 1, 1]}), "Covariate 'age' is the same"),
        (
            pl.DataFrame({"patient_id": ["a", "b", "c"], "from_day": [0, 2, 0], "age": [1, 2, 1]}),
            "1 of 3 patients of `time_to_event` has no value from the start of risk",
        ),
        (pl.DataFrame({"patient_id": ["a", "b", "c"], "agee": [1, 2, 3]}), "Did you mean 'agee'"),
    ],
)
def test_impossible_covariates_are_refused(covariates: pl.DataFrame, message: str) -> None:
    with pytest.raises((TableError, RequestError), match=message):
        cox(table(), covariates, terms=["age"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"interval": "walt"}, "Did you mean 'wald'"),
        ({"penalty": "ridge"}, "known is 'firth'"),
        ({"penalty": "firth", "cluster": "patient_id"}, "knows no clusters"),
        ({"interval": "profile", "cluster": "patient_id"}, "knows no clusters"),
        ({"references": {"arm": "Z"}}, "has no level 'Z'"),
        ({"references": {"site": "Z"}}, "none of the terms"),
        ({"terms": []}, "one or more different terms"),
        ({"conf_level": 95}, "between 0 and 1"),
    ],
)
def test_impossible_requests_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        cox(table(arm=["X", "Y", "X"]), **arguments)  # type: ignore[arg-type]


def test_time_is_cut_where_a_covariate_changes() -> None:
    patients = pl.DataFrame(
        {
            "patient_id": ["a", "b", "c", "d"],
            "entry_day": [0, 30, 0, 0],
            "time_day": [80, 90, 40, 0],
            "is_event": [True, False, True, True],
        }
    )
    line = pl.DataFrame(
        {
            "patient_id": ["a", "a", "b", "b", "b", "c", "c", "d"],
            "from_day": [0, 50, -9, 10, 60, 0, 40, -3],
            "line": [1, 2, 1, 2, 3, 1, 2, 1],
        }
    )
    cut = split_at_changes(patients, line, columns=["line"])
    assert cut.rows() == [
        ("a", None, 50, False, 1),
        ("a", 50, 80, True, 2),
        ("b", 30, 60, False, 2),
        ("b", 60, 90, False, 3),
        ("c", None, 40, True, 1),  # the change on the day of the event does not explain it
        ("d", None, 0, True, 1),
    ]


def test_unknown_profiles_are_refused() -> None:
    fitted = fit_cox(table(arm=["X", "Y", "X"]), penalty="firth")
    with pytest.raises(TableError, match="level 'Z' was not in the data"):
        predicted_curves(fitted, pl.DataFrame({"arm": ["Z"]}))
    with pytest.raises(TableError, match="needs column 'arm'"):
        predicted_curves(fitted, pl.DataFrame({"age": [1]}))


def test_few_clusters_are_said_and_one_is_refused() -> None:
    outcomes, covariates = tables("aml")
    half = covariates.with_columns((pl.int_range(pl.len()) % 2).alias("site"), pl.lit(1).alias("country"))
    rows = cox(outcomes, half, terms=["x1"], cluster="site")
    assert rows["note"][0] == "robust error from 2 clusters: with so few it tends to be too small"
    assert cox(outcomes, half, terms=["x1"], cluster="patient_id")["note"][0] is None
    with pytest.raises(RequestError, match="two or more clusters"):
        cox(outcomes, half, terms=["x1"], cluster="country")


def test_the_public_case() -> None:
    rows = pl.read_csv(REFERENCE / "p04_cox.csv").with_row_index("number")
    rows = rows.with_columns(pl.col("number").cast(pl.String).alias("patient_id"))
    outcomes = rows.select(
        "patient_id", pl.col("time").alias("time_day"), (pl.col("status") == 1).alias("is_event")
    )
    terms = ["trt", "karno", "age"]
    covariates = rows.select("patient_id", *terms)
    efron = cox(outcomes, covariates, terms=terms)
    expected = [0.189546441923378, -0.0344438968387491, -0.00386441787397458]
    np.testing.assert_allclose(efron["estimate"][:3].log(), expected, rtol=1e-9)
    errors = [0.185530665023059, 0.00523241490055477, 0.00918738465815066]
    np.testing.assert_allclose(efron["std_error"][:3], errors, rtol=1e-9)
    assert efron["estimate"][3] == pytest.approx(2 * (505.449054918058 - 483.87798003783), rel=1e-9)
    breslow = cox(outcomes, covariates, terms=terms, ties="breslow")
    expected = [0.185459775976358, -0.0342305395656735, -0.00376213758698285]
    np.testing.assert_allclose(breslow["estimate"][:3].log(), expected, rtol=1e-9)
    changes = proportional_hazards_test(fit_cox(outcomes, covariates, terms=terms))
    expected = [0.283546926469633, 12.0029574497575, 2.09951762451289, 19.1016647862537]
    np.testing.assert_allclose(changes["estimate"], expected, rtol=1e-6)


@pytest.mark.parametrize("interval", ["wald", "profile"])
def test_a_ratio_beyond_numbers_is_no_estimate_and_the_note_gives_its_logarithm(interval: str) -> None:
    frame = pl.DataFrame({"patient_id": list("abcd"), "time_day": [1, 2, 3, 4], "is_event": [True] * 4})
    x = pl.DataFrame({"patient_id": list("abcd"), "x": [2e-6, 1e-6, 3e-6, 0.0]})
    row = cox(frame, x, terms=["x"], interval=interval).row(0, named=True)
    assert (row["estimate"], row["lower"], row["upper"]) == (None, None, None)
    log = fit_cox(frame, x, terms=["x"]).regression.coefficients[0]
    assert f"exp({log:.4g})" in row["note"]
    same = cox(frame, x.with_columns(pl.col("x") * 1e6), terms=["x"], interval=interval).row(0, named=True)
    assert row["p_value"] == pytest.approx(same["p_value"], rel=1e-6)
