"""From TIME_TO_EVENT to one group of patients per curve, and from arrays back to CURVE."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from ahsct.errors import TableError
from ahsct.estimates._risk_table import Floats
from ahsct.vocabulary import CURVE, TIME_TO_EVENT, conform, empty, require_columns

LABELS = ("study_id", "endpoint", "component", "definition", "estimand", "population", "arm", "subgroup")
ALL_BUT_ARM = tuple(name for name in LABELS if name != "arm")
_USED = {name: TIME_TO_EVENT.get(name, CURVE.get(name)) for name in (*LABELS, *TIME_TO_EVENT)}
_KINDS = {name: kind for name, kind in _USED.items() if kind and name not in ("patient_id", "event_id")}


class Group(NamedTuple):
    """The patients of one curve: labels of the curve, their rows, and the start of risk where it differs.

    `n_not_evaluable` is how many rows were left out (None where nothing says so); `note` says where that left nobody,
    or nobody of an arm.
    """

    labels: Mapping[str, Any]
    rows: pl.DataFrame
    entry: Floats | None
    n_not_evaluable: int | None = None
    note: str | None = None

    def told(self, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return rows of results with how many patients were left out, and the note on it after their own."""
        return [
            {
                **row,
                "n_not_evaluable": self.n_not_evaluable,
                "note": "; ".join(filter(None, (row.get("note"), self.note))) or None,
            }
            for row in rows
        ]


def groups(
    function: str,
    time_to_event: pl.DataFrame,
    *,
    apart: Sequence[str] = LABELS,
    refuse_empty: bool = True,
) -> Iterator[Group]:
    """Yield the evaluable patients of each curve, in the order in which the curves first appear.

    `apart` names the labels that tell groups apart; with `ALL_BUT_ARM` a group holds the arms to compare.
    Rows whose `is_evaluable` is false are left out; without the column, or where it is missing, a row counts. Groups
    of which nobody is left come last; with `refuse_empty` they are an error, as a curve cannot say why it is not there.

    Raises
    ------
    TableError
        A column is missing or of another type, a time is missing or negative, it is not known whether there was an
        event, a patient stands twice in one curve, or nobody of a curve can be evaluated.
    """
    require_columns(function, "time_to_event", time_to_event, ("time_day", "is_event"))
    whole = of_kinds("time_to_event", time_to_event).with_row_index("_row", offset=1)
    whole = whole.with_columns(pl.lit("").alias(name) for name in LABELS[:-1] if name not in whole.columns)
    labels = [name for name in apart if name in whole.columns]
    frame, gone = whole, None
    if "is_evaluable" in whole.columns:
        is_evaluable = pl.col("is_evaluable").fill_null(True)
        frame, gone = whole.filter(is_evaluable), whole.filter(~is_evaluable)
    _require(frame, pl.col("is_event").is_null(), "is_event", "true or false")
    _require(frame, ~(pl.col("time_day").is_finite() & (pl.col("time_day") >= 0)), "time_day", ">= 0")
    kept = frame.partition_by(labels, maintain_order=True, as_dict=True)
    left_out = {} if gone is None else gone.partition_by(labels, maintain_order=True, as_dict=True)
    for key in dict.fromkeys((*kept, *left_out)):
        rows, own = kept.get(key, whole.clear()), left_out.get(key, whole.clear())
        named = dict(zip(labels, key, strict=True))
        _require_one_row_each(rows)
        if rows.is_empty() and refuse_empty:
            where = "".join(f", {name} {value!r}" for name, value in named.items() if value)
            raise TableError(
                f"{function}: none of {own.height} patients can be evaluated{where} (`is_evaluable` is false). Filter "
                "these rows of `time_to_event` out, so that it shows."
            )
        n_left_out = None if gone is None else own.height
        yield Group(named, rows, _entry(rows), n_left_out, _nobody(rows, own))


def of_kinds(argument: str, frame: pl.DataFrame, kinds: Mapping[str, Any] = _KINDS) -> pl.DataFrame:
    """Return the frame, columns of nothing but missing values and categories in the type of `kinds`.

    Raises
    ------
    TableError
        A column that should hold flags, numbers or texts holds something else. A number is no flag: 0.9 would be
        neither an event nor none.

    Examples
    --------
    >>> of_kinds("time_to_event", pl.DataFrame({"is_event": [0, 1]}))
    Traceback (most recent call last):
    ahsct.errors.TableError: `time_to_event.is_event` must be true or false; the column is of type Int64. Write
    pl.col('is_event') == 1 where 1 is yes.
    """
    alike = []
    for name, kind in kinds.items():
        found = frame.schema.get(name)
        if found is None or found == kind:
            continue
        if found == pl.Null or (kind == pl.String and isinstance(found, pl.Categorical | pl.Enum)):
            alike.append(pl.col(name).cast(kind))
            continue
        if kind == pl.Boolean:
            fits, needed = False, "true or false"
        elif kind == pl.String:
            fits, needed = False, "text"
        else:
            fits, needed = found.is_integer() or found.is_float(), "a number"
        if not fits:
            way = f" Write pl.col({name!r}) == 1 where 1 is yes." if needed == "true or false" else ""
            raise TableError(f"`{argument}.{name}` must be {needed}; the column is of type {found}.{way}")
    return frame.with_columns(alike)


def _nobody(rows: pl.DataFrame, left_out: pl.DataFrame) -> str | None:
    """Say that nobody, or nobody of an arm, can be evaluated."""
    if rows.is_empty():
        return f"none of {left_out.height} patients can be evaluated" if left_out.height else None
    if left_out.is_empty():
        return None
    absent = left_out.join(rows, on="arm", how="anti", nulls_equal=True, maintain_order="left")
    notes = [
        f"none of {absent.filter(arm=arm).height} patients of arm {arm!r} can be evaluated"
        for arm in absent["arm"].drop_nulls().unique(maintain_order=True)
    ]
    return "; ".join(notes) or None


def curve_frame(blocks: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Return blocks (labels and arrays of one curve each) as one table of schema CURVE, NaN as missing."""
    frames = [
        conform(pl.DataFrame(dict(block)).with_columns(pl.col(pl.Float64).fill_nan(None)), CURVE)
        for block in blocks
    ]
    return pl.concat(frames) if frames else empty(CURVE)


def require_no_competing_event(function: str, rows: pl.DataFrame) -> None:
    """Refuse events that compete: treating them as censored would answer another question."""
    if "cause" not in rows.columns:
        return
    n = rows.filter(
        pl.col("is_event") & pl.col("cause").str.starts_with("competing_").fill_null(False)
    ).height
    if n:
        raise TableError(
            f"{function} cannot take competing events: {n} of {rows.height} rows have a cause 'competing_…'. "
            "Use aalen_johansen, or an estimand that counts or censors these events."
        )


def _require_one_row_each(rows: pl.DataFrame) -> None:
    if "patient_id" not in rows.columns:
        return
    again = rows.filter(~pl.col("patient_id").is_first_distinct())
    if again.height:
        raise TableError(
            f"A curve counts each patient once; {again.height} of {rows.height} rows repeat a patient, the first is "
            f"row {again['_row'][0]} of `time_to_event`. Columns that tell curves apart: {', '.join(LABELS)}."
        )


def _entry(rows: pl.DataFrame) -> Floats | None:
    if "entry_day" not in rows.columns:
        return None
    _require(rows, ~(pl.col("entry_day").is_finite()), "entry_day", "a number")
    entry = rows["entry_day"].to_numpy()
    return entry.astype(np.float64) if np.any(entry > 0) else None


def _require(frame: pl.DataFrame, is_wrong: pl.Expr, column: str, needed: str) -> None:
    wrong = frame.filter(is_wrong.fill_null(True))
    if wrong.height:
        row, value = wrong["_row"][0], wrong[column][0]
        raise TableError(
            f"`time_to_event.{column}` must be {needed}; {wrong.height} of {frame.height} rows are not, "
            f"the first is row {row} ({'missing' if value is None else value})."
        )
