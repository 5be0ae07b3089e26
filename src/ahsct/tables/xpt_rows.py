"""Whether a SAS transport file still holds all its rows: its headers say how long a row is, version 8 how many."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

_RECORD, _NAMESTR = 80, 140
_NAMES = (b"HEADER RECORD*******NAMESTR", b"HEADER RECORD*******NAMSTV8")
_ROWS = (b"HEADER RECORD*******OBS     ", b"HEADER RECORD*******OBSV8   ")
_MEMBER = b"HEADER RECORD*******MEMB"
_COUNT = slice(48, 63)  # of the record before the rows, in version 8


def cut_short(path: Path) -> str | None:
    """Return how a transport file shows that it was cut short, or None where it does not.

    A cut between two rows leaves no trace in version 5, which does not say how many rows there are. Files of
    more than one data set are not looked at.

    References
    ----------
    SAS, Record layout of a SAS data set in SAS transport (XPORT) format: version 5 and 6 (TS-140), version 8 and 9.
    """
    with path.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
        names, rows = _first(data, _NAMES), _first(data, _ROWS)
        if names is None or rows is None:
            return "it ends before its first row"
        start, end = rows + _RECORD, len(data)
        if _first(data, (_MEMBER,), start) is not None:
            return None
        next_header = _first(data, (b"HEADER RECORD*******",), names + _RECORD) or rows
        # padding is shorter than one description of a column
        n_columns = (next_header - names - _RECORD) // _NAMESTR
        places = range(names + _RECORD, names + _RECORD + n_columns * _NAMESTR, _NAMESTR)
        length = sum(struct.unpack(">h", data[place + 4 : place + 6])[0] for place in places)
        if length <= 0:
            return None
        announced = data[rows + _COUNT.start : rows + _COUNT.stop].strip()
        n_rows, n_left = divmod(end - start, length)
        if (
            data[rows : rows + _RECORD].startswith(_ROWS[1])
            and announced.isdigit()
            and n_rows < int(announced)
        ):
            return f"it announces {int(announced)} rows and holds {n_rows}"
        if n_left >= _RECORD or data[end - n_left : end].strip(b" "):
            return f"it ends inside row {n_rows + 1}"
        return None


def _first(data: mmap.mmap, marks: tuple[bytes, ...], start: int = 0) -> int | None:
    """Return where the first of these headers stands; headers begin on whole records."""
    found = []
    for mark in marks:
        at = data.find(mark, start)
        while at >= 0 and at % _RECORD:
            at = data.find(mark, at + 1)
        if at >= 0:
            found.append(at)
    return min(found, default=None)
