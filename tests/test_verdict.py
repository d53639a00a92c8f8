"""The verdict says what the rows say: who is first and with whom, by labels or not, trained or not."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acrank.ranking.summary import controls_of, warnings_of
from acrank.records import Prior, Ranking, Refined, Row, Value, ZeroPoint
from acrank.records.first_candidate import is_within_zero
from acrank.records.joint import joined


def made(*values: tuple[float, float | None], higher: bool = True) -> Ranking:
    """A ranking by `s` of m0, m1, … with these values and half widths of their intervals."""
    rows = [
        Row(
            f"m{i}",
            "scored",
            scores={"s": Value(x, low=None if d is None else x - d, high=None if d is None else x + d)},
        )
        for i, (x, d) in enumerate(values)
    ]
    return Ranking.of(rows, rank_by="s", higher_is_better={"s": higher}, settings={"rank_by": "s"})


#: What is still to do where the first is clear of one other, by the score alone.
TRAIN = "That is about the score: a short training of the first few (--refine 2) tells how they finetune."


@pytest.mark.parametrize("higher", [True, False])
def test_sure_where_no_interval_overlaps(higher: bool) -> None:
    sign = 1 if higher else -1
    found = made((9 * sign, 1.0), (3 * sign, 1.0), higher=higher).verdict
    assert found == ["m0 is first by s, and its interval overlaps no other.", TRAIN]


@pytest.mark.parametrize(
    ("rivals", "named"),
    [(1, "m1"), (2, "m1 and m2"), (3, "m1, m2 and m3"), (4, "m1, m2, m3 and m4"), (6, "m1, m2, m3 and 3 others")],
)
def test_unsure_names_the_rivals_and_what_would_tell(rivals: int, named: str) -> None:
    said, surer = made((9.0, 3.0), *[(8.0 - place / 10, 3.0) for place in range(rivals)], (0.0, 1.0)).verdict
    assert said == f"m0 is first by s, but the sample cannot tell it from {named}."
    assert f"--refine {rivals + 1})" in surer


@pytest.mark.parametrize("trained", [False, True])
def test_a_larger_sample_is_advised_before_more_labels(trained: bool) -> None:
    ranking = made((9.0, 3.0), (8.0, 3.0))
    few = [{"ids": ["a"] * 5}, {"ids": ["b"] * 4}]
    for size, draws, first in ((253, few, "A larger sample (--samples, now 5 of 253 labelled images)"), (5, few, None)):
        one = dataclasses.replace(ranking, target={"size": size, "draws": draws})
        for row in one.rows if trained else ():
            row.refined = Refined(metric="dice", quality=0.8, low=0.6, high=0.9, rounds=1)
        surer = (joined(one) if trained else one).verdict[-1]
        if trained:  # its validation is on other images than those of the sample
            assert surer.startswith("Longer training, more labelled images or finetuning")
            continue
        assert ("ore labelled images" in surer) == (first is None)
        assert surer.startswith(first or "A short training of")
    assert made((9.0, 3.0), (8.0, 3.0)).verdict[-1] == (
        "A short training of the first (--refine 2), finetuning results of other targets (--history) or "
        "more labelled images would make it surer."
    )


def test_one_draw_is_no_certainty() -> None:
    said, surer = made((9.0, None), (3.0, None)).verdict
    assert said == (
        "m0 is first by s. How sure that is cannot be told without intervals "
        "(take 3 draws of each: --no-race --repeats 3)."
    )
    assert "--refine 2)" in surer


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ({"repeats": 3, "race": True}, "take 3 draws of each: --no-race"),
        ({"repeats": 1, "race": False}, "take 3 draws of each: --no-race --repeats 3"),
        ({"repeats": 3, "race": False}, "s has none: rank by another score (--rank-by)"),
    ],
)
def test_what_gives_intervals_is_what_would_change_something(settings: dict[str, Any], advice: str) -> None:
    ranking = made((9.0, None), (3.0, None))
    ranking.settings = settings
    assert f"without intervals ({advice})." in ranking.verdict[0]


def test_a_single_candidate_has_nothing_to_be_compared_with() -> None:
    assert made((1.0, 0.1)).verdict == ["m0 is the only candidate that is ranked: there is nothing to compare it with."]


def test_nothing_ranked_is_no_verdict() -> None:
    rows = [Row("a", "skipped", reason="no file"), Row("b", "scored", scores={"s": Value(None)})]
    assert Ranking.of(rows, rank_by="s", higher_is_better={"s": True}).verdict == []


def test_a_short_training_is_named_with_its_result_and_not_proposed_again() -> None:
    ranking = made((9.0, 3.0), (8.0, 3.0))
    for row, quality in zip(ranking.rows, (0.8, 0.9), strict=True):
        row.refined = Refined(metric="dice", quality=quality, low=quality - 0.2, high=quality + 0.1, rounds=1)
    ranking.rows[0].refined = Refined(metric="dice", quality=0.95, low=0.7, high=0.99, rounds=1)
    said, surer = joined(ranking).verdict
    assert said == "m0 is first by a short training (dice 0.95) and s together, but the sample cannot tell it from m1."
    assert "--refine" not in surer


def test_a_first_candidate_that_the_score_put_elsewhere_is_called_so() -> None:
    ranking = made((9.0, 0.1), (8.0, 0.1), (7.0, 0.1), (1.0, 0.1))
    for row, quality in zip(ranking.rows, (0.6, 0.8, 0.7), strict=False):
        row.refined = Refined(metric="dice", quality=quality, low=quality - 0.02, high=quality + 0.02, rounds=1)
    ranking.rows[1].refined = dataclasses.replace(ranking.rows[1].refined, rounds=2)
    said = joined(ranking).verdict[0]
    first = "m1 is first by a short training (dice 0.8) and s (which alone makes it number 2 of 4) together"
    assert said == f"{first}, and its interval overlaps no other."


def test_whom_the_budget_left_untrained_is_named() -> None:
    ranking = made((9.0, 3.0), (8.0, 3.0), (7.0, 3.0), (6.0, 3.0))
    ranking.settings["refine"] = {"plan": {"chosen": ["m0", "m1", "m2"]}, "trained": ["m0", "m1"]}
    for row in ranking.rows[:2]:
        row.refined = Refined(metric="dice", quality=0.5, low=0.4, high=0.6, rounds=1)
    said = " ".join(joined(ranking).verdict)
    assert "The budget left 1 of the first 3 untrained: m2 may be better, which a longer --refine-budget tells." in said
    ranking.rows[2].refined = ranking.rows[1].refined
    assert "untrained" not in " ".join(joined(ranking).verdict)


def test_earlier_targets_are_named_and_a_history_is_not_proposed_again() -> None:
    ranking = made((9.0, 3.0), (8.0, 3.0))
    assert "--history" in ranking.verdict[1]
    for row in ranking.rows:
        row.prior = Prior(value=0.875 if row.model == "m0" else 0.5, targets=4, same_task=4)
    said, surer = joined(ranking).verdict
    first = "m0 is first by s and 4 earlier targets of the same task (where it beat 88% of the others)"
    assert said == f"{first}, but the sample cannot tell it from m1."
    assert "--history" not in surer


def test_whom_earlier_targets_displaced_is_named() -> None:
    ranking = made((9.0, 3.0), (8.0, 3.0), (1.0, 0.1))
    for row, value in zip(ranking.rows, (0.0, 1.0, 0.5), strict=True):
        row.prior = Prior(value=value, targets=18)
    _, alone, _ = joined(ranking).verdict
    assert alone == "By s alone m0 would be first."


def test_a_first_candidate_without_history_among_others_with_one_is_called_so() -> None:
    ranking = made((9.0, 1.0), (3.0, 1.0), (2.0, 1.0))
    for row, value in zip(ranking.rows[1:], (0.2, 0.9), strict=True):
        row.prior = Prior(value=value, targets=1)
    assert joined(ranking).verdict[0].startswith("m0 is first by s and earlier targets (of others: it has no results")


def test_a_history_and_a_training_are_both_named() -> None:
    ranking = made((9.0, 3.0), (8.0, 3.0))
    for row in ranking.rows:
        row.prior = Prior(value=0.5, targets=1)
    ranking.rows[0].refined = Refined(metric="dice", quality=0.95, rounds=1)
    said = joined(ranking).verdict[0]
    assert said.startswith("m0 is first by a short training (dice 0.95), s and 1 earlier target (where it beat 50% of")


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(0, 5)), min_size=2, max_size=8))
def test_it_names_the_leader_and_is_worked_out_again_on_reading(values: list[tuple[float, float]]) -> None:
    ranking = made(*values)
    record = ranking.to_record()
    assert record["verdict"] == ranking.verdict
    assert ranking.verdict[0].startswith(f"{ranking.rows[0].model} is first")
    back = Ranking.from_record({**record, "verdict": ["take m9, it is certain"]})
    assert back.verdict == ranking.verdict


def with_shuffled(ranking: Ranking, *shuffled: float) -> Ranking:
    """The ranking with these values under shuffled labels, and its controls worked out from them."""
    for row, value in zip(ranking.rows, shuffled, strict=True):
        row.scores["s"] = dataclasses.replace(row.scores["s"], shuffled=value)
    ranking.controls = controls_of(ranking)
    return ranking


@pytest.mark.parametrize("higher", [True, False])
def test_a_ranking_that_shuffled_labels_leave_is_about_the_checkpoints(higher: bool) -> None:
    sign = 1 if higher else -1
    found = made(*[(sign * value, 0.1) for value in (9.0, 7.0, 5.0, 3.0, 1.0)], higher=higher)
    blind = with_shuffled(found, *[sign * value for value in (4.0, 3.0, 2.0, 1.5, 1.0)]).verdict
    assert blind[1:] == [
        "With shuffled labels the ranking by s is nearly the same (tau 1.00): "
        "it says more of the checkpoints in general than of this target; a short training (--refine) is about it."
    ]
    sighted = with_shuffled(found, *[sign * value for value in (1.5, 2.0, 1.0, 1.6, 1.1)]).verdict
    assert sighted[1:] == [
        "Shuffled labels change the ranking by s (tau 0.20 between the two): it depends on your labels.",
        TRAIN.replace("--refine 2", "--refine 5"),
    ]


@pytest.mark.parametrize("higher", [True, False])
def test_a_leader_that_does_as_well_with_shuffled_labels_is_called_so(higher: bool) -> None:
    sign = 1 if higher else -1
    found = made((sign * 9, 1.0), (sign * 3, 1.0), higher=higher)
    alone = with_shuffled(found, sign * 8.9, 0.0).verdict
    assert alone == ["m0 is first by s, and its interval overlaps no other.", TRAIN]
    said = with_shuffled(found, sign * 9.5, 0.0).verdict[1]
    assert said.startswith("m0 does as well with shuffled labels")
    found.rows[0].refined = Refined(metric="dice", quality=0.9, rounds=1)
    assert not any("shuffled" in sentence for sentence in found.verdict)  # a training on the labels says more


@pytest.mark.parametrize(
    ("twins", "is_called"),
    [([8.0, 8.4], False), ([8.0, 8.9], True), ([2.0, 2.4], False), ([9.1], True), ([8.9], False), ([], False)],
)
def test_a_leader_that_drawn_weights_match_is_called_so(twins: list[float], is_called: bool) -> None:
    found = made((9.0, 1.0), (3.0, 1.0))
    found.rows[0].untrained = ZeroPoint.of("s", twins, reason="" if twins else "no code")
    said = [sentence for sentence in found.verdict if "drawn weights" in sentence]
    assert bool(said) == is_called == is_within_zero(found, found.rows[0])
    found.rows[0].untrained = ZeroPoint.of("another", twins)
    assert found.verdict[1:] == [TRAIN]  # of another score, it says nothing about this one


def test_the_leader_that_drawn_weights_match_is_named_with_both_values() -> None:
    found = made((9.0, 1.0), (3.0, 1.0))
    found.rows[0].untrained = ZeroPoint.of("s", [8.0, 9.0, 10.0])
    assert found.verdict[1] == (
        "m0 is no better than its architecture with drawn weights (9 on the first draw, untrained 9 ± 1): "
        "its checkpoint adds nothing here."
    )


def test_where_no_candidate_is_better_than_its_twins_none_is_recommended() -> None:
    found = made((9.0, 1.0), (3.0, 1.0))
    found.rows[0].untrained = ZeroPoint.of("s", [8.0, 9.0, 10.0])
    found.rows[1].untrained = ZeroPoint.of("s", [2.0, 3.0, 4.0])
    said = (
        "None of the 2 is better than its architecture with drawn weights: by s none of these checkpoints helps here."
    )
    assert found.verdict[1].startswith(said)
    assert "adds nothing here" not in " ".join(found.verdict)


def test_an_untrained_leader_is_known_by_its_affines() -> None:
    found = made((9.0, 1.0), (3.0, 1.0))
    found.rows[0].layers = [{"name": "bn", "channels": 8, "as_begun": True}]
    found.rows[1].layers = [{"name": "bn", "channels": 8, "as_begun": False}]
    looks = "m0 looks untrained: all its normalisation layers are as they begin (scale 1, offset 0)."
    assert found.verdict[1] == looks
    found.rows[0].layers.append({"name": "bn2", "channels": 8, "as_begun": False})
    assert found.verdict[1:] == [TRAIN]


def test_untrained_rivals_of_the_leading_band_are_named_too() -> None:
    found = made((9.0, 3.0), (8.0, 3.0), (7.5, 3.0), (0.0, 1.0))
    for place in (1, 2, 3):
        found.rows[place].layers = [{"name": "bn", "channels": 8, "as_begun": True}]
    said = [sentence for sentence in found.verdict if "untrained" in sentence]
    assert said == ["m1 and m2 look untrained: all their normalisation layers are as they begin (scale 1, offset 0)."]
    (warned,) = [text for text in warnings_of(found) if "look untrained" in text]
    assert warned.endswith(": m1, m2, m3")


def test_an_untrained_rival_is_named_after_trainings_too() -> None:
    found = made((9.0, 3.0), (8.0, 3.0))
    found.rows[1].layers = [{"name": "bn", "channels": 8, "as_begun": True}]
    for row in found.rows:
        row.refined = Refined(metric="dice", quality=0.8, low=0.6, high=0.9, rounds=1)
    looks = "m1 looks untrained: all its normalisation layers are as they begin (scale 1, offset 0)."
    assert looks in joined(found).verdict


def test_twins_are_held_against_the_draw_that_they_were_given() -> None:
    """The mean over three draws may be far above or below that of the first."""
    found = made((9.0, 1.0), (3.0, 1.0))
    found.rows[0].untrained = ZeroPoint.of("s", [5.9, 6.0, 6.1])
    assert not is_within_zero(found, found.rows[0])
    found.rows[0].details.values = {"s": [6.05, 10.0, 10.95]}
    assert is_within_zero(found, found.rows[0])


@pytest.mark.parametrize(
    ("metric", "quality", "is_chance"),
    [
        ("balanced_accuracy", 0.333, True),
        ("balanced_accuracy", 0.36, False),
        ("auc", 0.5, True),
        ("auc", 0.6, False),
        ("kappa", 0.0, True),
        ("dice", 0.1, False),
    ],
)
def test_a_training_that_guesses_tells_nothing(metric: str, quality: float, is_chance: bool) -> None:
    found = made((9.0, 3.0), (8.0, 3.0))
    found.target = {"classes": ["a", "b", "c"]}
    found.rows[0].refined = Refined(metric=metric, quality=quality, rounds=1)
    said = " ".join(found.verdict)
    assert ("is no better than a guess" in said) == is_chance
    assert ("A longer --refine-budget" in said) == is_chance


def test_another_that_was_better_in_training_is_named() -> None:
    found = made((9.0, 3.0), (8.0, 3.0), (7.0, 3.0))
    found.target = {"classes": ["a", "b", "c"]}
    for row, (quality, low, high) in zip(
        found.rows, [(0.333, 0.30, 0.38), (0.464, 0.39, 0.54), (0.35, 0.30, 0.40)], strict=True
    ):
        row.refined = Refined(metric="balanced_accuracy", quality=quality, low=low, high=high, rounds=1)
    said = " ".join(found.verdict)
    assert (
        "In the short training m1 did better than m0, beyond the intervals (balanced_accuracy 0.464 against 0.333): "
        "s alone puts it first. The short training of m0 is no better than a guess (balanced_accuracy 0.333)."
    ) in said
    assert "tells nothing" not in said
    found.rows[1].refined = dataclasses.replace(found.rows[1].refined, low=0.37)
    assert "did better" not in " ".join(found.verdict)


def test_other_trainings_that_are_a_guess_are_named() -> None:
    found = made((9.0, 3.0), (8.0, 3.0), (7.0, 3.0))
    found.target = {"classes": ["a", "b", "c"]}
    for row, quality in zip(found.rows, (0.7, 0.33, 0.42), strict=True):
        row.refined = Refined(
            metric="balanced_accuracy", quality=quality, low=quality - 0.1, high=quality + 0.1, rounds=1
        )
    names = "The short training of m1 and m2 is not clearly better than a guess: a longer one may change that."
    assert names in found.verdict
    found.rows[0].refined = dataclasses.replace(found.rows[0].refined, quality=0.33, low=0.2, high=0.4)
    assert sum("guess" in text for text in found.verdict) == 1  # that of the first says enough


def test_a_training_whose_interval_reaches_a_guess_is_not_clearly_better() -> None:
    found = made((9.0, 3.0), (8.0, 3.0))
    found.target = {"classes": ["a", "b", "c"]}
    found.rows[0].refined = Refined(metric="balanced_accuracy", quality=0.4, low=0.31, high=0.49, rounds=1)
    figures = "balanced_accuracy 0.31 to 0.49, a guess has 0.333"
    assert f"The short training of m0 is not clearly better than a guess ({figures})." in found.verdict
    found.rows[0].refined = dataclasses.replace(found.rows[0].refined, low=0.34)
    assert "guess" not in " ".join(found.verdict)


def test_who_overlaps_the_first_from_a_later_band_is_named() -> None:
    """A band ends at the first that is clear; one with a wider interval may come after it."""
    found = made((9.0, 1.0), (7.0, 0.1), (6.0, 3.0))
    assert [row.band for row in found.rows] == [1, 2, 2]
    assert found.verdict[0] == "m0 is first by s, but the sample cannot tell it from m2."
    assert [row.model for row in found.tied] == ["m2"]


def test_a_budget_that_trained_nothing_is_named_where_the_first_is_clear() -> None:
    found = made((9.0, 1.0), (3.0, 1.0))
    found.settings["refine"] = {"trained": []}
    assert found.verdict[-1].startswith("The budget was too short to train any candidate")


def test_skipped_candidates_are_counted_where_one_is_left() -> None:
    rows = [Row("a", "scored", scores={"s": Value(1.0)}), Row("b", "skipped", reason="no file")]
    (said,) = Ranking.of(rows, rank_by="s", higher_is_better={"s": True}).verdict
    assert said.startswith("a is the only candidate that is ranked (1 skipped, see their reasons)")


def test_the_studies_are_named_for_a_ranking_like_theirs() -> None:
    rows = [Row(f"m{i}", "scored", scores={"finetunability": Value(float(i))}) for i in range(10)]
    about: dict[str, Any] = {"rank_by": "finetunability", "higher_is_better": {"finetunability": True}}
    settings = {"rank_by": "finetunability", "protocol": "one-step"}
    said = "In the studies the best of the first 5 was within 0.01 of the best on 24 of 27 targets."
    assert said in Ranking.of(rows, settings=settings, **about).verdict
    assert said not in Ranking.of(rows[:9], settings=settings, **about).verdict
    assert said not in Ranking.of(rows, settings={**settings, "protocol": "official"}, **about).verdict
    rows[0].refined = Refined(metric="dice", quality=0.9, rounds=1)
    assert said not in joined(Ranking.of(rows, settings=settings, **about)).verdict
