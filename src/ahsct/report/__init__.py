"""Figures, tables and pages: draws and formats, computes nothing."""

from ahsct.report.course import course_text, plot_course
from ahsct.report.multiverse import multiverse_section, write_multiverse
from ahsct.report.write import write_report

__all__ = ["course_text", "multiverse_section", "plot_course", "write_multiverse", "write_report"]
