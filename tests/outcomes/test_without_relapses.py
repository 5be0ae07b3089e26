"""A study without a table of relapses cannot say that a worsening came without one."""

import polars as pl
import pytest

from ahsct import analyse, load_example
from ahsct.tables import Study


@pytest.fixture(scope="module")
def results() -> dict[str, pl.DataFrame]:
    whole = load_example("atkins2016")
    found = {}
    for left_out in ("relapses", "mri"):
        tables = {name: frame for name, frame in whole.tables.items() if name != left_out}
        analysis = analyse(Study("part", tables, data_kind="reconstructed"))
        found[left_out] = analysis.estimates.results
        found[f"{left_out} events"] = analysis.outcomes.events
    return found


def test_no_relapse_table_no_label(results: dict[str, pl.DataFrame]) -> None:
    worsening = results["relapses events"].filter(pl.col("direction") == "worsening")
    assert worsening.height == 8
    assert worsening["label"].null_count() == 8
    terms = set(results["relapses"].filter(pl.col("endpoint") == "disability")["term"])
    assert terms == {"edss_worsening", "edss_worsening: without MRI activity"}


def test_no_scans_no_word_on_mri_activity(results: dict[str, pl.DataFrame]) -> None:
    worsening = results["mri events"].filter(pl.col("direction") == "worsening")
    assert set(worsening["mri_activity"]) == {"not_assessed"}
    terms = set(results["mri"].filter(pl.col("endpoint") == "disability")["term"])
    assert terms == {"edss_worsening", "edss_worsening: PIRA", "edss_worsening: RAW"}
    composites = results["mri"].filter((pl.col("component") == "composite").fill_null(False))["endpoint"]
    assert not composites.is_in(["mri_activity_free_survival", "activity_free_survival"]).any()
    assert "mri" not in results["mri"]["endpoint"].to_list()
