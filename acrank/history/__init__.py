"""What finetuning on earlier targets says of the candidates: a history, its priors, and how it grows."""

from __future__ import annotations

from acrank.history.earlier import EarlierResults, History, as_history, read_history

__all__ = ["EarlierResults", "History", "as_history", "read_history"]
