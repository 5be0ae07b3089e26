"""A stated sample where a study has more patients than a drawing can hold."""

from __future__ import annotations

import polars as pl


def evenly(frame: pl.DataFrame, most: int) -> pl.DataFrame:
    """Return at most `most` rows, evenly spaced in the order given, first and last among them.

    Examples
    --------
    >>> evenly(pl.DataFrame({"a": range(9)}), 3)["a"].to_list()
    [0, 4, 8]
    """
    if frame.height <= most:
        return frame
    return frame[[round(i * (frame.height - 1) / (most - 1)) for i in range(most)]]


def sample_sentence(shown: int, total: int, order: str) -> str:
    """Return the sentence of the caption, empty when all are shown."""
    if shown == total:
        return ""
    return f" A sample of {shown} of {total:,} patients, evenly spaced by {order}."
