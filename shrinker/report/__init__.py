"""What recordings of reclaim say: figures and findings.  Needs the extra ``report``."""

from shrinker.report.compare import Change, Comparison, MeanChange, compare
from shrinker.report.figures import Row
from shrinker.report.finding import Finding, Thresholds
from shrinker.report.recording import Recording
from shrinker.report.report import Report
from shrinker.report.what_if import Outcome, WhatIf, what_if

__all__ = [
    "Change",
    "Comparison",
    "Finding",
    "MeanChange",
    "Outcome",
    "Recording",
    "Report",
    "Row",
    "Thresholds",
    "WhatIf",
    "compare",
    "what_if",
]
