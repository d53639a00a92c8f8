"""Ranking: candidates to rows (`candidates`), rows to a ranking (`scoring`, `summary`), records to one (`joining`)."""
