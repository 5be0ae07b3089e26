"""REDCap: the 2016 study as a flat export and back; instruments, events, check boxes, codes and labels."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from ahsct import check, derive_outcomes, find_problems, load_definition, load_example, read_study
from ahsct.errors import SourceError
from ahsct.tables.redcap import CHOICES, FORM, NAME, TYPE, data_dictionary, prepare_redcap, redcap_shape
from ahsct.vocabulary import INPUT_TABLES


def test_round_trip(tmp_path: Path) -> None:
    study = check(load_example("atkins2016"))
    folder = tmp_path / "redcap"
    folder.mkdir()
    for name, frame in redcap_shape(study.tables).items():
        frame.write_csv(folder / f"{name}.csv")
    (folder / "study.toml").write_text(
        'study_id = "atkins2016"\ndata_kind = "reconstructed"\n', encoding="utf-8"
    )
    read = read_study(folder, kind="redcap")
    assert find_problems(read).filter(pl.col("severity") == "error").is_empty()
    back = derive_outcomes(check(read), load_definition("atkins2016"))
    outcomes = derive_outcomes(study, load_definition("atkins2016"))
    for name in (
        "events",
        "confirmations",
        "time_to_event",
        "recurrent",
        "not_evaluable",
        "flow",
        "patient_values",
    ):
        before, after = getattr(outcomes, name), getattr(back, name)
        shared = [column for column in before.columns if column not in ("sources", "source_row")]
        assert after.select(shared).sort(shared).equals(before.select(shared).sort(shared)), name


def test_the_shipped_dictionary_covers_every_column_once() -> None:
    dictionary = data_dictionary()
    assert dictionary[NAME].is_duplicated().sum() == 0
    assert set(dictionary[FORM]) == set(INPUT_TABLES)
    assert dictionary[NAME].str.contains(r"^[a-z][a-z0-9_]*$").all()
    assert dictionary.filter(pl.col(NAME) == "patients_sex")[CHOICES].item() == "1, F | 2, M | 3, U"


def project() -> tuple[pl.DataFrame, pl.DataFrame]:
    dictionary = pl.DataFrame(
        [("record_id", "enrolment", "text", None), ("sex", "enrolment", "radio", "0, Male | 1, Female"),
         ("side", "enrolment", "checkbox", "l, Left | r, Right"), ("score", "visit", "text", None), ("walks", "visit", "yesno", None)],
        schema=[NAME, FORM, TYPE, CHOICES], orient="row",
    )  # fmt: skip
    export = pl.DataFrame(
        {"record_id": ["1", "1", "1", "2", "2"], "redcap_event_name": ["base_arm_1", "base_arm_1", "m6_arm_1", "base_arm_1", "m6_arm_1"],
         "redcap_repeat_instrument": ["", "visit", "Visit", None, None], "redcap_repeat_instance": [None, "1", "1", None, None],
         "sex": ["1", None, None, "Male", None], "side___l": ["1", None, None, "0", None], "side___r": ["1", None, None, "0", None],
         "score": [None, "3.5", "4", "2", None], "walks": [None, "1", "0", None, None], "enrolment_complete": ["2", None, None, "2", "0"]}
    )  # fmt: skip
    return dictionary, export


def test_instruments_are_split_and_codes_become_labels() -> None:
    dictionary, export = project()
    found = prepare_redcap({"dict": dictionary, "data": export})
    assert found["enrolment"].select("record_id", "sex", "side").rows() == [
        ("1", "Female", "Left; Right"),
        ("2", "Male", None),
    ]
    # a row of another instrument, and one in which nothing was filled in, are no visits
    assert found["visit"].select("record_id", "redcap_event_name", "score", "walks").rows() == [
        ("1", "base_arm_1", "3.5", "yes"), ("1", "m6_arm_1", "4", "no"), ("2", "base_arm_1", "2", None),
    ]  # fmt: skip


def test_an_instrument_that_nobody_filled_in_is_no_table() -> None:
    dictionary, export = project()
    found = prepare_redcap(
        {
            "dict": dictionary,
            "data": export.with_columns(pl.lit(None).alias("score"), pl.lit(None).alias("walks")),
        }
    )
    assert list(found) == ["enrolment"]


def test_what_is_missing_is_named() -> None:
    dictionary, export = project()
    with pytest.raises(SourceError, match="found 0 and 1"):
        prepare_redcap({"data": export})
    with pytest.raises(SourceError, match="data has no column 'record_id'"):
        prepare_redcap({"dict": dictionary, "data": export.drop("record_id")})


def test_fields_that_the_dictionary_does_not_know_are_left_for_the_log() -> None:
    dictionary, export = project()
    tables = prepare_redcap(
        {"d": dictionary, "e": export.with_columns(shoe_size=pl.lit("42"), visit_complete=pl.lit("2"))}
    )
    assert tables["fields outside the data dictionary (shoe_size)"].columns == ["shoe_size"]


def test_a_label_export_names_instruments_by_titles_that_the_dictionary_does_not_hold() -> None:
    dictionary, export = project()
    titles = pl.Series("redcap_repeat_instrument", ["", "MS examination", "MS examination", None, None])
    found = prepare_redcap({"dict": dictionary, "data": export.with_columns(titles)})
    assert found["visit"]["score"].to_list() == ["3.5", "4", "2"]
    # a title may be the form name of another instrument
    found = prepare_redcap({"dict": dictionary, "data": export.with_columns(titles.replace("MS examination", "Enrolment"))})  # fmt: skip
    assert found["visit"]["score"].to_list() == ["3.5", "4", "2"]
    assert found["enrolment"].height == 2


def test_check_boxes_have_their_codes_in_small_letters_and_without_signs() -> None:
    dictionary, export = project()
    choices = pl.when(pl.col(NAME) == "side").then(pl.lit("A, Arm | -1, Unknown | b.2, Leg")).otherwise(CHOICES).alias(CHOICES)  # fmt: skip
    boxes = export.drop("side___l", "side___r").with_columns(
        side___a=pl.Series(["1", None, None, "0", None]),
        side____1=pl.Series(["Checked", None, None, "1", None]),
        side___b_2=pl.Series(["0", None, None, "1", None]),
    )
    found = prepare_redcap({"dict": dictionary.with_columns(choices), "data": boxes})
    assert found["enrolment"]["side"].to_list() == ["Arm; Unknown", "Unknown; Leg"]


def test_a_code_that_is_the_label_of_another_choice() -> None:
    # EDSS as a drop-down list: code 1 is the step 0, code 2 the step 1, code 3 the step 1.5
    dictionary, export = project()
    edss = pl.when(pl.col(NAME) == "score").then(pl.lit("1, 0 | 2, 1 | 3, 1.5")).otherwise(CHOICES).alias(CHOICES)  # fmt: skip
    kind = pl.when(pl.col(NAME) == "score").then(pl.lit("dropdown")).otherwise(TYPE).alias(TYPE)
    dictionary = dictionary.with_columns(edss, kind)
    scores = pl.Series("score", [None, "1", "1", "1", None])
    for sex, expected in ((["1", None, None, "0", None], "0"), (["Female", None, None, "Male", None], "1")):
        made = export.with_columns(scores, pl.Series("sex", sex))
        assert prepare_redcap({"d": dictionary, "e": made})["visit"]["score"].to_list() == [expected] * 3
    for sex in (["1", None, None, "Male", None], [None] * 5):
        with pytest.raises(SourceError, match="`score` has choices whose codes are labels of other choices"):
            prepare_redcap({"d": dictionary, "e": export.with_columns(scores, pl.Series("sex", sex, dtype=pl.String))})  # fmt: skip
