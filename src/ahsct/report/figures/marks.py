"""The same mark for the same event in every drawing of single patients."""

from __future__ import annotations

import polars as pl

from ahsct.report.figures.key import Mark
from ahsct.report.style import BLUE, GREEN, INK, ORANGE, PURPLE, VERMILION

RELAPSE = Mark(word="relapse", marker="o", color=VERMILION)
MRI_ACTIVITY = Mark(word="MRI activity", marker="s", color=ORANGE)
WORSENING = Mark(word="EDSS worsening", marker="^", color=PURPLE)
IMPROVEMENT = Mark(word="EDSS improvement", marker="v", color=GREEN)
OTHER = Mark(word="other change of disability", marker="D", color=PURPLE, is_filled=False)
RESTART = Mark(word="new DMT", marker="P", color=BLUE)
SECOND = Mark(word="further transplant", marker="*", color=BLUE)
DEATH = Mark(word="death", marker="x", color=INK)
ONGOING = Mark(word="followed on", marker=">", color=INK, is_filled=False)
CONFIRMED = Mark(word="confirmed", marker="o", color=INK, is_filled=False)


def with_mark(events: pl.DataFrame) -> pl.DataFrame:
    """Return the events (schema EVENTS) with `mark`, the word of their mark."""
    edss = (pl.col("kind") == "disability") & (pl.col("measure") == "edss")
    return events.with_columns(
        pl.when(pl.col("kind") == "relapse")
        .then(pl.lit(RELAPSE.word))
        .when(pl.col("kind") == "mri_activity")
        .then(pl.lit(MRI_ACTIVITY.word))
        .when(edss & (pl.col("direction") == "worsening"))
        .then(pl.lit(WORSENING.word))
        .when(edss & (pl.col("direction") == "improvement"))
        .then(pl.lit(IMPROVEMENT.word))
        .otherwise(pl.lit(OTHER.word))
        .alias("mark")
    )
