"""Study tables: read, check, cut off, write."""

from ahsct.tables.check import check, find_problems
from ahsct.tables.cutoff import cut_off
from ahsct.tables.read import read_study
from ahsct.tables.study import Study, make_study
from ahsct.tables.write import write_study

__all__ = ["Study", "check", "cut_off", "find_problems", "make_study", "read_study", "write_study"]
