"""A multiverse with what can be read from it: the answers, what makes their spread, what would turn them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ahsct.definitions import Grid, load_grid
from ahsct.multiverses.answers import multiverse
from ahsct.multiverses.spread import share_spread
from ahsct.multiverses.turning import count_crossing, turning_points
from ahsct.tables import Study


@dataclass(frozen=True, kw_only=True)
class Multiverse:
    """`answers` as `multiverse` gives them; `spread`, `turning` and `crossing` as the functions of these names."""

    study_id: str
    data_kind: str
    study_hash: str
    grid: Grid
    answers: pl.DataFrame
    spread: pl.DataFrame
    turning: pl.DataFrame
    crossing: pl.DataFrame


def derive_multiverse(
    study: Study, grid: str | Path | Grid, *, threshold: float | None = None, workers: int = 1
) -> Multiverse:
    """Return a study's answers under every definition of a grid, and what they say together.

    Parameters
    ----------
    study, grid, workers
        As for `multiverse`.
    threshold
        The probability that an answer must cross to count as another one; missing: the interval of the base.

    Raises
    ------
    StudyError, DefinitionError, RequestError
        As `multiverse` and `turning_points`.
    """
    grid = load_grid(grid)
    answers = multiverse(study, grid, workers=workers)
    return Multiverse(
        study_id=study.study_id,
        data_kind=study.data_kind,
        study_hash=study.content_hash,
        grid=grid,
        answers=answers,
        spread=share_spread(answers, grid),
        turning=turning_points(answers, grid, threshold=threshold),
        crossing=count_crossing(answers, grid, threshold=threshold),
    )
