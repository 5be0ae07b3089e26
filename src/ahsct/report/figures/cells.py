"""A grid of coloured cells, drawn as one shape per colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_cells(
    plot: Axes,
    grid: np.ndarray,
    *,
    colors: str,
    high: float,
    x: Sequence[float] | np.ndarray | None = None,
    gap: float = 1.0,
) -> None:
    """Draw the cells of a grid, row after row downwards from 0, and set the limits of the axes to it.

    Parameters
    ----------
    grid
        Shape (rows, columns); where not finite, no cell is drawn.
    colors
        Name of matplotlib's colour map, from 0 to `high`.
    x
        Edges of the columns (one more than columns); 0, 1, 2 … where missing.
    gap
        Width of the white line between cells [pt].
    """
    from matplotlib import colormaps
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    n_rows, n_columns = grid.shape
    edges = np.arange(n_columns + 1) if x is None else np.asarray(x)
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    for value in np.unique(grid[np.isfinite(grid)]):
        row, column = np.nonzero(grid == value)
        left, right = edges[column], edges[column + 1]
        across = np.stack([left, right, right, left, left], axis=1)
        down = np.stack([row, row, row + 1, row + 1, row], axis=1)
        shape = Path(np.stack([across.ravel(), down.ravel()], axis=1), codes * len(row))
        plot.add_artist(
            PathPatch(shape, facecolor=colormaps[colors](value / high), edgecolor="white", linewidth=gap)
        )
    plot.set_xlim(edges[0], edges[-1])
    plot.set_ylim(n_rows, 0)
