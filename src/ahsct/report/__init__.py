"""Figures, tables and pages: draws and formats, computes nothing."""

from ahsct.report.write import write_report

__all__ = ["write_report"]
