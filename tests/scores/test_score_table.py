"""The SCORES table, evaluation with notes, diagnostics."""

from __future__ import annotations

import inspect
import subprocess
import sys

import numpy as np
import pytest
from helpers.score_samples import clusters

from acrank.scores import SCORES, Score
from acrank.scores.diagnostics import diagnose, saturation
from acrank.scores.evaluate import Evaluation, evaluate_pool, evaluate_score
from acrank.system.record_schema import INTERVAL, RESERVED


def test_rows_are_complete():
    for name, score in SCORES.items():
        assert score.name == name
        assert name not in RESERVED
        assert not name.endswith(("_sd", *INTERVAL))
        assert score.needs
        assert set(score.tasks) <= {"classification", "multilabel", "regression", "segmentation"}
        assert score.tasks
        assert score.paper
        assert score.cost
        assert callable(score.function)
        assert score.function.__doc__
        assert hasattr(sys.modules[score.function.__module__], f"{name}_pool") == score.pool_relative
        if score.pool_relative:
            assert callable(score.pool_function)


def test_needs_are_arguments_of_the_function():
    for score in SCORES.values():
        arguments = inspect.signature(score.function).parameters
        required = {name for name, argument in arguments.items() if argument.default is argument.empty}
        assert required <= {*score.needs} <= {*arguments}, score.name


def test_defaults_and_controls():
    def having(attribute: str) -> set[str]:
        return {name for name, score in SCORES.items() if getattr(score, attribute)}

    after_training = {"channel_alignment", "ac_corr", "affine_drift"}
    assert having("after_training") == after_training
    assert having("shown_by_default") == {*after_training, "finetunability", "gradient_norm", "probe_accuracy"}
    assert having("always_controlled") == {"probe_accuracy"} == {*SCORES} - having("wants_diagnostics")


def test_the_scores_of_the_field_are_there():
    wanted = "logme leep nce nleep h_score gbc transrate sfda ncti parc lfc etran pactran knn linear_probe energy"
    assert set(wanted.split()) <= set(SCORES)


def heavy(statement: str) -> set[str]:
    names = "numpy", "scipy", "sklearn", "torch", "pandas"
    code = f"import sys; {statement}; print(*[m for m in {names} if m in sys.modules])"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_the_table_is_light():
    assert heavy("import acrank.scores") == set()
    assert heavy("import acrank.cli.scores") <= {"numpy"}
    assert "numpy" in heavy("import acrank.scores as s; s.SCORES['leep'].function")  # the probe itself works


def test_missing_logits_are_a_note():
    x, y = clusters()
    found = evaluate_score(SCORES["leep"], {"features": x, "labels": y, "logits": None})
    assert found.value is None
    assert "no logits" in found.notes[0]


def test_undefined_is_a_note():
    x, _ = clusters()
    found = evaluate_score(SCORES["knn"], {"features": x, "labels": np.zeros(60, dtype=int)})
    assert (found.value, found.notes) == (None, ("only one class in the sample",))


def test_saturation_is_a_note():
    x, y = clusters(20, 64)
    found = evaluate_score(SCORES["sfda"], {"features": x, "labels": y})
    assert found.value == pytest.approx(1)
    assert "saturated" in found.notes[0]


def test_the_seed_arrives():
    x, y = clusters(apart=0.3)
    one, same, other = (
        evaluate_score(SCORES["nleep"], {"features": x, "labels": y, "seed": s}).value for s in (1, 1, 2)
    )
    assert one == same != other


def endless(features: object) -> float:
    """A score that went wrong."""
    return float("inf")


def test_not_a_number_is_never_a_value():
    score = Score(name="endless", module=__name__, needs=("features",), paper="none")
    found = evaluate_score(score, {"features": [[1.0]]})
    assert found.value is None
    assert "not a finite number" in found.notes[0]


@pytest.mark.parametrize("name", ["ncti", "etran"])
def test_pool_relative_scores(name):
    candidates = []
    for seed in range(3):
        x, y = clusters(seed=seed)
        candidates.append(evaluate_score(SCORES[name], {"features": x, "labels": y}))
    failed = Evaluation(notes=("only one class in the sample",))
    values = evaluate_pool(SCORES[name], [candidates[0], failed, *candidates[1:]])
    assert values[1] is failed
    assert [v.value for i, v in enumerate(values) if i != 1] == SCORES[name].pool_function([c.part for c in candidates])
    (alone,) = evaluate_pool(SCORES[name], candidates[:1])
    assert alone.value is None
    assert "single candidate" in alone.notes[0]
    assert evaluate_pool(SCORES[name], [failed]) == [failed]


def findings(**arrays: object) -> str:
    return " | ".join(diagnose(**arrays))


def test_a_good_sample_has_no_notes():
    x, y = clusters(60, 8)
    assert diagnose(x, y, x, classes=3) == []


def test_features_are_diagnosed():
    x, _ = clusters(60, 8)
    constant, copied, bad = x.copy(), x.copy(), x.copy()
    constant[:, :2], copied[1], bad[2, 3] = 4.0, x[0], np.nan
    assert findings(features=constant) == "2 of 8 features constant over the sample"
    assert findings(features=np.hstack([x, x[:, :1]])) == "features have rank 8 where 9 is possible"
    assert findings(features=x[:, :1].repeat(3, axis=1) * 0 + 1) == "3 of 3 features constant over the sample | " + (
        "59 images have the features of another one: leave-one-out scores are too high"
    )
    assert "1 images have the features of another" in findings(features=copied)
    assert findings(features=bad) == "features: NaN or infinite values in 1 of 60 rows"
    assert findings(features=clusters(20, 20)[0]).startswith("no more images (20) than features (20)")
    assert diagnose(clusters(21, 20)[0]) == []


def test_labels_are_diagnosed():
    assert findings(labels=np.zeros(9, dtype=int)) == "only one class in the sample"
    assert findings(labels=[0] * 6 + [2] * 6, classes=4) == "2 of 4 classes missing from the sample"
    assert findings(labels=["a"] * 6 + ["b"] * 4) == "1 of 2 classes with fewer than 5 images (least: 4)"
    assert findings(labels=[[0, 1], [0, 0]]) == "1 of 2 label columns constant over the sample"
    assert findings(labels=[0.5, np.nan]) == "labels: NaN or infinite values"


def test_logits_are_diagnosed():
    assert findings(logits=[[1.0, 0.0], [2.0, 0.0]]) == "the source head gives all images the same class"
    assert findings(logits=[[1.0, 0.0], [np.inf, 0.0]]) == "logits: NaN or infinite values in 1 of 2 rows"


def test_saturation_knows_both_ends():
    assert saturation(SCORES["parc"], -1.0) == "saturated: at the end of its range (-1)"
    assert saturation(SCORES["gbc"], -1e-9) == "saturated: at the end of its range (0)"
    assert saturation(SCORES["logme"], 0.0) is None
