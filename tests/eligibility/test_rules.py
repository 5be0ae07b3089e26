"""Every rule of every set is met, not met and unknown in turn; sets as a whole; studies; HCT-CI."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from ahsct import check, load_example, make_study
from ahsct.cli.main import app
from ahsct.definitions.eligibility import Condition, EligibilityRule, RuleSet, list_rule_sets, load_rule_set
from ahsct.definitions.facts import FACTS
from ahsct.eligibility import (
    assess_eligibility,
    derive_facts,
    disagreements,
    hct_ci,
    nearest_misses,
    rule_flow,
)
from ahsct.eligibility.hct_ci import hct_ci_items
from ahsct.eligibility.told import facts_of_one, typed_facts
from ahsct.errors import DefinitionError, RequestError, TableError

SETS = [load_rule_set(id) for id in list_rule_sets()]


def every_rule() -> Iterator[tuple[RuleSet, EligibilityRule]]:
    for rules in SETS:
        for rule in rules.rules:
            if rule.cases:
                yield rules, rule


def satisfying(condition: Condition) -> object:
    value = condition.value
    if isinstance(value, tuple):
        return value[0]
    if condition.op in ("==", "<=", ">="):
        return value
    assert isinstance(value, float)
    return value - 0.5 if condition.op == "<" else value + 0.5


def violating(condition: Condition) -> object:
    value = condition.value
    if isinstance(value, bool):
        return not value
    if condition.op == "in":
        return "RIS"
    if isinstance(value, tuple):
        return float(value[1]) + 1
    assert isinstance(value, float)
    return {"<": value, "<=": value + 0.5, ">": value, ">=": value - 1}[condition.op]


def status_of(rule: EligibilityRule, rules: RuleSet, facts: dict[str, object]) -> str:
    found = assess_eligibility(facts_of_one(facts, name="test"), [rules]).rules.filter(
        pl.col("rule") == rule.id
    )
    return str(found["status"][0])


@pytest.mark.parametrize(("rules", "rule"), list(every_rule()), ids=lambda part: part.id)
def test_each_rule_is_met_not_met_and_unknown(rules: RuleSet, rule: EligibilityRule) -> None:
    context = {c.key: satisfying(c) for case in rule.applies_when[:1] for c in case}
    first = {c.key: satisfying(c) for c in rule.cases[0]}
    none = {c.key: violating(c) for case in rule.cases for c in case}
    yes, no = ("not met", "met") if rule.kind == "exclude" else ("met", "not met")
    assert status_of(rule, rules, context | first) == yes
    assert status_of(rule, rules, none | {k: v for k, v in context.items() if k not in none}) == no
    assert status_of(rule, rules, {}) == "unknown"
    if len(rule.applies_when) == 1 and rule.applies_when[0][0].fact == "ms_course":
        assert status_of(rule, rules, first | {"ms_course": "RIS"}) == "does not apply"


def test_the_sixteen_sets_hold_the_77_rules_of_the_source_with_their_marks() -> None:
    assert len(SETS) == 16
    assert sum(len(rules.rules) for rules in SETS) == 77
    recalled = {rule.id for rules in SETS for rule in rules.rules if rule.seen == "recalled"}
    assert recalled == {"EBMT19-03", "EBMT19-08", "EBMT19-09", "LON-09", "MIST-02"}


def test_an_example_worked_by_hand() -> None:
    # 50 years, EDSS 6.0, SPMS for 12 years since diagnosis, two new T2 lesions: London yes, as far as known
    one = facts_of_one(
        {"ms_course": "SPMS", "age_years": 50, "edss": 6.0, "years_since_diagnosis": 12, "disease_duration_years": 14,
         "new_t2_n_12m": 2, "active_lesions_n_12m": 2, "gd_n_12m": 0, "has_ms_by_neurologist": True, "meets_organ_limits": True,
         "is_aggressive": False},
        name="x",
    )  # fmt: skip
    found = assess_eligibility(one, SETS).rule_sets
    status = dict(found.select("rule_set", "status").iter_rows())
    assert status["london2016"] == "met"
    assert found.filter(pl.col("rule_set") == "london2016")["rests_on_recalled"].to_list() == [True]
    assert status["heidelberg"] == "not covered"
    assert status["ebmt2019"] == "unknown"  # whether it progresses was not said
    asked = found.filter(pl.col("rule_set") == "ebmt2019").row(0, named=True)
    assert asked["missing"] == ["is_progressing_12m", "relapses_n_12m"]


def test_alternatives_need_only_one_and_one_missing_fact_may_settle_it() -> None:
    known = {"ms_course": "RRMS", "is_dmt_naive": False, "age_years": 30, "edss": 2.0}
    one = assess_eligibility(
        facts_of_one(known | {"activity_episodes_on_dmt_n_12m": 1}, name="x"), [load_rule_set("starms2021")]
    )
    assert one.rule_sets.select("status", "settled_by").row(0) == ("met", None)
    none = facts_of_one(known | {"activity_episodes_on_dmt_n_12m": 0}, name="x")
    assert assess_eligibility(none, [load_rule_set("starms2021")]).rule_sets["not_met"].to_list() == [
        ["STAR-02 or STAR-03"]
    ]
    open_one = facts_of_one(known, name="x")
    row = assess_eligibility(open_one, [load_rule_set("starms2021")]).rule_sets.row(0, named=True)
    assert (row["status"], row["settled_by"]) == ("unknown", "activity_episodes_on_dmt_n_12m")


def cohort() -> pl.DataFrame:
    return pl.DataFrame(
        {"patient_id": ["a", "b", "c", "d"], "ms_course": ["RRMS"] * 4, "age_years": [30.0, 60.0, 30.0, 30.0],
         "edss": [3.0, 3.0, 6.5, None], "steroid_treated_relapses_on_dmt_n_12m": [1.0, 1.0, 1.0, 1.0], "gd_n_12m": [1.0, 0.0, 1.0, 1.0],
         "new_or_enlarging_t2_n_12m": [0.0, 0.0, 0.0, 0.0]}
    )  # fmt: skip


def test_flow_misses_and_disagreements_by_hand() -> None:
    ram, mexico = load_rule_set("ramms2018"), load_rule_set("mexico2020")
    found = assess_eligibility(cohort(), [ram])
    flow = rule_flow(found, ram).select(
        "rule", "n_before", "n_removed", "n_open", "n_left", "n_removed_alone"
    )
    # b is too old and not active, c walks too badly, d's EDSS is unknown
    assert flow.rows() == [("RAM-01", 4, 1, 0, 3, 1), ("RAM-02", 3, 1, 1, 2, 1), ("RAM-03", 2, 0, 0, 2, 1)]
    assert found.rule_sets["status"].to_list() == ["met", "not met", "not met", "unknown"]
    assert nearest_misses(found).select("patient_id", "rule", "found").rows() == [
        ("c", "RAM-02", "ms_course RRMS, edss 6.5")
    ]
    both = assess_eligibility(cohort().with_columns(can_transfer=True, months_since_mri=1.0), [ram, mexico])
    # everybody whose EDSS is known passes the second set; b and c are refused by the first
    assert disagreements(both).select("patient_id", "accepted_by", "refused_by").rows() == [
        ("b", ["mexico2020"], ["ramms2018"]),
        ("c", ["mexico2020"], ["ramms2018"]),
    ]


def study(**changes: object) -> object:
    tables = {
        "patients": pl.DataFrame({"patient_id": ["a"], "ms_course": ["RRMS"], "birth_day": [-12000], "disease_onset_day": [-2000],
                                  "diagnosis_day": [-1800]}),
        "visits": pl.DataFrame({"patient_id": ["a"] * 3, "visit_day": [-700, -60, 90], "edss": [2.0, 4.0, 1.0]}),
        "relapses": pl.DataFrame({"patient_id": ["a"] * 3, "onset_day": [-500, -300, -100], "steroid_treated": [True, None, True]}),
        "mri": pl.DataFrame({"patient_id": ["a"] * 2, "scan_day": [-400, -80], "gd_n": [5, 2], "new_t2_n": [3, 1]}),
        "treatments": pl.DataFrame(
            {"patient_id": ["a"] * 2, "kind": ["dmt"] * 2, "drug": ["interferon beta", "Natalizumab"], "start_day": [-1500, -450],
             "end_day": [-460, None], "reason_stopped": ["inefficacy", None]}
        ),
        "transplants": pl.DataFrame({"patient_id": ["a"], "mobilisation_start_day": [-40], "infusion_day": [0]}),
    } | changes  # fmt: skip
    return make_study("one", data_kind="simulated", **{k: v for k, v in tables.items() if v is not None})  # type: ignore[arg-type]


def test_facts_from_tables_by_hand() -> None:
    made = study()
    london, heidelberg = (
        derive_facts(made, load_rule_set(id)).row(0, named=True) for id in ("london2016", "heidelberg")
    )  # type: ignore[arg-type]
    # day -40: born on day -12000, so 11960 days old
    assert london["age_years"] == pytest.approx(11960 / 365.25)
    assert london["edss"] == 4.0  # the visit of day -60; that of day 90 comes later
    # day -80: 2 + 1; day -400 is 360 days before: 5 + 3
    assert london["active_lesions_n_12m"] == 11
    assert heidelberg["failed_dmt_n"] == 2
    assert heidelberg["edss_rise_24m"] == 2.0
    assert heidelberg["years_since_first_dmt"] == pytest.approx(1460 / 365.25)
    # London asks for six months (183 days) on the drug: the relapse of day -100 comes 350 days after the start
    assert london["failed_high_efficacy_dmt_n"] == 1
    norway = derive_facts(made, load_rule_set("norway2015")).row(0, named=True)  # type: ignore[arg-type]
    assert norway["relapses_on_dmt_n_12m"] == 2  # -300 and -100, both on natalizumab


@pytest.mark.parametrize(
    ("changes", "rules", "key", "value"),
    [
        ({"relapses": None}, "ebmt2019", "relapses_n_12m", None),  # no table is not no relapse
        ({"mri": None}, "ebmt2019", "active_lesions_n_12m", None),
        ({"treatments": None}, "norway2015", "relapses_on_dmt_n_12m", None),
        # one undated relapse: two dated ones are enough for the rule, one is not
        ({"relapses": pl.DataFrame({"patient_id": ["a"] * 3, "onset_day": [-300, -100, None]})}, "ebmt2019", "relapses_n_12m", 2),
        ({"relapses": pl.DataFrame({"patient_id": ["a"] * 2, "onset_day": [-100, None]})}, "ebmt2019", "relapses_n_12m", None),
        # only a category is known: 0 to 2 lesions
        ({"mri": pl.DataFrame({"patient_id": ["a"], "scan_day": [-80], "gd_n_min": [0], "gd_n_max": [2]})}, "starms2021", "gd_n_12m", None),
        ({"mri": pl.DataFrame({"patient_id": ["a"], "scan_day": [-80], "gd_n_min": [1], "gd_n_max": [2]})}, "starms2021", "gd_n_12m", 1),
        # stopped for a reason nobody wrote down, without activity: perhaps it failed
        (
            {"treatments": pl.DataFrame({"patient_id": ["a"], "kind": ["dmt"], "drug": ["natalizumab"], "start_day": [-1500], "end_day": [-1400]})},
            "shtg2019", "failed_high_efficacy_dmt_n", None,
        ),
    ],
)  # fmt: skip
def test_what_is_not_known_stays_unknown(
    changes: dict[str, object], rules: str, key: str, value: object
) -> None:
    assert derive_facts(study(**changes), load_rule_set(rules)).row(0, named=True)[key] == value  # type: ignore[arg-type]


def test_the_trial_of_2016_through_its_own_criteria() -> None:
    found = assess_eligibility(check(load_example("atkins2016")), [load_rule_set("ottawa2000")])
    by_rule = {rule: set(rows["status"]) for (rule,), rows in found.rules.group_by("rule")}
    assert by_rule["OTT-01"] == by_rule["OTT-02"] == {"met"}
    assert set(found.rule_sets["status"]) == {"unknown"}  # functional systems and marrow are in no table


def test_told_facts_come_before_derived_ones() -> None:
    told = typed_facts(
        pl.DataFrame({"patient_id": ["a"], "edss": ["7.0"], "can_transfer": ["true"]}), name="facts.csv"
    )
    found = assess_eligibility(study(), [load_rule_set("mexico2020")], facts=told)  # type: ignore[arg-type]
    assert dict(found.rules.select("rule", "status").iter_rows())["PUEB-03"] == "met"
    assert "edss 7" in found.rules.filter(pl.col("rule") == "PUEB-01")["found"][0]
    stranger = told.with_columns(pl.lit("z").alias("patient_id"))
    with pytest.raises(
        TableError, match="1 of 1 rows of `facts` name no patient of the study; the first is row 1"
    ):
        assess_eligibility(study(), [load_rule_set("mexico2020")], facts=stranger)  # type: ignore[arg-type]
    with pytest.raises(TableError, match=r"no fact 'edds'.* Did you mean 'edss'"):
        typed_facts(pl.DataFrame({"patient_id": ["a"], "edds": ["1"]}), name="facts.csv")
    with pytest.raises(TableError, match="row 1 is not"):
        typed_facts(pl.DataFrame({"patient_id": ["a"], "can_transfer": ["maybe"]}), name="facts.csv")


def test_a_rule_set_with_a_slip_names_it() -> None:
    with pytest.raises(DefinitionError, match="no fact 'ege_years'"):
        Condition(fact="ege_years", op="<", value=45.0)
    with pytest.raises(DefinitionError, match="needs window_months"):
        Condition(fact="relapses_n", op=">=", value=2.0)
    with pytest.raises(DefinitionError, match="neither a shipped rule set"):
        load_rule_set("ebmt2018")
    assert all(fact.label for fact in FACTS.values())


def test_hct_ci_by_hand() -> None:
    absent = dict.fromkeys(hct_ci_items()["item"].to_list(), False)
    rows = [
        absent,
        absent | {"diabetes": True, "prior_malignancy": True},  # 1 + 3
        absent | {"pulmonary_moderate": True, "pulmonary_severe": True},  # 3, not 5
        absent | {"hepatic_mild": None, "hepatic_severe": True},  # the milder form does not matter
        absent | {"renal": None},  # 0 or 2
    ]
    frame = pl.DataFrame([{"patient_id": str(i), "age_years": 40 - i} | row for i, row in enumerate(rows)])
    plain = hct_ci(frame)
    assert plain.select("score", "score_min", "score_max").rows() == [
        (0, 0, 0),
        (4, 4, 4),
        (3, 3, 3),
        (3, 3, 3),
        (None, 0, 2),
    ]
    assert plain["missing"].to_list()[-1] == ["renal"]
    assert "allogeneic" in plain["warning"][0]
    assert hct_ci(frame, version="hct_ci_age")["score"].to_list() == [1, 4, 3, 3, None]
    assert sum(hct_ci_items()["points"]) == 9 * 1 + 4 * 2 + 4 * 3
    with pytest.raises(TableError, match="no item 'diabetis'"):
        hct_ci(pl.DataFrame({"patient_id": ["a"], "diabetis": [True]}))


def test_hct_ci_on_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "comorbidities.csv"
    names = hct_ci_items()["item"].to_list()
    known = ["true" if name == "diabetes" else "false" for name in names]
    file.write_text(
        f"patient_id,age_years,{','.join(names)}\na,41,{','.join(known)}\nb,30,{','.join(['', *known[1:]])}\n",
        encoding="utf-8",
    )
    done = CliRunner().invoke(
        app, ["hct-ci", str(file), "--version", "hct_ci_age", "--out", str(tmp_path / "scores.csv")]
    )
    assert done.exit_code == 0, done.output
    assert "score 1 to 2 (items missing): 1" in done.output  # b: diabetes, and perhaps arrhythmia
    assert "score 2: 1" in done.output  # a: diabetes, and a point for the age
    assert "does not apply to autologous transplantation in MS" in " ".join(done.output.split())
    assert pl.read_csv(tmp_path / "scores.csv")["score"].to_list() == [2, None]
    assert "recalled, unverified" in CliRunner().invoke(app, ["hct-ci", "--items"]).output
    file.write_text("patient_id,diabetes\na,perhaps\n", encoding="utf-8")
    with pytest.raises(TableError, match="`diabetes` must be true or false or empty; 1 of 1 rows are not"):
        CliRunner().invoke(app, ["hct-ci", str(file)], catch_exceptions=False)


def test_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "patient.toml"
    file.write_text('ms_course = "RRMS"\nage_years = 50\nedss = 6.0\n', encoding="utf-8")
    done = CliRunner().invoke(
        app, ["eligibility", str(file), "--ruleset", "ramms2018", "--out", str(tmp_path / "out")]
    )
    assert done.exit_code == 0, done.output
    assert "RAM-MS RCT NCT03477500 (2018): not met" in done.output
    assert "not met: RAM-02 (include) EDSS 0 to 5.5; found ms_course RRMS, edss 6" in done.output
    assert "Not a recommendation" in done.output
    assert pl.read_csv(tmp_path / "out" / "rules.csv").height == 3
    refused = CliRunner().invoke(app, ["eligibility", str(file), "--at", "index"])
    assert isinstance(refused.exception, RequestError)
    assert "--facts and --at go with a study" in str(refused.exception)
    example = Path(load_example.__code__.co_filename).parent / "atkins2016"
    done = CliRunner().invoke(app, ["eligibility", str(example)])
    assert done.exit_code == 0, done.output
    assert "not real people" in done.output
    assert done.output.count("recalled, unverified") == 3
    # London names its drugs; four sets that ask for failed high-efficacy drugs do not
    unverified = [
        line.split()[0]
        for line in done.output.splitlines()
        if "list of high-efficacy drugs is unverified" in line
    ]
    assert unverified == ["ebmt2019", "ectrims_ebmt2025", "nmss2021", "shtg2019"]


def test_aggressive_disease_may_stand_in_for_a_failed_drug() -> None:
    known = {
        "ms_course": "RRMS",
        "relapses_n_12m": 2,
        "is_aggressive": True,
        "has_severe_disability_accrual_12m": True,
    }
    ebmt = load_rule_set("ebmt2019")

    def status(**facts: object) -> tuple[object, ...]:
        one = assess_eligibility(facts_of_one(known | facts, name="x"), [ebmt]).rule_sets
        return one.select("status", "settled_by").row(0)

    assert status(failed_high_efficacy_dmt_n=0) == ("met", None)
    assert status(failed_high_efficacy_dmt_n=0, is_aggressive=False) == ("not met", None)
    assert status(failed_high_efficacy_dmt_n=0, has_severe_disability_accrual_12m=False) == ("not met", None)
    # with a failed drug nobody asks whether the disease is aggressive
    plain = {"ms_course": "RRMS", "relapses_n_12m": 2, "failed_high_efficacy_dmt_n": 1}
    assert assess_eligibility(facts_of_one(plain, name="x"), [ebmt]).rule_sets["status"].to_list() == ["met"]


def test_ram_counts_treated_relapses_after_three_months_on_the_drug() -> None:
    # judged on day -40; natalizumab from day -450: three months end on day -358.7
    def counted(days: list[int], treated: list[bool | None]) -> float | None:
        relapses = pl.DataFrame(
            {"patient_id": ["a"] * len(days), "onset_day": days, "steroid_treated": treated}
        )
        found = derive_facts(study(relapses=relapses), load_rule_set("ramms2018"))  # type: ignore[arg-type]
        value: float | None = found["steroid_treated_relapses_on_dmt_n_12m"][0]
        return value

    assert counted([-359], [True]) == 0
    assert counted([-358], [True]) == 1
    assert counted([-358], [False]) == 0
    assert counted([-358], [None]) is None
    assert counted([-358, -100], [None, True]) == 1  # one is enough


@pytest.mark.parametrize(
    ("scans", "expected"),
    [
        ({"gd_n": [0, 0], "new_t2_n": [0, None]}, 0),  # counted on one scan of the window
        ({"gd_n": [0, 0], "new_t2_n": [None, None]}, None),  # new lesions were never counted
        ({"gd_n": [None, None], "new_t2_n": [0, 0]}, None),
        ({"gd_n": [1, 0], "new_t2_n": [None, None]}, 1),  # one lesion is enough
    ],
)
def test_a_lesion_that_nobody_counted_is_not_zero(
    scans: dict[str, list[int | None]], expected: object
) -> None:
    mri = pl.DataFrame({"patient_id": ["a"] * 2, "scan_day": [-300, -80], **scans})
    found = derive_facts(study(mri=mri), load_rule_set("ebmt2019"))  # type: ignore[arg-type]
    assert found["active_lesions_n_12m"][0] == expected


def test_the_disagreement_of_published_sets_on_one_patient() -> None:
    # 50 years, EDSS 6.0, 12 years of secondary progressive disease, two new T2 lesions, nothing else against
    one = facts_of_one(
        {"ms_course": "SPMS", "age_years": 50, "edss": 6.0, "years_since_diagnosis": 12, "disease_duration_years": 12, "new_t2_n_12m": 2,
         "active_lesions_n_12m": 2, "gd_n_12m": 0, "relapses_n_12m": 0, "is_progressing_12m": False, "has_ms_by_neurologist": True,
         "meets_organ_limits": True, "has_clinical_activity_12m": False},
        name="x",
    )  # fmt: skip
    found = assess_eligibility(
        one, [load_rule_set(id) for id in ("london2016", "ebmt2019", "nmss2021", "heidelberg")]
    )
    assert dict(found.rule_sets.select("rule_set", "status").iter_rows()) == {
        "london2016": "met", "ebmt2019": "not met", "nmss2021": "not covered", "heidelberg": "not covered",
    }  # fmt: skip
    assert disagreements(found).select("accepted_by", "refused_by").row(0) == (["london2016"], ["ebmt2019"])


def test_a_large_cohort_gives_what_a_small_one_gives() -> None:
    n = 60_000  # large enough for the engine to work in parts
    one = study()
    tables = {
        name: pl.concat(
            [frame.drop("row", strict=False)] * n
        ).with_columns(pl.int_range(pl.len()).floordiv(frame.height).cast(pl.String).alias("patient_id"))
        for name, frame in one.tables.items()  # type: ignore[attr-defined]
    }  # fmt: skip
    rules = load_rule_set("heidelberg")
    many = (
        derive_facts(make_study("many", data_kind="simulated", **tables), rules).drop("patient_id").unique()
    )
    assert many.equals(derive_facts(one, rules).drop("patient_id"))  # type: ignore[arg-type]
