"""Scores against truth: what is paired, averaged, flipped, left out and warned about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from acrank.comparison import Comparison, Measurement, ScoreResult, Scores, Truth, compare
from acrank.comparison.aligning import align
from acrank.comparison.comparison_record import check_comparison
from acrank.errors import TableError, UsageError


def scores_of(datasets: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Scores:
    models = {
        name: list(dict.fromkeys(model for column in columns.values() for model in column))
        for name, columns in datasets.items()
    }
    plain = {name: {score: dict(column) for score, column in columns.items()} for name, columns in datasets.items()}
    return Scores("scores.csv", plain, models)


def truth_of(datasets: Mapping[str, Mapping[str, float]], *, se: float | None = None) -> Truth:
    return Truth(
        "truth.csv",
        {name: {m: Measurement(value, se, (value,)) for m, value in known.items()} for name, known in datasets.items()},
    )


def column(values: np.ndarray | list[float]) -> dict[str, float]:
    return {f"m{i:02d}": float(value) for i, value in enumerate(values)}


def random_study(n: int = 12, seed: int = 0) -> tuple[Scores, Truth]:
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=n)
    good, bad = truth + 0.3 * rng.normal(size=n), rng.normal(size=n)
    return scores_of({"": {"good": column(good), "bad": column(bad)}}), truth_of({"": column(truth + 5)})


def result(found: Comparison, score: str, dataset: str | None = None) -> ScoreResult:
    return next(r for r in found.results if r.score == score and dataset in (None, r.dataset))


def test_values_are_scipys_and_intervals_hold_them() -> None:
    scores, truth = random_study()
    good = result(compare(scores, truth), "good")
    x = list(scores.datasets[""]["good"].values())
    y = [item.mean for item in truth.datasets[""].values()]
    assert good.figures["weighted_tau"].value == pytest.approx(stats.weightedtau(x, y).statistic, abs=1e-12)
    assert good.figures["pearson"].value == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)
    for figure in good.figures.values():
        assert figure.low <= figure.value + 1e-12
        assert figure.value <= figure.high + 1e-12
    assert good.p_values["weighted_tau"] < 0.01 < result(compare(scores, truth), "bad").p_values["weighted_tau"]


def test_the_same_seed_gives_the_same_record_and_another_seed_other_intervals() -> None:
    scores, truth = random_study()
    assert compare(scores, truth).to_record() == compare(scores, truth).to_record()
    one, two = (result(compare(scores, truth, seed=seed), "bad").figures["weighted_tau"] for seed in (0, 1))
    assert one.value == two.value
    assert one.low != two.low


def test_the_order_of_the_rows_changes_nothing() -> None:
    scores, truth = random_study()
    turned = scores_of({"": {name: dict(reversed(c.items())) for name, c in scores.datasets[""].items()}})
    upside_down = Truth("truth.csv", {"": dict(reversed(truth.datasets[""].items()))})
    assert compare(turned, upside_down).to_record()["results"] == compare(scores, truth).to_record()["results"]


def test_a_lower_is_better_score_is_negated_before_it_is_compared() -> None:
    scores, truth = random_study()
    negated = scores_of({"": {"good": {m: -v for m, v in scores.datasets[""]["good"].items()}}})
    found = result(compare(negated, truth, higher_is_better={"good": False}), "good")
    assert found.higher_is_better is False
    assert found.figures == result(compare(scores, truth), "good").figures


def test_a_score_that_predicts_better_flipped_is_reported_but_not_flipped() -> None:
    scores, truth = random_study()
    found = compare(scores, truth, higher_is_better={"good": False})
    good = result(found, "good")
    x = np.array(list(scores.datasets[""]["good"].values()))
    y = [item.mean for item in truth.datasets[""].values()]
    assert good.figures["weighted_tau"].value == pytest.approx(stats.weightedtau(-x, y).statistic)
    assert good.flipped == pytest.approx(stats.weightedtau(x, y).statistic)
    assert good.better_flipped
    assert good.flip_gain.low > 0
    assert any("good (lower is better) predicts better when flipped" in line for line in found.warnings)


@pytest.mark.parametrize(("models", "said"), [(4, False), (5, True)])
def test_nothing_is_said_of_flipped_scores_below_five_models(models: int, said: bool) -> None:
    names = [f"model {i}" for i in range(models)]
    scores = Scores("scores.csv", {"": {"turned": {name: -float(i) for i, name in enumerate(names)}}}, {"": names})
    truth = Truth("truth.csv", {"": {name: Measurement(0.1 * i) for i, name in enumerate(names)}})
    found = compare(scores, truth)
    assert found.results[0].better_flipped
    assert any("flipped" in line for line in found.warnings) is said


def orders(**places: list[int]) -> tuple[Scores, Truth]:
    """Scores that put models at these places, of which the truth has the best last."""
    names = [f"model {i}" for i in range(len(next(iter(places.values()))))]
    values = {score: dict(zip(names, map(float, order), strict=True)) for score, order in places.items()}
    truth = {name: Measurement(0.1 * i) for i, name in enumerate(names)}
    return Scores("scores.csv", {"": values}, {"": names}), Truth("truth.csv", {"": truth})


@pytest.mark.parametrize(("models", "verdict"), [(4, "undecided"), (5, "better")])
def test_below_five_models_no_score_is_called_better(models: int, verdict: str) -> None:
    order = [*range(models)]
    found = compare(*orders(good=order, turned=order[::-1]), versus="turned")
    assert result(found, "good").difference.low > 0
    assert result(found, "good").verdict == verdict
    check_comparison(found.to_record())


@pytest.mark.parametrize(("order", "said"), [([5, 4, 3, 2, 1, 0], True), ([3, 5, 0, 4, 1, 2], False)])
def test_a_flipped_score_is_warned_of_where_its_interval_shows_it(order: list[int], said: bool) -> None:
    found = compare(*orders(turned=order))
    assert found.results[0].better_flipped
    assert (found.results[0].flip_gain.low > 0) is said
    assert any("flipped" in line for line in found.warnings) is said


def test_the_verdict_names_the_better_score_and_the_difference_changes_sign_with_the_pair() -> None:
    scores, truth = random_study(40)
    against_bad, against_good = compare(scores, truth, versus="bad"), compare(scores, truth, versus="good")
    one, other = result(against_bad, "good"), result(against_good, "bad")
    assert (one.verdict, other.verdict) == ("better", "worse")
    assert one.difference.value == -other.difference.value
    assert one.difference.low == pytest.approx(-other.difference.high)
    assert result(against_bad, "bad").versus == ""


def test_a_score_against_its_own_copy_is_undecided() -> None:
    scores, truth = random_study()
    scores.datasets[""]["copy"] = dict(scores.datasets[""]["good"])
    copy = result(compare(scores, truth, versus="good"), "copy")
    assert (copy.difference.value, copy.difference.low, copy.difference.high) == (0.0, 0.0, 0.0)
    assert copy.verdict == "undecided"


def test_the_difference_uses_the_models_that_have_both() -> None:
    scores, truth = random_study()
    del scores.datasets[""]["good"]["m00"], scores.datasets[""]["bad"]["m01"]
    found = result(compare(scores, truth, versus="bad"), "good")
    both = sorted(set(scores.datasets[""]["good"]) & set(scores.datasets[""]["bad"]))
    y = [truth.datasets[""][m].mean for m in both]
    taus = [stats.weightedtau([scores.datasets[""][s][m] for m in both], y).statistic for s in ("good", "bad")]
    assert found.difference.value == pytest.approx(taus[0] - taus[1])
    assert (found.n, found.without_value) == (11, ("m00",))


def test_the_interval_of_a_difference_uses_the_models_that_have_both() -> None:
    scores, truth = random_study()
    scores.datasets[""]["partial copy"] = dict(list(scores.datasets[""]["good"].items())[4:])
    difference = result(compare(scores, truth, versus="good"), "partial copy").difference
    assert (difference.value, difference.low, difference.high) == (0.0, 0.0, 0.0)


def test_a_constant_column_is_undefined_with_the_reason() -> None:
    scores, truth = random_study()
    scores.datasets[""]["flat"] = dict.fromkeys(scores.datasets[""]["good"], 0.25)
    found = compare(scores, truth, higher_is_better={"flat": False})
    flat = result(found, "flat")
    assert all(figure.value is None for figure in flat.figures.values())
    assert flat.reason == "constant column: all 12 models have 0.25"
    assert any("flat: undefined: constant column" in line for line in found.warnings)
    record = flat.to_record()
    assert record["weighted_tau"] is None
    assert record["weighted_tau_low"] is None
    assert record["weighted_tau_p"] is None


def test_a_constant_truth_is_undefined_too() -> None:
    scores, truth = random_study()
    flat = truth_of({"": dict.fromkeys(truth.datasets[""], 0.5)})
    found = compare(scores, flat)
    assert result(found, "good").reason == "constant ground truth: all 12 models have 0.5"
    assert result(found, "random ranking").figures["weighted_tau"].value is None


def test_infinite_scores_have_ranks_but_no_pearson_with_the_reason() -> None:
    scores, truth = random_study()
    scores.datasets[""]["good"]["m00"] = -np.inf
    good = result(compare(scores, truth), "good")
    assert good.figures["kendall_tau"].value is not None
    assert good.figures["pearson"].value is None
    assert good.reason == "pearson: the score has infinite values"


def test_missing_models_are_listed_on_both_sides() -> None:
    scores, truth = random_study()
    scores.models[""].append("scored only")
    truth.datasets[""]["finetuned only"] = Measurement(1.0)
    found = compare(scores, replace(truth, unknown={"": ["failed"]}))
    assert found.missing == {"": {"without_truth": ["scored only"], "without_score": ["failed", "finetuned only"]}}
    assert "no ground truth for scored only" in found.warnings
    assert "no score for failed, finetuned only" in found.warnings


@pytest.mark.parametrize(("n", "warned"), [(4, True), (5, False)])
def test_fewer_than_five_models_conclude_nothing(n: int, warned: bool) -> None:
    found = compare(*random_study(n))
    assert any("nothing can be concluded" in line for line in found.warnings) is warned


def test_averages_are_means_over_the_datasets_where_a_score_is_defined() -> None:
    rng = np.random.default_rng(0)
    truth = {name: column(rng.normal(size=8)) for name in "xyz"}
    scores = {name: {"s": column(rng.normal(size=8)), "t": column(rng.normal(size=8))} for name in "xyz"}
    scores["z"]["t"] = column(np.ones(8))
    found = compare(scores_of(scores), truth_of(truth))
    means = {item.score: item for item in found.averages}
    for name, datasets in (("s", "xyz"), ("t", "xy")):
        values = [result(found, name, dataset).figures["spearman"].value for dataset in datasets]
        assert means[name].figures["spearman"].value == pytest.approx(np.mean(values))
        assert means[name].dataset == f"mean of {len(datasets)}"
    assert means["t"].reason == "undefined on z"
    wide = result(found, "s", "x").figures["weighted_tau"]
    narrow = means["s"].figures["weighted_tau"]
    assert narrow.high - narrow.low < wide.high - wide.low
    assert means["t"].versus == "s"


def test_copies_of_a_dataset_do_not_narrow_the_interval_of_their_average() -> None:
    scores, truth = random_study()
    many = scores_of(dict.fromkeys("abcd", scores.datasets[""]))
    found = compare(many, truth_of({name: {m: i.mean for m, i in truth.datasets[""].items()} for name in "abcd"}))
    once, mean = result(found, "bad", "a").figures["weighted_tau"], found.averages[1].figures["weighted_tau"]
    assert mean.low == pytest.approx(once.low)
    assert mean.high == pytest.approx(once.high)


def test_baselines_are_params_references_and_ranks_elsewhere() -> None:
    scores, truth = random_study()
    known = {name: {m: item.mean for m, item in truth.datasets[""].items()} for name in ("here", "there")}
    ordered = {m: i.mean for m, i in truth.datasets[""].items()}
    full = replace(scores.named("here"), params={"here": ordered}, reference={"here": {"top1": ordered}})
    found = compare(full, truth_of(known))
    for name in ("params", "reference top1", "mean rank elsewhere"):
        assert result(found, name).kind == "baseline"
        assert result(found, name).figures["weighted_tau"].value == pytest.approx(1.0)
    assert result(found, "mean rank elsewhere").higher_is_better is False
    random = result(found, "random ranking")
    assert random.figures["weighted_tau"].value == pytest.approx(0, abs=0.05)
    assert random.figures["weighted_tau"].low < -0.3


def test_noisy_truth_widens_the_intervals() -> None:
    scores, truth = random_study(20)
    noisy = truth_of({"": {m: i.mean for m, i in truth.datasets[""].items()}}, se=1.0)
    sharp, blurred = (compare(scores, known) for known in (truth, noisy))
    one, two = (result(found, "good").figures["weighted_tau"] for found in (sharp, blurred))
    assert one.value == two.value
    assert two.low < one.low
    assert (sharp.settings["truth_resampled"], blurred.settings["truth_resampled"]) == (False, True)


def test_seeds_that_all_models_share_are_drawn_together() -> None:
    def seeds(shift: float, labels: tuple[str, ...]) -> Measurement:
        values = (shift + 0.0, shift + 5.0, shift + 9.0)
        return Measurement(float(np.mean(values)), 2.6, values, labels)

    def orders(labels: tuple[str, ...]) -> set[tuple[int, ...]]:
        truth = Truth("t", {"": {f"m{i}": seeds(i, labels) for i in range(6)}})
        scores = scores_of({"": {"s": {f"m{i}": float(i) for i in range(6)}}})
        versions = align(scores, truth, {"s": True})[0].resampled_truths(30, 0)
        return {tuple(np.argsort(version)) for version in versions}

    assert orders(("1", "2", "3")) == {(0, 1, 2, 3, 4, 5)}  # one shift for all: the order stays
    assert len(orders(())) > 5


def test_an_unnamed_dataset_goes_with_the_only_named_one() -> None:
    scores, truth = random_study()
    named = Truth("truth.csv", {"busi": truth.datasets[""]})
    assert compare(scores, named).results[0].dataset == "busi"
    with pytest.raises(TableError, match="names no dataset, the other table has 2") as caught:
        compare(scores, Truth("truth.csv", {"busi": truth.datasets[""], "drive": truth.datasets[""]}))
    assert caught.value.hint == "choose one with --dataset: busi, drive"


def test_nothing_in_common_is_an_error_that_shows_names_of_both_sides() -> None:
    scores, _ = random_study()
    with pytest.raises(TableError, match=r"no model is in both scores\.csv and truth\.csv") as caught:
        compare(scores, truth_of({"": {"other": 1.0}}))
    assert caught.value.hint == "names must agree: the scores have 'm00', the truth has 'other'"
    with pytest.raises(TableError, match="no dataset is in both"):
        compare(scores.named("x"), truth_of({"y": {"m00": 1.0}}))
    with pytest.raises(TableError, match="no column 'ground_truth'"):
        compare(scores)


def test_datasets_of_one_side_only_are_named() -> None:
    scores, truth = random_study()
    both = scores_of({"x": scores.datasets[""], "y": scores.datasets[""]})
    known = {m: i.mean for m, i in truth.datasets[""].items()}
    assert "no ground truth for the dataset y" in compare(both, truth_of({"x": known})).warnings
    found = compare(both, truth_of({"x": known, "y": {"other": 1.0}}))
    assert "no model has both a score and a truth on y" in found.warnings
    assert {item.dataset for item in found.results} == {"x"}


@pytest.mark.parametrize(
    "options",
    [{"higher_is_better": {"none": True}}, {"versus": "none"}, {"top_k": [0]}, {"top_k": []}, {"resamples": 99}],
)
def test_invalid_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        compare(*random_study(), **options)


def test_frame_and_view_hold_results_and_averages() -> None:
    scores, truth = random_study()
    found = compare(scores, truth)
    frame = found.to_frame()
    assert list(frame["score"]) == ["good", "bad", "random ranking"]
    assert frame.loc[0, "weighted_tau"] == found.results[0].figures["weighted_tau"].value
    assert found.view().brief[0] == "score"  # one dataset needs no column


# --- what a score knows about this dataset ---------------------------------------------------------------------------


def study_of(*, about: float, datasets: int = 4, n: int = 16, seed: int = 0) -> tuple[Scores, Truth]:
    """Truth and a score that share what is general of a model, and in part (`about`) what is special to a dataset."""
    rng = np.random.default_rng(seed)
    general = rng.normal(size=n)
    truths, scores = {}, {}
    for name in "abcdefgh"[:datasets]:
        special = rng.normal(size=n)
        truths[name] = column(general + special + 10)
        scores[name] = {"score": column(2 * general + about * special + (1 - about) * rng.normal(size=n))}
    return scores_of(scores), truth_of(truths)


def test_the_residual_is_that_of_ranks_less_their_means_elsewhere() -> None:
    scores, truth = study_of(about=0.8, datasets=3)
    names = sorted(truth.datasets["a"])

    def ranks(values: Mapping[str, float]) -> np.ndarray:
        return (stats.rankdata([values[name] for name in names]) - 1) / (len(names) - 1)

    mine = {name: ranks(scores.datasets[name]["score"]) for name in "abc"}
    theirs = {name: ranks({m: item.mean for m, item in truth.datasets[name].items()}) for name in "abc"}
    x, y = (part["a"] - (part["b"] + part["c"]) / 2 for part in (mine, theirs))
    found = result(compare(scores, truth), "score", "a")
    assert found.residual.value == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)


def test_a_score_that_knows_models_in_general_only_has_no_residual() -> None:
    knows, ignores = (compare(*study_of(about=about, datasets=6, n=40)).averages[0].residual for about in (1.0, 0.0))
    assert knows.low is not None
    assert knows.low > 0.5
    assert ignores.value is not None
    assert abs(ignores.value) < 0.15
    assert ignores.low < 0 < ignores.high


def test_a_constant_of_the_model_has_none_and_equals_its_mean_elsewhere() -> None:
    _, truth = study_of(about=0.5)
    size = column(np.arange(16.0))
    found = compare(scores_of({name: {"size": size} for name in truth.datasets}), truth)
    assert result(found, "size", "a").residual.value is None
    here, elsewhere = result(found, "size", "a"), result(found, "size elsewhere", "a")
    assert elsewhere.kind == "baseline"
    assert elsewhere.figures["weighted_tau"].value == pytest.approx(here.figures["weighted_tau"].value)


def test_one_dataset_has_neither() -> None:
    scores, truth = random_study()
    found = compare(scores, truth)
    assert result(found, "good").residual.value is None
    assert not [one for one in found.results if one.score.endswith("elsewhere")]


def test_ranks_elsewhere_of_the_same_task() -> None:
    scores, truth = study_of(about=0.5, datasets=3)
    turned = {m: Measurement(-item.mean) for m, item in truth.datasets["a"].items()}
    known = replace(
        truth,
        datasets={"a": truth.datasets["a"], "b": truth.datasets["a"], "c": turned},
        tasks={"a": "classification", "b": "classification", "c": "segmentation"},
    )
    found = compare(scores, known)
    assert result(found, "mean rank elsewhere, same task", "a").figures["weighted_tau"].value == pytest.approx(1.0)
    assert result(found, "mean rank elsewhere", "a").figures["weighted_tau"].value is None, "b and c cancel out"
    assert not [one for one in found.results if one.dataset == "c" and "same task" in one.score]


# --- near-copies -----------------------------------------------------------------------------------------------------


def test_copies_in_one_cluster_leave_intervals_as_they_were() -> None:
    scores, truth = random_study()
    twice = scores_of(
        {"": {name: {**col, **{f"{m}-copy": v for m, v in col.items()}} for name, col in scores.datasets[""].items()}}
    )
    values = {m: item.mean for m, item in truth.datasets[""].items()}
    both = truth_of({"": {**values, **{f"{m}-copy": value for m, value in values.items()}}})
    clusters = {f"{m}-copy": m for m in values}
    plain = result(compare(scores, truth), "good").figures["kendall_tau"]
    known = result(compare(twice, both, clusters=clusters), "good").figures["kendall_tau"]
    unknown = result(compare(twice, both), "good").figures["kendall_tau"]
    assert (known.low, known.high) == (pytest.approx(plain.low), pytest.approx(plain.high))
    assert unknown.high - unknown.low < 0.9 * (plain.high - plain.low)
    assert (
        compare(twice, both, clusters=clusters).settings["interval"] == "percentile bootstrap over clusters of models"
    )


def test_what_is_zero_but_for_rounding_is_zero() -> None:
    """Differences and gains were written as -7.4e-18, and such an interval was held to be above 0."""
    rng = np.random.default_rng(5)
    names = [f"s{place}" for place in range(6)]
    datasets = {where: {name: column(rng.permutation(6)) for name in names} for where in "abcd"}
    truths = {where: column(rng.permutation(6) / 10) for where in "abcd"}
    found = compare(scores_of(datasets), truth_of(truths), resamples=100, versus="s0")
    figures = [
        (one.dataset, one.score, name, value)
        for one in (*found.results, *found.averages)
        for name, value in one.to_record().items()
        if isinstance(value, float) and not name.endswith("_p")
    ]
    assert len(figures) > 999
    assert [one for one in figures if 0 < abs(one[-1]) < 1e-12 or str(one[-1]) == "-0.0"] == []


@pytest.mark.parametrize("unit", [1.0, 1e-20])
def test_a_regret_between_truths_that_differ_by_rounding_is_zero(unit: float) -> None:
    truths = column([unit * (0.1 + 0.2), unit * 0.3, unit * 0.2, unit * 0.1, 0.0])
    scores = scores_of({"": {"s": column([4, 5, 3, 2, 1]), "t": column([3, 2, 5, 4, 1])}})
    found = compare(scores, truth_of({"": truths}), resamples=100)
    regrets = {one.score: one.figures["regret_at_1"] for one in found.results if one.kind == "score"}
    assert (regrets["s"].value, regrets["s"].low) == (0.0, 0.0)
    assert regrets["t"].value == pytest.approx(0.1 * unit, rel=1e-9)
