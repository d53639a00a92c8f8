"""What a history says of candidates: against the rule by hand, and what it may not depend on."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acrank.comparison.csvtable import parse_csv
from acrank.comparison.tables import read_truth
from acrank.errors import TableError
from acrank.history import as_history, read_history
from acrank.history import priors as priors_module
from acrank.history.earlier import History, identified, results_in
from acrank.history.priors import book_of, priors_of, with_priors
from acrank.records import Prior, Row
from acrank.records.row import Details

HISTORY = """\
dataset,model,ground_truth,metric,method
scans,a,0.9,dice,vanilla
scans,b,0.8,dice,vanilla
scans,c,0.7,dice,vanilla
pets,a,0.1,accuracy,vanilla
pets,b,0.1,accuracy,vanilla
pets,d,0.3,accuracy,vanilla
cells,a,0.2,accuracy,vanilla
cells,d,0.6,accuracy,vanilla
cells,b,,accuracy,vanilla
alone,a,0.5,accuracy,vanilla
"""


def written(folder: Path, text: str = HISTORY, name: str = "history.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def priors(path: Path, *models: str, **target: str) -> dict[str, Prior]:
    return dict(priors_of(read_history([path]), dict.fromkeys(models), **target).priors)


def test_shares_on_targets_of_the_same_task_and_of_others_where_there_are_none(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert priors(path, "a", "b", "c", "d", "e", task="classification") == {
        "a": Prior(value=(0.25 + 0.0) / 2, targets=2, same_task=2),
        "b": Prior(value=0.25, targets=1, same_task=1),
        "c": Prior(value=0.0, targets=1, same_task=0),
        "d": Prior(value=1.0, targets=2, same_task=2),
    }
    assert priors(path, "a", task="segmentation") == {"a": Prior(value=1.0, targets=1, same_task=1)}
    assert priors(path, "a") == {"a": Prior(value=1.25 / 3, targets=3, same_task=0)}  # its task is not known


def test_a_task_column_goes_before_the_metric(tmp_path: Path) -> None:
    path = written(tmp_path, "dataset,model,ground_truth,metric,task\nx,a,0.1,dice,other\nx,b,0.2,dice,other\n")
    assert priors(path, "b", task="segmentation")["b"].same_task == 0
    assert priors(path, "b", task="other")["b"].same_task == 1


def test_seeds_are_means_and_ways_of_finetuning_are_means_of_shares(tmp_path: Path) -> None:
    rows = ["dataset,model,method,seed,ground_truth"]
    rows += [f"x,{model},{method},{seed},{value}" for model, method, seed, value in [
        ("a", "vanilla", 0, 0.1), ("a", "vanilla", 1, 0.9), ("b", "vanilla", 0, 0.4), ("b", "vanilla", 1, 0.4),
        ("a", "ac-norm", 0, 0.1), ("b", "ac-norm", 0, 0.2), ("c", "ac-norm", 0, 0.05),
    ]]  # fmt: skip
    assert priors(written(tmp_path, "\n".join(rows)), "a", "b")["a"] == Prior(value=(1.0 + 0.5) / 2, targets=1)


@pytest.mark.parametrize(("target", "said"), [
    ({"name": "pets"}, "pets is left out: it has the name of the target at hand"),
    ({"name": "new", "digest": "f1"}, "pets is left out: these images are the target at hand"),
    ({"name": "new", "digest": "f2"}, "pets is left out: these images are the target at hand"),
])  # fmt: skip
def test_the_target_at_hand_is_left_out_and_said(tmp_path: Path, target: dict[str, str], said: str) -> None:
    text = "dataset,model,ground_truth,target\npets,a,1,f1 f2\npets,b,2,f1 f2\nscans,a,2,f3\nscans,b,1,f3\n"
    path = written(tmp_path, text)
    found = priors_of(read_history([path]), {"a": None}, **target)
    assert found.priors == {"a": Prior(value=1.0, targets=1)}
    assert any(said in note for note in found.notes)
    # one more table that knows the name alone is of that target, too
    more = written(tmp_path, "dataset,model,ground_truth\npets,a,1\npets,b,2\n", "more.csv")
    both = priors_of(read_history([path, more]), {"a": None}, **target)
    assert both.priors == found.priors


@pytest.mark.parametrize(
    "spelling", ["pets", "Pets", "PETS", "/data/Pets", "C:\\\\data\\\\pets", "pets/", "p-e_t.s ", "./pets"]
)
def test_the_name_of_the_target_at_hand_is_told_in_any_spelling(tmp_path: Path, spelling: str) -> None:
    text = f"dataset,model,ground_truth\n{spelling},a,1\n{spelling},b,2\nscans,a,2\nscans,b,1\n"
    history = read_history([written(tmp_path, text)])
    for name in ("pets", "Pets", "/other/pets")[: 3 - any(mark in spelling[1:-1] for mark in "/\\\\")]:
        found = priors_of(history, {"a": None}, name=name)
        assert found.priors == {"a": Prior(value=1.0, targets=1)}
        assert any("is left out: it has the name of the target at hand" in note for note in found.notes)
    assert priors_of(history, {"a": None}, name="cats").priors["a"].targets == 2
    assert priors_of(history, {"a": None}, name="").priors["a"].targets == 2


def test_folders_of_one_name_in_two_places_are_two_targets(tmp_path: Path) -> None:
    rows = "one/train,a,1\none/train,b,2\ntwo/train,a,1\ntwo/train,b,2\n"
    assert priors(written(tmp_path, f"dataset,model,ground_truth\n{rows}"), "b")["b"].targets == 2


def test_tasks_are_told_in_any_case(tmp_path: Path) -> None:
    rows = "x,a,1,Classification\nx,b,2,CLASSIFICATION\ny,a,1,segmentation\ny,b,2,segmentation\n"
    path = written(tmp_path, f"dataset,model,ground_truth,task\n{rows}")
    assert priors(path, "b", task="classification")["b"].same_task == 1
    assert priors(path, "b", task="Segmentation")["b"].same_task == 1
    assert read_truth(path).tasks == {"x": "classification", "y": "segmentation"}


def test_other_images_under_the_name_of_the_target_at_hand_count(tmp_path: Path) -> None:
    text = "dataset,model,ground_truth,target\ntrain,a,1,f1\ntrain,b,2,f1\n"
    found = priors_of(read_history([written(tmp_path, text)]), {"b": None}, name="train", digest="f2")
    assert found.priors == {"b": Prior(value=1.0, targets=1)}


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from("abcd"), st.floats(0, 1)), min_size=1), st.randoms())
def test_what_is_measured_on_the_target_at_hand_changes_nothing(
    rows: list[tuple[str, str, float]], rng: random.Random
) -> None:
    """Whatever the history says of it, and in whatever order its rows are."""

    def found(rows: list[tuple[str, str, float]]) -> dict[str, Prior]:
        unique = {(dataset, model): value for dataset, model, value in rows}
        lines = [f"{dataset},{model},{value}" for (dataset, model), value in unique.items()]
        table = parse_csv("\n".join(["dataset,model,ground_truth", *lines]), Path("h.csv"))
        history = History(files={"h.csv": ""}, results=identified(results_in(table)))
        return dict(priors_of(history, dict.fromkeys("abcd"), name="x").priors)

    plain = list({(dataset, model): (dataset, model, value) for dataset, model, value in rows}.values())
    changed = [(dataset, model, 1 - value if dataset == "x" else value) for dataset, model, value in plain]
    rng.shuffle(changed)
    rest = [row for row in plain if row[0] != "x"]
    assert found(changed) == found(plain) == (found(rest) if rest else {})


def test_results_of_other_weights_are_left_out_with_a_warning(tmp_path: Path) -> None:
    text = "dataset,model,ground_truth,weights\nx,a,1,w1\nx,b,2,w2\ny,a,2,\ny,b,1,\n"
    rows = [
        Row("a", "scored", details=Details(depends_on={"weights": "other"})),
        Row("b", "scored", weights={"sha256": "w2"}),
    ]
    known, found = with_priors(rows, book_of(as_history(written(tmp_path, text)), {"name": "here"}))
    assert [row.prior for row in known] == [Prior(value=1.0, targets=1), Prior(value=0.5, targets=2)]
    assert found.warnings == [
        "history: results are of other weights than the candidate has, and are left out: a on x",
    ]


@pytest.mark.parametrize(("names", "digests", "count"), [
    (("x", "y"), ("f1", "f1 f2"), 1),  # the same images under two names
    (("x", "x"), ("f1", "f2"), 2),
    (("x", "x"), ("f1", ""), 1),
    (("x", "y"), ("", ""), 2),
])  # fmt: skip
def test_what_is_one_target(tmp_path: Path, names: tuple[str, ...], digests: tuple[str, ...], count: int) -> None:
    paths = [
        written(tmp_path, f"dataset,model,ground_truth,target\n{name},a,1,{digest}\n{name},b,2,{digest}\n", f"{i}.csv")
        for i, (name, digest) in enumerate(zip(names, digests, strict=True))
    ]
    assert priors_of(read_history(paths), {"b": None}).priors == {"b": Prior(value=1.0, targets=count)}


def test_a_target_with_one_candidate_is_no_earlier_target(tmp_path: Path) -> None:
    found = priors_of(read_history([written(tmp_path)]), {"a": None}, task="classification")
    assert found.notes == [
        "history: history.csv: 2 earlier targets of the same task, 1 of others; "
        "1 of 1 candidates have results there, 1 on the same task, which alone count for them"
    ]


@pytest.mark.parametrize(("tasks", "models", "task", "said"), [
    (("", ""), "ab", "classification", "2 earlier targets of unknown task; 2 of 2 candidates have results there"),
    (("", "seg"), "ab", "seg", "1 earlier target of the same task, 1 of unknown task; 2 of 2 candidates have results "
     "there, 2 on the same task, which alone count for them"),
    (("seg", ""), "ab", "cls", "1 earlier target of other tasks, 1 of unknown task; "
     "2 of 2 candidates have results there"),
    (("seg", "seg"), "abe", "seg", "2 earlier targets of the same task; 2 of 3 candidates have results there"),
    (("seg", "seg"), "ab", "cls", "2 earlier targets of other tasks; 2 of 2 candidates have results there"),
    (("seg", "cls"), "abc", "cls", "1 earlier target of the same task, 1 of others; 3 of 3 candidates have results "
     "there, 2 on the same task, which alone count for them; for the other 1 those on the other targets count"),
    (("seg", "cls"), "c", "cls", "1 earlier target of the same task, 1 of others; 1 of 1 candidates have results "
     "there, none on the same task: those on the other targets count"),
    (("seg", ""), "ab", "", "2 earlier targets; 2 of 2 candidates have results there"),
])  # fmt: skip
def test_the_note_says_what_counts(tmp_path: Path, tasks: tuple[str, str], models: str, task: str, said: str) -> None:
    first, second = tasks
    rows = f"x,a,3,{first}\nx,b,2,{first}\nx,c,1,{first}\ny,a,1,{second}\ny,b,2,{second}\n"
    history = read_history([written(tmp_path, f"dataset,model,ground_truth,task\n{rows}")])
    assert priors_of(history, dict.fromkeys(models), task=task).notes == [f"history: history.csv: {said}"]


def test_a_prior_of_an_earlier_run_does_not_stay() -> None:
    row = Row("a", "scored", prior=Prior(value=1.0, targets=1))
    assert with_priors([row], None)[0][0].prior is None


def test_the_prior_of_a_candidate_is_worked_out_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run asks for all its rows after each of them; other weights of a candidate are another question."""
    asked = []
    worked_out = priors_module._prior
    monkeypatch.setattr(priors_module, "_prior", lambda *given: (asked.append(given), worked_out(*given))[1])
    history = read_history([written(tmp_path)])
    book = book_of(history, {"name": "here", "task": "classification"})
    rows = [Row(name, "scored") for name in "abcde"]
    for count in range(1, 6):
        known = with_priors(rows[:count], book)[0]
    assert len(asked) == 5
    expected = priors_of(history, dict.fromkeys("abcde"), name="here", task="classification").priors
    assert {row.model: row.prior for row in known if row.prior} == expected
    with_priors([Row("a", "scored", weights={"sha256": "w"})], book)
    assert len(asked) == 11


def test_no_results_of_these_candidates_is_a_warning(tmp_path: Path) -> None:
    found = priors_of(read_history([written(tmp_path)]), {"e": None}, task="classification")
    assert found.priors == {}
    assert found.warnings == ["history: history.csv has no results of these candidates on other targets"]


@pytest.mark.parametrize(("text", "said"), [
    ("model,score\na,1\n", "no column 'ground_truth'"),
    ("model,ground_truth\na,high\n", "not a number"),
    ("model,ground_truth\na,inf\n", "holds inf"),
    ("dataset,model,ground_truth,seed\nx,a,1,0\nx,a,2,0\n", "has seed '0' twice"),
])  # fmt: skip
def test_what_is_no_history_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(TableError, match=said):
        read_history([written(tmp_path, text)])


def test_semicolons_and_decimal_commas_and_no_dataset(tmp_path: Path) -> None:
    path = written(tmp_path, "model;ground_truth\na;0,5\nb;0,25\n", "earlier.csv")
    assert priors(path, "a") == {"a": Prior(value=1.0, targets=1)}
    assert read_history([path]).results[0].target == "earlier"


def test_a_file_named_twice_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    with pytest.raises(TableError, match="is named twice"):
        read_history([path, path])
