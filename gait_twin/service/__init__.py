"""Analysis of a recording and what people read of it: tables, pictures, a page, estimated against true."""

from gait_twin.service.analysis import AnalysisSettings, analyze
from gait_twin.service.comparison import Comparison, compare
from gait_twin.service.published import published
from gait_twin.service.report import write
from gait_twin.service.results import Analysis

__all__ = ["Analysis", "AnalysisSettings", "Comparison", "analyze", "compare", "published", "write"]
