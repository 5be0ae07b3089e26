"""The words for combined worsening, loss of brain volume, PIRA and RAW, and what came first."""

from typing import Any

import pytest

from ahsct.definitions import load_definition, vary
from ahsct.report.methods import methods_text
from ahsct.report.words import component_words, incidence_words


def said(definition: Any) -> str:
    return " ".join(statement.text for _, statements in methods_text(definition) for statement in statements)


@pytest.mark.parametrize(
    ("id", "changes", "words"),
    [
        ("neda4", {}, "is an event when it is more than 0.4 % a year"),
        ("neda4", {}, "fewer than 2 comparable volumes after it is not evaluable"),
        (
            "neda4",
            {"brain_volume_loss": {"criterion": "fixed", "max_loss_pct": 1.5}},
            "when it is more than 1.5 % in all",
        ),
        (
            "neda4",
            {"brain_volume_loss": {"criterion": "age_norm", "norm": "healthy_siena_2018"}},
            "healthy siena 2018: its 95th percentile",
        ),
        ("neda4", {"brain_volume_loss__min_interval_days": 183}, "less than 183 days after the re-baseline"),
        ("kappos2020", {}, "EDSS, walk or hands: worsening of any of EDSS, timed 25-foot walk"),
        ("kappos2020", {}, "Each measure confirms its own worsening."),
        ("kappos2020", {"combined__cda__assessed_when": "any_measured"}, "where any of them was taken"),
        ("kappos2020", {}, "progression of EDSS, walk or hands independent of relapse activity (PIRA)"),
        ("neda3", {}, "No measures of disability are combined. Loss of brain volume is no component."),
        (
            "neda3",
            {"endpoints__neda3__missing": {"scheduled_only": True}},
            "Unscheduled visits find events but do not lengthen the follow-up.",
        ),
    ],
)  # fmt: skip
def test_each_choice_is_put_into_words(id: str, changes: dict[str, Any], words: str) -> None:
    assert words in said(vary(load_definition(id), **changes))


def test_one_measure_confirming_another_is_said() -> None:
    fixed = {
        f"disability__{rule.measure}__relapse_rebaseline": "none"
        for rule in load_definition("kappos2020").disability
    }
    fixed |= {
        f"disability__{rule.measure}__relapse_evaluation_days": 0
        for rule in load_definition("kappos2020").disability
    }
    varied = vary(load_definition("kappos2020"), combined__cda__confirmed_by="any_measure", **fixed)
    assert "confirms the worsening of any other" in said(varied)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("edss_raw", "relapse-associated EDSS worsening (RAW)"),
        ("t25fw_s_improvement", "confirmed timed 25-foot walk improvement"),
        ("cda_worsening", "confirmed worsening of EDSS, walk or hands"),
        ("brain_volume_loss", "loss of brain volume"),
        ("other_death", "death from another cause"),
    ],
)
def test_components_in_words(name: str, words: str) -> None:
    assert component_words(name, load_definition("kappos2020")) == words


@pytest.mark.parametrize(
    ("term", "words"),
    [
        ("any_event", "had an event"),
        ("competing_other_death", "died of another cause before any such event"),
        ("competing_dmt_restart", "had a restart of a disease-modifying drug before any such event"),
        ("edss_pira", "had EDSS progression independent of relapse activity (PIRA) as the first event"),
    ],
)
def test_incidences_in_words(term: str, words: str) -> None:
    assert incidence_words(term) == words
