"""Rules of a mapping on the rows of a source: which are no observations, what is derived, what must be said."""

from __future__ import annotations

from collections.abc import Mapping as Tables

import polars as pl

from ahsct.tables.mapped_sql import condition, evaluate
from ahsct.tables.mapped_values import Log
from ahsct.tables.mapping import DropRule, Mapping, TellRule
from ahsct.tables.sdtm import LAST_SEEN

_MANY_KINDS = 12


def apply_rules(
    tables: Tables[str, pl.DataFrame], mapping: Mapping, names: Tables[str, str], log: Log
) -> dict[str, pl.DataFrame]:
    """Return the source's tables after the rules `drop`, `derive` and `tell`, in this order.

    Parameters
    ----------
    tables, names
        By name without regard to case: the tables, and their names as the source writes them.
    mapping
        Whose rules are applied.
    log
        Takes what was dropped and what must be said, with counts.

    Raises
    ------
    SourceError
        An expression cannot be run.
    """
    tables = dict(tables)
    for rule in mapping.drop:
        key = rule.source.casefold()
        if key in tables:
            hit = condition(tables[key], rule.where, f"drop ({rule.why})", rule.source, {})
            log.add(rule.source, None, "rows dropped", int(hit.sum()), rule.why)
            dropped, tables[key] = tables[key].filter(hit), tables[key].filter(~hit)
            if rule.everywhere is not None and dropped.height:
                tables = _drop_everywhere(tables, dropped, rule, names, log)
    for new in mapping.derive:
        key = new.source.casefold()
        if key in tables:
            values = evaluate(tables[key], new.value, f"derive {new.column}", new.source, {})
            tables[key] = tables[key].with_columns(values.alias(new.column))
    for said in mapping.tell:
        key = said.source.casefold()
        if key in tables:
            hit = condition(tables[key], said.where, f"tell ({said.why})", said.source, {})
            log.add(said.source, None, said.why, int(hit.sum()), _listed(tables[key].filter(hit), said))
    return tables


def _drop_everywhere(
    tables: dict[str, pl.DataFrame], dropped: pl.DataFrame, rule: DropRule, names: Tables[str, str], log: Log
) -> dict[str, pl.DataFrame]:
    """Return all tables without the rows that bear, in one column, a value of the rows that are dropped."""
    column = rule.everywhere or ""
    where = f"drop ({rule.why})"
    gone = evaluate(dropped, column, where, rule.source, {}).cast(pl.String).drop_nulls().unique()
    kept = dict(tables)
    for key, frame in tables.items():
        if column.casefold() not in {name.casefold() for name in frame.columns}:
            continue
        values = evaluate(frame, column, where, names[key], {}).cast(pl.String)
        is_gone = values.is_in(gone.implode()).fill_null(False)
        kept[key] = frame.filter(~is_gone)
        if key != LAST_SEEN.casefold():
            log.add(names[key], None, "rows dropped", int(is_gone.sum()), rule.why)
    return kept


def _listed(rows: pl.DataFrame, said: TellRule) -> str | None:
    """Return the most frequent values of what a rule lists, with their counts."""
    if said.listed is None or rows.is_empty():
        return None
    values = evaluate(rows, said.listed, f"tell ({said.why})", said.source, {}).cast(pl.String).alias("value")
    counts = values.value_counts(name="n").sort("n", "value", descending=[True, False]).head(_MANY_KINDS)
    return ", ".join(f"{'none' if value is None else value} {n}" for value, n in counts.iter_rows())
