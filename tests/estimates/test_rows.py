"""The helper that builds rows of results."""

import numpy as np
import pytest

from ahsct.errors import TableError
from ahsct.estimates.rows import result, results_frame, stamp
from ahsct.vocabulary import RESULTS

ROW = {"statistic": "rate", "unit": "per patient-year", "method": "Garwood"}


def test_rows_have_the_schema_and_neutral_values() -> None:
    frame = results_frame([result(**ROW, n=np.int64(24), estimate=np.float64(0.5), n_events=np.int64(3))])
    assert frame.schema == RESULTS
    row = frame.row(0, named=True)
    assert (row["n"], row["estimate"], row["n_events"], row["estimand"]) == (24, 0.5, 3, "as_observed")
    assert row["lower"] is None
    assert results_frame([]).schema == RESULTS


def test_nan_and_unknown_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="`upper` is NaN"):
        result(**ROW, n=1, upper=float("nan"))
    with pytest.raises(TableError, match=r"'n_event'.*Did you mean 'n_events'"):
        result(**ROW, n=1, n_event=2)
    with pytest.raises(TableError, match="Did you mean 'study_id'"):
        stamp(results_frame([]), studyid="x")


def test_stamp_sets_each_row_and_keeps_the_schema() -> None:
    frame = results_frame([result(**ROW, n=1), result(**ROW, n=2)])
    stamped = stamp(frame, study_id="s", data_kind="observed", mark=None)
    assert stamped.schema == RESULTS
    assert stamped["study_id"].to_list() == ["s", "s"]
    assert stamped["n"].to_list() == [1, 2]
