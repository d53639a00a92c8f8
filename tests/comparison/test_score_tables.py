"""Reading scores and ground truth, and the errors of broken tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from acrank.comparison.column_rules import RANGES
from acrank.comparison.tables import read_scores, read_truth
from acrank.errors import TableError
from acrank.finetuning.tasks import METRICS
from acrank.records import Ranking, Row, Value


def written(tmp_path: Path, text: str, name: str = "table.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def run_record() -> Ranking:
    rows = [
        Row("a", "scored", scores={"s": Value(1.0, sd=0.2), "t": Value(3.0)}, params=10, reference={"top1": 0.7}),
        Row("b", "scored", scores={"s": Value(2.0, sd=0.1), "t": Value(None, note="undefined")}, params=20),
        Row("c", "skipped", reason="no weights"),
    ]
    return Ranking.of(rows, rank_by="s", higher_is_better={"s": False, "t": True})


def test_a_run_record_gives_directions_params_references_and_skipped_rows(tmp_path: Path) -> None:
    run_record().save(tmp_path / "run.json")
    scores = read_scores(tmp_path / "run.json")
    assert scores.datasets == {"": {"s": {"a": 1.0, "b": 2.0}, "t": {"a": 3.0}}}
    assert scores.models == {"": ["a", "b", "c"]}
    assert scores.higher_is_better == {"s": False, "t": True}
    assert scores.params == {"": {"a": 10.0, "b": 20.0}}
    assert scores.reference == {"": {"top1": {"a": 0.7}}}
    assert scores.sd[""]["s"] == {"a": 0.2, "b": 0.1}
    assert (scores.rank_by, scores.skipped) == ("s", {"c": "no weights"})


def test_the_csv_of_a_run_reads_like_its_record(tmp_path: Path) -> None:
    from acrank.formats import View, render

    ranking = run_record()
    view = View(columns=ranking.columns(), rows=ranking.cells(), record=None)
    scores = read_scores(written(tmp_path, render(view, "csv")))
    ranking.save(tmp_path / "run.json")
    record = read_scores(tmp_path / "run.json")
    assert scores.datasets == record.datasets
    assert scores.params == record.params
    assert scores.skipped == record.skipped


def test_a_long_table_holds_scores_and_truth_of_several_datasets(tmp_path: Path) -> None:
    path = written(tmp_path, "dataset,model,ground_truth,s,s_sd\nx,a,0.5,1,0.1\nx,b,0.6,,\ny,a,0.7,3,\n")
    scores = read_scores(path)
    assert scores.datasets == {"x": {"s": {"a": 1.0}}, "y": {"s": {"a": 3.0}}}
    assert scores.models == {"x": ["a", "b"], "y": ["a"]}
    assert scores.truth is not None
    assert scores.truth.datasets["x"]["b"].mean == 0.6


def test_repeated_rows_of_the_truth_are_seeds(tmp_path: Path) -> None:
    truth = read_truth(written(tmp_path, "model,ground_truth,seed\na,0.4,1\na,0.6,2\nb,0.9,1\n"))
    found = truth.datasets[""]["a"]
    assert found.mean == pytest.approx(0.5)
    assert found.se == pytest.approx(0.1)
    assert (found.seeds, found.labels) == ((0.4, 0.6), ("1", "2"))
    assert truth.datasets[""]["b"].se is None


def test_a_given_standard_error_is_kept(tmp_path: Path) -> None:
    truth = read_truth(written(tmp_path, "model,ground_truth,ground_truth_se\na,0.4,0.02\nb,0.6,\n"))
    assert truth.datasets[""]["a"].se == 0.02
    assert truth.datasets[""]["b"].se is None


def test_an_empty_truth_is_unknown_rather_than_a_value(tmp_path: Path) -> None:
    truth = read_truth(written(tmp_path, "model,ground_truth\na,0.4\nb,\nc,NaN\n"))
    assert list(truth.datasets[""]) == ["a"]
    assert truth.unknown == {"": ["b", "c"]}


def test_one_method_is_chosen_by_name(tmp_path: Path) -> None:
    path = written(tmp_path, "model,ground_truth,method\na,0.4,full\na,0.6,linear\n")
    assert read_truth(path, method="linear").datasets[""]["a"].mean == 0.6
    with pytest.raises(TableError, match="several methods: 'full', 'linear'") as caught:
        read_truth(path)
    assert caught.value.hint == "choose one with --method NAME"
    with pytest.raises(TableError, match="no method 'lp'"):
        read_truth(path, method="lp")


def test_only_the_wanted_scores_are_read_even_where_others_are_text(tmp_path: Path) -> None:
    path = written(tmp_path, "model,note,s,t\na,good,1,2\n")
    assert read_scores(path, only=["t"]).datasets == {"": {"t": {"a": 2.0}}}
    with pytest.raises(TableError, match=r"line 2: column 'note' holds 'good', not a number"):
        read_scores(path)
    with pytest.raises(TableError, match="no score 'u'"):
        read_scores(path, only=["s", "u"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no rows"),
        ("model,s\n", "holds no rows"),
        ("name,s\na,1\n", "no column 'model': it has name, s"),
        ("model,s,s\na,1,2\n", "two columns 's'"),
        ("model,,s\na,1,2\n", "column 2 has no name"),
        ("model,s\na,1,2\n", r"line 2: 3 cells under 2 columns"),
        ("model,s\na,1\na,2\n", r"line 3: model 'a' appears twice"),
        ("model,s\n,1\n", r"line 2: column 'model' is empty"),
        ("model,params\na,1\n", "no score columns"),
        ("model,s\na,1,5\n", "3 cells"),
        ("model,s\nb,2\na,inf\n", r"table.csv, line 3: column 's' holds inf"),
        ("model,s\nb,2\na,-1e308\n", r"table.csv, line 3: column 's' holds -1e\+308, beyond ±1e\+100"),
        ("model,s\na,1_000\n", r"line 2: column 's' holds '1_000', not a number"),
        ("model,s\na,١\n", r"line 2: column 's' holds '١', not a number"),
        ("model,s,s_sd\na,1,-0.1\n", r"line 2: column 's_sd' holds -0.1"),
        ("model,s,params\na,1,-7\n", r"line 2: column 'params' holds -7.0"),
        ("model,s,status\na,1,scored\nb,2,ok\n", r"line 3: column 'status' holds 'ok'"),
        ('model,s\n"a,1\n', "not a CSV file"),
    ],
)
def test_a_broken_score_table_is_named_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(TableError, match=message) as caught:
        read_scores(path)
    assert str(path) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model,accuracy\na,1\n", "no column 'ground_truth'"),
        ("model,ground_truth\na,inf\n", "holds inf"),
        ("model,ground_truth\na,1\nb,1e308\n", r"line 3: column 'ground_truth' holds 1e\+308, beyond ±1e\+100"),
        ("model,ground_truth,ground_truth_se\na,1,-1\n", "column 'ground_truth_se' holds -1.0"),
        ("model,ground_truth,seed\na,1,1\na,2,1\n", "seed '1' twice"),
        ("model,ground_truth\na,high\n", "holds 'high', not a number"),
        ("model,ground_truth\na,1\nb,2\na,1\n", r"line 4: column 'model': the row is that of line 2"),
        ("dataset,model,method,ground_truth\nx,a,m,1\nx,a,m,1\n", r"line 3: column 'model': the row is that of line 2"),
        (
            "model,metric,ground_truth\na,auc,850\n",
            r"line 2: column 'ground_truth' holds 850, and auc lies from 0 to 1",
        ),
        ("model,metric,ground_truth\na,dice,-0.1\n", r"line 2: column 'ground_truth' holds -0.1"),
        (
            "dataset,model,protocol,ground_truth\nd,a,p1,1\nd,b,p2,1\n",
            r"line 3: column 'protocol': 'd' was finetuned otherwise than in line 2",
        ),
        (
            "dataset,model,target,ground_truth\nd,a,f1 f2,1\nd,b,f2,1\nd,b,f3,2\n",
            r"line 4: column 'target': 'd' has other images than in line 2",
        ),
        (
            'model,ground_truth,note\na,1,"x\nb,2,y"\nc,3,z\n',
            "line 2 runs on to line 3, which looks like a row",
        ),
        ('model,ground_truth,note\na,1,"x\nb,2,y\n', "a quote in line 2 is never closed"),
        ('model,ground_truth\n"a\nb",1\n', r"line 3: column 'model' holds a line break"),
        ("model,metric,ground_truth\na,auc,1\nb,dice,1\n", r"line 3: column 'metric' holds 'dice', line 2 has 'auc'"),
    ],
)
def test_a_broken_truth_table_is_named_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TableError, match=message):
        read_truth(written(tmp_path, text))


def test_a_note_of_several_lines_is_read(tmp_path: Path) -> None:
    truth = read_truth(written(tmp_path, 'model,ground_truth,note\na,1,"slow,\n\nand ""big"""\nb,2,\n'))
    assert list(truth.datasets[""]) == ["a", "b"]


def test_each_measure_of_finetuning_has_its_range_and_percent_are_taken(tmp_path: Path) -> None:
    assert set(RANGES) == {name for names in METRICS.values() for name in names}
    for name, (low, high) in RANGES.items():
        for values in ((low, high), (100 * low, 100 * high)):
            lines = "".join(f"{i},{name},{x}\n" for i, x in enumerate((*values, *values)))
            assert len(read_truth(written(tmp_path, f"model,metric,ground_truth\n{lines}")).datasets[""]) == 4


def test_measures_may_differ_between_datasets_and_methods(tmp_path: Path) -> None:
    rows = "x,a,m,auc,0.5\ny,a,m,dice,0.5\nx,a,n,kappa,-0.5\n"
    path = written(tmp_path, f"dataset,model,method,metric,ground_truth\n{rows}")
    assert list(read_truth(path, method="m").datasets) == ["x", "y"]


def test_values_of_a_record_that_have_no_square_are_named(tmp_path: Path) -> None:
    row = Row("a", "scored", scores={"s": Value(1e308)}, reference={"top1": 1.0})
    for changed, what in ((row, "s of 'a' is"), (replace(row, scores={}, reference={"top1": -1e200}), "'top1' of 'a'")):
        Ranking.of([changed], rank_by="s", higher_is_better={"s": True}).save(tmp_path / "run.json")
        with pytest.raises(TableError, match=what):
            read_scores(tmp_path / "run.json")


def test_a_missing_file_and_other_encodings_are_expected_errors(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="cannot read"):
        read_scores(tmp_path / "none.csv")
    with pytest.raises(TableError, match=r"truth\.json is no table"):
        read_truth(written(tmp_path, "{}", name="truth.json"))
    (tmp_path / "latin.csv").write_bytes("model,s\né,1\n".encode("latin-1"))
    with pytest.raises(TableError, match="is not UTF-8"):
        read_scores(tmp_path / "latin.csv")


def test_a_byte_order_mark_and_blank_lines_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "excel.csv"
    path.write_text("model,s\r\n\r\na,1\r\n,\r\n", encoding="utf-8-sig", newline="")
    assert read_scores(path).datasets == {"": {"s": {"a": 1.0}}}


def test_a_score_may_not_change_between_the_seeds_of_a_model(tmp_path: Path) -> None:
    same = written(tmp_path, "model,ground_truth,seed,s\na,0.1,1,5\na,0.2,2,5\n")
    assert read_scores(same).datasets == {"": {"s": {"a": 5.0}}}
    with pytest.raises(TableError, match="column 's' has two values for model 'a'"):
        read_scores(written(tmp_path, "model,ground_truth,seed,s\na,0.1,1,5\na,0.2,2,6\n"))


@pytest.mark.parametrize("separator", [";", "\t"])
def test_tables_of_a_spreadsheet_with_decimal_commas_read_as_their_twins(tmp_path: Path, separator: str) -> None:
    plain = "model,ground_truth,ground_truth_se,s\na,0.5,1e-2,-1.25\nb,3,,7\n"
    other = plain.replace(",", separator).replace(".", ",").replace(f"3{separator}", f'"3"{separator}')
    table = written(tmp_path, other, name="other.csv")
    twin = written(tmp_path, plain)
    assert read_truth(table).datasets == read_truth(twin).datasets
    assert read_scores(table, only=["s"]).datasets == {"": {"s": {"a": -1.25, "b": 7.0}}}
    with pytest.raises(TableError, match=r"line 2: column 'ground_truth' holds '1,2,3', not a number"):
        read_truth(written(tmp_path, f"model{separator}ground_truth\na{separator}1,2,3\n", name="three.csv"))
    with pytest.raises(TableError, match=r"line 2: column 'ground_truth' holds '1,5', not a number"):
        read_truth(written(tmp_path, 'model,ground_truth\na,"1,5"\n', name="comma.csv"))
