"""Numbers in the unit of our column: converted where the unit is known, left for the check to refuse where it is not."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

UNREAD = " in an unknown unit: "


def in_our_unit(
    values: pl.Series, unit: pl.Series, units: Mapping[str, float]
) -> tuple[pl.Series, dict[str, int]]:
    """Return the values in our unit, and how often each unit was met that is not ours.

    Parameters
    ----------
    values, unit
        Numbers (or their text) and what their units are; a missing unit is taken as ours and counted as "".
    units
        Factor into our unit, by the unit's name without regard to case and blanks.

    Returns
    -------
    tuple
        A value with a unit that has no factor becomes text that is no number, so that no step can take it for one.

    Examples
    --------
    >>> values, units = pl.Series([8200.0, 8.2, 3.0]), pl.Series(["mm3", "mL", "furlong"])
    >>> in_our_unit(values, units, {"ml": 1.0, "mm3": 0.001})
    (shape: (3,)
    Series: '' [str]
    [
        "8.2"
        "8.2"
        "3.0 in an unknown unit: furlon…
    ], {'mm3': 1, 'furlong': 1})
    """
    factors = {name.strip().casefold(): factor for name, factor in units.items()}
    name = unit.cast(pl.String).str.strip_chars()
    name = name.set(name == "", None)
    has_value = values.is_not_null()
    if values.dtype == pl.String:
        has_value &= values.str.strip_chars() != ""
    factor = name.str.to_lowercase().replace_strict(factors, default=None, return_dtype=pl.Float64)
    is_other = name.is_not_null() & (factor.is_null() | (factor != 1.0)) & has_value
    met = {text: n for text, n in name.filter(is_other).value_counts(sort=True, name="n").iter_rows()}
    if n_without := int((has_value & name.is_null()).sum()):
        met[""] = n_without
    if not is_other.any():
        return values, met
    number = values.cast(pl.Float64, strict=False) * factor
    text = values.cast(pl.String)
    unread = pl.when(name.is_not_null() & factor.is_null()).then(text + UNREAD + name)
    if not (name.is_not_null() & factor.is_null() & has_value).any() and values.dtype.is_numeric():
        return pl.select(pl.coalesce(number, values)).to_series(), met
    return pl.select(pl.coalesce(unread, number.cast(pl.String), text)).to_series(), met
