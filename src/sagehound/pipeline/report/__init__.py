"""The report of a run: one HTML file that needs no network, and a table for the terminal"""

from sagehound.pipeline.report.findings import Finding
from sagehound.pipeline.report.summary import ReportSummary, report_table
from sagehound.pipeline.report.write import write_report

__all__ = ["Finding", "ReportSummary", "report_table", "write_report"]
