"""Every column of every table as data: name, type, unit, range, codes, label, ADaM name.

One CSV per table lies in `tables/`; the schemas below are made from them. Functions return exactly
these columns, in this order and of these types, also when they return no row.
"""

from ahsct.vocabulary.columns import (
    INPUT_TABLES,
    SCHEMAS,
    Column,
    columns,
    conform,
    empty,
    from_rows,
    require_columns,
)

EVENTS = SCHEMAS["events"]
CANDIDATES = SCHEMAS["candidates"]
CONFIRMATIONS = SCHEMAS["confirmations"]
TIME_TO_EVENT = SCHEMAS["time_to_event"]
RECURRENT = SCHEMAS["recurrent"]
TRANSITIONS = SCHEMAS["transitions"]
NOT_EVALUABLE = SCHEMAS["not_evaluable"]
PATIENT_VALUES = SCHEMAS["patient_values"]
CURVE = SCHEMAS["curve"]
RESULTS = SCHEMAS["results"]
FLOW = SCHEMAS["flow"]
PROBLEMS = SCHEMAS["problems"]

DAYS_PER_YEAR = 365.25

__all__ = [
    "CANDIDATES",
    "CONFIRMATIONS",
    "CURVE",
    "DAYS_PER_YEAR",
    "EVENTS",
    "FLOW",
    "INPUT_TABLES",
    "NOT_EVALUABLE",
    "PATIENT_VALUES",
    "PROBLEMS",
    "RECURRENT",
    "RESULTS",
    "SCHEMAS",
    "TIME_TO_EVENT",
    "TRANSITIONS",
    "Column",
    "columns",
    "conform",
    "empty",
    "from_rows",
    "require_columns",
]
