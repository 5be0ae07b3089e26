"""What the page on composite endpoints shows can be built."""

import re
import tomllib
from pathlib import Path

from ahsct.definitions import BrainVolumeLossRule, load_definition, vary

FOLDER = Path(__file__).parents[2] / "docs" / "how-to"


def blocks(page: str, language: str) -> list[str]:
    text = (FOLDER / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_edss_plus_is_built_as_shown() -> None:
    (code,) = blocks("composite-endpoints.md", "python")
    shown: dict[str, object] = {}
    exec(code, shown)
    mine = shown["mine"]
    assert mine.endpoint("progression_free_survival").components == ("edss_plus_worsening",)  # type: ignore[attr-defined]
    assert {"edss_plus_pira", "edss_plus_raw"} <= set(mine.components)  # type: ignore[attr-defined]


def test_the_loss_of_brain_volume_is_that_of_neda4() -> None:
    (text,) = blocks("composite-endpoints.md", "toml")
    rule = BrainVolumeLossRule(**tomllib.loads(text)["brain_volume_loss"])
    definition = load_definition("neda4")
    assert rule == definition.brain_volume_loss
    for other in (
        {"criterion": "age_norm", "norm": "healthy_siena_2018"},
        {"criterion": "fixed", "max_loss_pct": 1},
    ):
        vary(definition, brain_volume_loss=other)
