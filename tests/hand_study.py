"""A study small enough to count by hand, as plain rows, and its files.

Ten patients (unless told), infused on 2010-01-01, seen at the days below, in contact for 1500 days. EDSS is
4.0 throughout and no scan after the transplant shows a lesion, so only what a test puts in can happen.
"""

from __future__ import annotations

import csv
import datetime
from collections.abc import Callable, Mapping
from pathlib import Path

Row = dict[str, object]
Tables = dict[str, list[Row]]

DAY_0 = datetime.date(2010, 1, 1)
VISITS = (-60, 183, 365, 731, 1096, 1461)
SCANS = (-30, 91, 365, 731, 1096, 1461)
ABOUT = 'study_id = "hand"\ndata_kind = "simulated"\n'


def date(day: int) -> str:
    return (DAY_0 + datetime.timedelta(days=day)).isoformat()


def hand_study(
    n: int = 10,
    *,
    relapses: Mapping[str, int] | None = None,
    died: Mapping[str, tuple[int, str]] | None = None,
    last: int = 1500,
) -> Tables:
    """Return the rows of each table; `relapses` maps patients to a day, `died` to a day and a cause."""
    ids = [f"p{i:02d}" for i in range(1, n + 1)]
    died = died or {}
    ends = {p: died[p][0] if p in died else last for p in ids}
    return {
        "patients": [
            {"patient_id": p, "sex": "F", "birth_date": "1975-06-01", "ms_course": "RRMS",
             "disease_onset_date": "2003-01-01", "diagnosis_date": "2004-01-01", "site": "A", "arm": "aHSCT",
             "time_zero_kind": "infusion", "index_date": date(0), "prior_dmt_n": 2}
            for p in ids
        ],
        "visits": [
            {"patient_id": p, "visit_date": date(d), "edss": 4.0} for p in ids for d in VISITS if d <= ends[p]
        ],
        "mri": [
            {"patient_id": p, "scan_date": date(d), "gd_n": int(d < 0), "new_t2_n": "" if d < 0 else 0,
             "reference_scan_date": "" if d < 0 else date(SCANS[SCANS.index(d) - (d > 91)]), "with_gd": "true"}
            for p in ids for d in SCANS if d <= ends[p]
        ],
        "transplants": [
            {"patient_id": p, "mobilisation_start_date": date(-50), "apheresis_date": date(-40),
             "conditioning_start_date": date(-8), "conditioning_regimen": "BU-CY-ATG", "infusion_date": date(0)}
            for p in ids
        ],
        "treatments": [
            {"patient_id": p, "kind": "conditioning", "drug": "busulfan", "start_date": date(-8),
             "end_date": date(-5), "dose": 9.6, "unit": "mg/kg", "route": "oral"}
            for p in ids
        ],
        "relapses": [
            {"patient_id": p, "onset_date": date(d)}
            for p, d in [*((p, -300) for p in ids), *(relapses or {}).items()]
        ],
        "follow_up": [
            {"patient_id": p, "last_contact_date": date(ends[p]), "vital_status": "dead" if p in died else "alive",
             "death_date": date(ends[p]) if p in died else "", "cause_class": died[p][1] if p in died else ""}
            for p in ids
        ],
    }  # fmt: skip


_COLUMNS = {table: list(rows[0]) for table, rows in hand_study(1).items()}


def write_hand_study(folder: Path, tables: Tables) -> Path:
    """Write the rows as CSV files; a table without rows keeps its header."""
    folder.mkdir(parents=True)
    for table, rows in tables.items():
        columns = list(dict.fromkeys([*_COLUMNS.get(table, []), *(name for row in rows for name in row)]))
        columns = [name for name in columns if not rows or name in rows[0]]
        with (folder / f"{table}.csv").open("w", newline="", encoding="utf-8") as handle:
            writer = csv.DictWriter(handle, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)
    (folder / "study.toml").write_text(ABOUT, encoding="utf-8")
    return folder


def in_days(tables: Tables) -> Tables:
    """Return the study with days from 2010-01-01 in place of every date."""

    def row_in_days(row: Row) -> Row:
        found: Row = {}
        for name, value in row.items():
            if name.endswith("_date"):
                since = "" if value == "" else (datetime.date.fromisoformat(str(value)) - DAY_0).days
                found[name.removesuffix("_date") + "_day"] = since
            else:
                found[name] = value
        return found

    return {table: [row_in_days(row) for row in rows] for table, rows in tables.items()}


def renamed(tables: Tables, name: Callable[[str], str]) -> Tables:
    """Return the study with other patient ids."""
    return {
        table: [{**row, "patient_id": name(str(row["patient_id"]))} for row in rows]
        for table, rows in tables.items()
    }
