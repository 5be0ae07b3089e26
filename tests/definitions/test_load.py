"""Definitions load strictly; each fault is an error that names file, key and the nearest known key."""

import dataclasses
from pathlib import Path

import pytest

from ahsct.definitions import (
    DisabilityRule,
    Handling,
    ThresholdStep,
    list_definitions,
    list_norms,
    load_definition,
    rule_hash,
    vary,
)
from ahsct.errors import DefinitionError

SHIPPED = Path(__file__).parents[2] / "src" / "ahsct" / "definitions" / "endpoints"


@pytest.mark.parametrize("id", list_definitions())
def test_shipped_definitions_load_and_know_themselves(id: str) -> None:
    definition = load_definition(id)
    assert definition.id == id
    assert definition.source.citation
    assert definition.primary_milestone_days in definition.milestones_days
    assert load_definition(SHIPPED / f"{id}.toml").hash == definition.hash


def test_the_first_four_are_there() -> None:
    assert {"atkins2016", "halt2017", "mist2019", "neda3"} <= set(list_definitions())


def test_published_thresholds() -> None:
    """Errata 11 of the facts: HALT more than 0.5 from any baseline, MIST 1.0 flat."""
    for id in ("halt2017", "mist2019"):
        rule = load_definition(id).disability_rule("edss")
        assert rule.worsening_threshold == (ThresholdStep(from_value=0, change=1.0),)
    assert load_definition("halt2017").conf_level == 0.90
    assert load_definition("mist2019").time_zero.kind == "randomisation"


def test_norms_named_by_definitions_exist() -> None:
    for id in list_definitions():
        rule = load_definition(id).brain_volume
        assert set(rule.norms if rule else ()) <= set(list_norms())


def spoil(tmp_path: Path, old: str, new: str) -> Path:
    text = (SHIPPED / "atkins2016.toml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("conf_level = 0.95", "conf_levl = 0.95", ["mine.toml", "conf_levl", "Did you mean 'conf_level'"]),
        ("conf_level = 0.95", 'conf_level = "0.95"', ["mine.toml", "conf_level", "number"]),
        ("conf_level = 0.95", "conf_level = 95", ["between 0 and 1"]),
        ('interval = "log-log"', 'interval = "loglog"', ["interval", "log-log"]),
        ("schema = 1", "schema = 2", ["schema"]),
        ('measure = "edss"', 'measure = "edsss"', ["measure", "edss"]),
        ("[168]", "[168.5]", ["confirmation_periods_days"]),
        ("[168]", "[]", ["confirmation_periods_days", "one or more"]),
        ("sustained_days = 0", 'sustaned_days = 0', ["Did you mean 'sustained_days'"]),
        ("{ from = 0, change = 1.0 }, { from = 5.5", "{ from = 5.5, change = 1.0 }, { from = 0", ["rises from 0"]),
        ("change = 0.5", "change = 0", ["above 0"]),
        ("[source]", "[sources]", ["[source] is missing"]),
        ('primary_endpoint = "activity_free_survival"', 'primary_endpoint = "activity_free"', ["Did you mean"]),
        ('components = ["edss_worsening"]', 'components = ["edss_worse"]', ["Did you mean 'edss_worsening'"]),
        ('field = "disability.edss"', 'field = "disabilty.edss"', ["Did you mean 'disability'"]),
        ('"treatment_policy", handling = "ignore"', '"treatment_policy", handling = "event"', ["goes with handling"]),
        ('"treatment_policy", handling = "ignore"', '"principal_stratum", handling = "ignore"', ["refused"]),
        ('"treatment_policy", handling = "ignore"', '"hypothetical", handling = "censor"', ["assumption"]),
        ('"as_published_exclusion", handling = "censor"', '"treatment_policy", handling = "ignore"', ["cannot be ignored"]),
        ('estimands = ["as_published", "everyone_counted"]', 'estimands = ["as_published"]', ["counts everyone"]),
        ("schema = 1", "schema = 1\n= 3", ["not valid TOML"]),
        ("target_day = 91", "target_day = 2009-01-01", ["mine.toml"]),
    ],
)  # fmt: skip
def test_faults_are_named(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    with pytest.raises(DefinitionError) as caught:
        load_definition(spoil(tmp_path, old, new))
    for word in words:
        assert word in str(caught.value)


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    path = spoil(tmp_path, "conf_level = 0.95", "conf_levl = 0.95\nnonsense = 1")
    with pytest.raises(DefinitionError) as caught:
        load_definition(path)
    assert "conf_levl" in str(caught.value)
    assert "nonsense" in str(caught.value)


def test_no_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="Did you mean 'atkins2016'"):
        load_definition("atkins2015")
    (tmp_path / "latin.toml").write_bytes('title = "Müller"'.encode("latin-1"))
    with pytest.raises(DefinitionError, match="UTF-8"):
        load_definition(tmp_path / "latin.toml")


def test_vary_reaches_every_depth_and_leaves_the_original() -> None:
    definition = load_definition("atkins2016")
    varied = vary(
        definition,
        conf_level=0.9,
        disability__edss__confirmation_periods_days=[84, 168],
        **{"rebaseline.mri.target_day": 183, "rebaseline.mri.window_days": (122, 274)},
    )
    assert varied.conf_level == 0.9
    assert varied.disability_rule("edss").confirmation_periods_days == (84, 168)
    assert varied.rebaseline.mri is not None
    assert varied.rebaseline.mri.target_day == 183
    assert varied.hash != definition.hash
    assert vary(varied, conf_level=0.95).conf_level == definition.conf_level == 0.95
    assert vary(definition).hash == definition.hash


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"conf_levl": 0.9}, "Did you mean 'conf_level'"),
        ({"disability__edss__sustain": 1}, "Did you mean 'sustained_days'"),
        ({"disability__sdmt__sustained_days": 1}, "no item 'sdmt'"),
        ({"conf_level": "high"}, "number"),
        ({"conf_level__x": 1}, "unknown field"),
    ],
)
def test_vary_refuses(changes: dict[str, object], word: str) -> None:
    with pytest.raises(DefinitionError, match=word):
        vary(load_definition("atkins2016"), **changes)


def test_rules_and_definitions_are_frozen_and_hash_by_content() -> None:
    steps = (ThresholdStep(from_value=0, change=1.0),)
    rule = DisabilityRule(measure="edss", worsening_threshold=steps, improvement_threshold=steps)
    with pytest.raises(dataclasses.FrozenInstanceError):
        rule.measure = "sdmt"  # type: ignore[misc]
    assert rule_hash(rule) == rule_hash(vary(rule)) != rule_hash(vary(rule, sustained_days=1))


def test_handling_follows_ich_e9() -> None:
    assert Handling(strategy="while_alive", handling="competing").assumption is None
    with pytest.raises(DefinitionError, match="goes with handling event"):
        Handling(strategy="composite", handling="censor")
