"""What a run leaves behind: values, rows, the ranking, and the run record on disk."""

from acrank.records.order import JOINT
from acrank.records.row import Details, Prior, Refined, Row, ZeroPoint
from acrank.records.run import KIND, SCHEMA_VERSION, Ranking
from acrank.records.score_value import Value

__all__ = ["JOINT", "KIND", "SCHEMA_VERSION", "Details", "Prior", "Ranking", "Refined", "Row", "Value", "ZeroPoint"]
