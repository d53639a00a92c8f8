"""The table of a ranking that short trainings have joined: qualities with their intervals, the score as shares."""

from __future__ import annotations

import pytest

from acrank.formats.table import to_table
from acrank.records import Prior, Ranking, Refined, Row, Value
from acrank.records.joint import joined


def made(*, trained: bool) -> Ranking:
    """By `s` b (0.4), a (0.2), c (0.1) and d (0.05); where trained, a did better than b."""
    values = {"a": 0.2, "b": 0.4, "c": 0.1, "d": 0.05}
    rows = [Row(model, "scored", scores={"s": Value(value)}) for model, value in values.items()]
    if trained:
        for row, (quality, low, high) in zip(rows, [(0.8, 0.7, 0.9), (0.3, 0.2, 0.4)], strict=False):
            rounds = 2 if row.model == "a" else 1
            row.refined = Refined(metric="dice", quality=quality, low=low, high=high, rounds=rounds)
    else:
        rows[0].prior = Prior(value=1.0, targets=6)
        rows[1].prior = Prior(value=0.0, targets=6)
    about = {"rank_by": "s", "higher_is_better": {"s": True}, "settings": {"rank_by": "s"}}
    return joined(Ranking.of(rows, target={"name": "t"}, **about))


@pytest.mark.parametrize("width", [80, 120, None])
def test_the_quality_and_its_interval_are_shown_and_the_share_is_of_the_score(width: int | None) -> None:
    text = to_table(made(trained=True).view(), width=width)
    lines = text.splitlines()
    assert lines[0] == "t: by joint of s and short trainings (higher is better)"
    head, first, second = lines[2], lines[4], next(line for line in lines if " b " in line)
    assert [word for word in head.split() if word != "band"][:4] == ["rank", "model", "trained", "interval"]
    assert " a " in first
    assert "0.8" in first
    assert "┤" in first
    assert "50.0" in first
    assert "100.0" in second
    assert "of best: s as a share of the best, 0.4; ├──●──┤ the interval of trained" in " ".join(text.split())


def test_earlier_targets_alone_leave_the_score_its_shares() -> None:
    lines = to_table(made(trained=False).view(), width=80).splitlines()
    assert lines[0] == "t: by joint of s and earlier targets (higher is better)"
    shares = {line.split()[1]: line.split()[2] for line in lines[4:8]}
    assert shares == {"a": "50.0", "b": "100.0", "c": "25.0", "d": "12.5"}
