"""ADaM data sets as SAS transport files (version 5) or Dataset-JSON 1.1: names, labels, lengths, dates."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal

import polars as pl

from ahsct.errors import RequestError
from ahsct.files import new_folder
from ahsct.tables.dataset_json import write_dataset_json

LONGEST_TEXT_BYTES = 200  # of transport files, version 5
LABELS = {
    "STUDYID": "Study Identifier", "USUBJID": "Unique Subject Identifier", "SUBJID": "Subject Identifier", "SITEID": "Study Site Identifier",
    "AGEGR1": "Pooled Age Group 1", "RACE": "Race", "TRTEDT": "Date of Last Exposure (graft infusion)", "STRATAR": "Strata Used for Randomization",
    "SRCDOM": "Source Data", "SRCVAR": "Source Variable", "SRCSEQ": "Source Sequence Number", "ANL01FL": "Analysis Flag 01",
    "AOCCFL": "1st Occurrence within Subject Flag", "AETOXGR": "Standard Toxicity Grade", "ANRLO": "Analysis Normal Range Lower Limit",
    "ANRHI": "Analysis Normal Range Upper Limit", "ANRIND": "Analysis Reference Range Indicator", "BNRIND": "Baseline Reference Range Indicator",
    "SHIFT1": "Shift from Baseline to Analysis Value", "BTOXGR": "Baseline Toxicity Grade", "LBSPEC": "Specimen Type",
    "AGE": "Age", "AGEU": "Age Units", "SEX": "Sex", "COUNTRY": "Country", "TRT01P": "Planned Treatment for Period 01",
    "TRT01A": "Actual Treatment for Period 01", "TRTSDT": "Date of First Exposure (graft infusion)", "RANDDT": "Date of Randomization",
    "DTHFL": "Subject Death Flag", "DTHDT": "Date of Death", "DTHCAUS": "Cause of Death", "LSTALVDT": "Date Last Known Alive",
    "ITTFL": "Intent-To-Treat Population Flag", "SAFFL": "Safety Population Flag", "PPROTFL": "Per-Protocol Population Flag",
    "PARAMCD": "Parameter Code", "PARAM": "Parameter", "AVAL": "Analysis Value", "AVALU": "Analysis Value Unit",
    "STARTDT": "Time to Event Origin Date", "ADT": "Analysis Date", "ADY": "Analysis Relative Day", "CNSR": "Censor (0 = event)",
    "EVNTDESC": "Event or Censoring Description", "CNSDTDSC": "Censor Date Description", "TRTP": "Planned Treatment", "TRTA": "Actual Treatment",
    "ESTIMAND": "Estimand", "BASE": "Baseline Value", "CHG": "Change from Baseline", "PCHG": "Percent Change from Baseline",
    "ABLFL": "Baseline Record Flag", "AVISIT": "Analysis Visit", "AETERM": "Reported Term for the Adverse Event",
    "AEDECOD": "Dictionary-Derived Term", "AEBODSYS": "Body System or Organ Class", "AESEV": "Severity", "ATOXGR": "Analysis Toxicity Grade",
    "ASCALE": "Grading Scale", "ASTDT": "Analysis Start Date", "AENDT": "Analysis End Date", "ASTDY": "Analysis Start Relative Day",
    "AENDY": "Analysis End Relative Day", "TRTEMFL": "Treatment Emergent Analysis Flag", "AREL": "Analysis Causality", "AESER": "Serious Event",
    "AEOUT": "Outcome of Adverse Event", "EOSSTT": "End of Study Status", "DCSREAS": "Reason for Discontinuation from Study",
}  # fmt: skip
_NAMES = {
    "ADSL": "Subject-Level Analysis Dataset", "ADTTE": "Time-to-Event Analysis Dataset", "ADQS": "Scales and Functional Tests Analysis",
    "ADAE": "Adverse Event Analysis Dataset", "ADLB": "Laboratory Analysis Dataset",
}  # fmt: skip


def write_adam(
    datasets: dict[str, pl.DataFrame],
    out: str | Path,
    *,
    file_format: Literal["xpt", "json", "ndjson"] = "xpt",
    force: bool = False,
) -> Path:
    """Write data sets as SAS transport files (version 5) or Dataset-JSON 1.1, with labels.

    Raises
    ------
    RequestError
        An unknown format, a name over 8 characters, a text over 200 bytes in a transport file, or `out` exists.
    """
    if file_format not in ("xpt", "json", "ndjson"):
        raise RequestError(f"file_format must be xpt, json or ndjson, not {file_format!r}.")
    for name, frame in datasets.items():
        _refuse_too_long(name, frame, file_format)
    with new_folder(out, force=force) as folder:
        for name, frame in datasets.items():
            path = folder / f"{name.lower()}.{file_format}"
            label = _NAMES.get(name, name)
            if file_format == "xpt":
                _write_xpt(name, frame, path, label)
            else:
                study_id = str(frame["STUDYID"][0]) if frame.height else name
                write_dataset_json(
                    frame,
                    path,
                    name=name,
                    label=label,
                    labels=LABELS,
                    study_id=study_id,
                    created="1970-01-01T00:00:00",
                )
    return Path(out)


def _refuse_too_long(name: str, frame: pl.DataFrame, file_format: str) -> None:
    long = [column for column in frame.columns if len(column) > 8]
    if long:
        raise RequestError(f"{name}: the name {long[0]} has more than 8 characters.")
    if file_format != "xpt":
        return
    for column, dtype in frame.schema.items():
        if dtype == pl.String:
            longest = frame[column].str.len_bytes().max()
            if isinstance(longest, int) and longest > LONGEST_TEXT_BYTES:
                raise RequestError(
                    f"{name}.{column} holds a text of {longest} bytes; transport files take {LONGEST_TEXT_BYTES}. "
                    "Write Dataset-JSON (json) instead."
                )


def _write_xpt(name: str, frame: pl.DataFrame, path: Path, label: str) -> None:
    import pyreadstat

    days = [column for column, dtype in frame.schema.items() if dtype == pl.Date]
    # SAS counts days from 1960
    numeric = frame.with_columns(
        (pl.col(column) - pl.lit(date(1960, 1, 1))).dt.total_days().cast(pl.Float64) for column in days
    )
    pyreadstat.write_xport(
        numeric,
        str(path),
        file_label=label,
        table_name=name,
        file_format_version=5,
        column_labels=[LABELS.get(column, column)[:40] for column in frame.columns],
        variable_format=dict.fromkeys(days, "DATE9."),
    )
