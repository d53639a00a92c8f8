"""`acrank score` from the outside: what it prints where, what it writes, and how it ends."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers.workbench import Outcome, entry, network, write_zoo

import acrank as package
from acrank.observation.observing import load_for_draws, observe_candidate
from acrank.records import Ranking
from acrank.scores import SCORES
from acrank.settings import Settings
from acrank.targets import open_target
from acrank.targets.draws import make_draws
from acrank.zoo import load_zoo

Command = Callable[..., Outcome]
CANDIDATES = 3  # of the fixture `folder`


def words(*more: object) -> list[object]:
    return ["score", "--zoo", "zoo/zoo.yaml", "--data", "target", "--allow-code", "--samples", 18, *more]


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_prints_the_table_and_writes_csv_and_record(acrank: Command, folder: Path) -> None:
    done = acrank(*words())
    assert done.code == 0, done.err
    assert done.out.splitlines()[2].split()[:5] == ["rank", "band", "model", "%", "of"]
    assert "finetunability_sd" not in done.out.splitlines()[2]  # each candidate had one draw
    several = acrank(*words("--repeats", 2, "--no-race"))
    assert "finetunability_sd" in several.out.splitlines()[2]
    done = acrank(*words())
    assert "target: by finetunability (higher is better)" in done.out
    assert done.err.splitlines()[-1] == "written: scores.csv, run.json"
    rows = rows_of((folder / "scores.csv").read_text())
    assert list(rows[0])[:6] == ["rank", "band", "model", "status", "finetunability", "finetunability_sd"]
    assert list(rows[0])[-3:] == ["params", "seconds", "reason"]
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    values = [float(row["finetunability"]) for row in rows]
    assert values == sorted(values, reverse=True)
    record = Ranking.load(folder / "run.json")
    assert {row.model for row in record.rows} == {"net0", "net1", "net2"}
    assert record.settings["step_size"] == 0.1
    assert record.higher_is_better["ac_corr"] is False
    first = record.rows[0]
    assert first.scores["finetunability"].no_drift == 0
    assert first.scores["channel_alignment"].no_drift == pytest.approx(1)
    assert first.scores["channel_alignment"].shuffled is None
    assert first.scores["probe_accuracy"].shuffled is not None
    assert first.details.draws == 1  # three candidates are too few to race
    assert len(first.weights["sha256"]) == 64
    assert [layer["channels"] for layer in first.layers] == [8, 16]
    assert first.reference == {"accuracy": 50.0 + int(first.model[3:])}


def test_controls_take_a_step_on_shuffled_labels(acrank: Command, folder: Path) -> None:
    assert acrank(*words("--controls")).code == 0
    for row in Ranking.load(folder / "run.json").rows:
        for name in ("channel_alignment", "affine_drift", "gradient_norm"):
            value = row.scores[name]
            assert value.shuffled is not None
            assert value.shuffled != value.value


def test_off_a_terminal_every_candidate_has_its_line(acrank: Command, folder: Path) -> None:
    done = acrank(*words("--no-race", "--repeats", 1))
    lines = [line for line in done.err.splitlines() if "/3 net" in line]
    assert [line.split()[0] for line in lines] == ["1/3", "2/3", "3/3"]
    values = {row.model: row.value("finetunability") for row in Ranking.load(folder / "run.json").rows}
    for line in lines:
        model = line.split()[1].rstrip(":")
        assert f"finetunability {values[model]:.4g} (" in line


def test_memory_is_a_size(acrank: Command, folder: Path) -> None:
    done = acrank(*words("--memory", "much"))
    assert done.code == 2
    assert "'much' is not a size" in done.err
    assert acrank(*words("--memory", "8GB")).code == 0
    assert Ranking.load(folder / "run.json").settings["memory"] == "8GB"


def test_output_replaces_the_default_files(acrank: Command, folder: Path) -> None:
    done = acrank(*words("-o", "mine.json", "-o", "mine.md", "-f", "csv"))
    assert done.code == 0
    assert not (folder / "scores.csv").exists()
    assert "written" not in done.err
    assert (folder / "mine.md").read_text().startswith("### target")
    assert {row["model"] for row in rows_of(done.out)} == {"net0", "net1", "net2"}


def test_json_on_stdout_is_the_record(acrank: Command, folder: Path) -> None:
    done = acrank(*words("-f", "json"))
    assert json.loads(done.out) == json.loads((folder / "run.json").read_text())


def test_a_second_run_gives_the_same_values(acrank: Command, folder: Path) -> None:
    first, second = (rows_of(acrank(*words("-f", "csv")).out) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert {**one, "seconds": ""} == {**other, "seconds": ""}


def test_the_seed_and_the_options_matter(acrank: Command, folder: Path) -> None:
    base = rows_of(acrank(*words("-f", "csv")).out)
    both = ["--repeats", 2, "--no-race"]
    for more in (["--seed", 1], ["--step-size", 1], ["--head", "random"], ["--layers", "last"], both):
        other = rows_of(acrank(*words("-f", "csv", *more)).out)
        assert [row["ac_corr"] for row in other] != [row["ac_corr"] for row in base], more


def test_raw_ac_corr_is_not_divided_by_the_width(acrank: Command, folder: Path) -> None:
    raw = rows_of(acrank(*words("-f", "csv", "--raw", "--layers", "last")).out)
    per_channel = rows_of(acrank(*words("-f", "csv", "--layers", "last")).out)
    assert float(raw[0]["ac_corr"]) == pytest.approx(16 * float(per_channel[0]["ac_corr"]))


def test_rank_by_orders_in_the_direction_of_the_score(acrank: Command, folder: Path) -> None:
    done = acrank(*words("-f", "csv", "--rank-by", "ac_corr"))
    values = [float(row["ac_corr"]) for row in rows_of(done.out)]
    assert values == sorted(values)


def test_official_protocol(acrank: Command, folder: Path) -> None:
    done = acrank("score", "--zoo", "zoo/zoo.yaml", "--data", "target", "--allow-code", "--protocol", "official")
    assert done.code == 0, done.err
    record = Ranking.load(folder / "run.json")
    assert record.rank_by == "ac_corr"
    assert record.rows[0].scores["ac_corr"].value > 1  # type: ignore[operator]
    assert [layer["name"] for layer in record.rows[0].layers] == ["4"]
    assert "gradient_norm" not in record.rows[0].scores


def test_a_pipe_gets_the_whole_table_and_no_bar(folder: Path) -> None:
    torch.save(network(9).state_dict(), folder / "zoo" / "w.pth")
    name = "ckpt[final].pth " + "x" * 150
    write_zoo(folder / "zoo", entry(name, weights="w.pth"))
    command = [sys.executable, "-m", "acrank", *map(str, words())]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert name in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("data: ")]
    line, written = lines
    assert line.startswith(f"1/1 {name}: finetunability ")
    assert written == "written: scores.csv, run.json"


def test_a_terminal_gets_a_bar_on_stderr(folder: Path) -> None:
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "acrank", *map(str, words())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=terminal, env={**os.environ, "TERM": "xterm"}) as run:
        os.close(terminal)
        seen = b""
        while True:
            try:
                part = os.read(controller, 4096)
            except OSError:
                break
            if not part:
                break
            seen += part
        out = run.stdout.read() if run.stdout else b""
    os.close(controller)
    assert b"/3" in seen
    assert b"/3" not in out
    assert b"\x1b" not in out


def test_a_reader_that_leaves_is_no_error(folder: Path) -> None:
    words_ = " ".join(map(str, words("-f", "json")))
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m acrank {words_} | head -c 1"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


def test_skipped_rows_have_reasons_and_the_run_goes_on(acrank: Command, folder: Path) -> None:
    torch.save(network(0).state_dict(), folder / "zoo" / "ok.pth")
    write_zoo(
        folder / "zoo",
        entry("ok"),
        entry("greedy", "greedy", weights="ok.pth"),
        entry("broken", "broken", weights="ok.pth"),
        entry("missing"),
        entry("plain", "without_norm", weights="ok.pth", min_match=0.01),
    )
    done = acrank(*words("-f", "csv"))
    assert done.code == 0
    rows = {row["model"]: row for row in rows_of(done.out)}
    assert rows["ok"]["status"] == "scored"
    assert {name for name, row in rows.items() if row["status"] == "skipped"} == {
        "greedy",
        "broken",
        "missing",
        "plain",
    }
    assert rows["greedy"]["reason"].startswith("out of memory")
    assert rows["broken"]["reason"].startswith("ZeroDivisionError")
    assert "missing.pth" in rows["missing"]["reason"]
    assert "warning: 4 skipped: " in done.err


def test_nothing_ranked_is_exit_3_and_keeps_the_reasons(acrank: Command, folder: Path) -> None:
    write_zoo(folder / "zoo", entry("missing"))
    done = acrank(*words())
    assert done.code == 3
    assert done.out.startswith("target: by finetunability (higher is better)\n\nskipped missing: ")
    assert "missing.pth" in done.out
    assert "error: none of 1 candidates could be scored; missing: " in done.err
    assert "missing.pth" in rows_of((folder / "scores.csv").read_text())[0]["reason"]


def test_factory_without_allow_code_is_skipped(acrank: Command, folder: Path) -> None:
    done = acrank(*[word for word in words() if word != "--allow-code"])
    assert done.code == 3
    assert "--allow-code" in done.err


def test_interrupted_is_130_and_keeps_what_was_done(acrank: Command, folder: Path) -> None:
    torch.save(network(0).state_dict(), folder / "zoo" / "net0.pth")
    write_zoo(folder / "zoo", entry("net0"), entry("stop", "interrupted", weights="net0.pth"))
    done = acrank(*words())
    assert done.code == 130
    assert "interrupted" in done.err
    assert [row.model for row in Ranking.load(folder / "run.json").rows] == ["net0"]


def test_resume_keeps_scored_rows_and_does_the_rest(acrank: Command, folder: Path) -> None:
    assert acrank(*words("--model", "net[01]")).code == 0
    before = {row.model: row for row in Ranking.load(folder / "run.json").rows}
    (folder / "zoo" / "net0.pth").unlink()  # proof that it is not read again
    done = acrank(*words("--resume"))
    assert done.code == 0, done.err
    after = {row.model: row for row in Ranking.load(folder / "run.json").rows}
    assert set(after) == {"net0", "net1", "net2"}
    assert after["net0"].seconds == before["net0"].seconds
    assert after["net0"].scores == before["net0"].scores


def test_resume_scores_a_changed_entry_again(acrank: Command, folder: Path) -> None:
    assert acrank(*words()).code == 0
    entries = [
        entry("net0"),
        entry("net1"),
        {**entry("net2"), "input": {"size": 20, "mean": [0.5] * 3, "std": [0.5] * 3}},
    ]
    write_zoo(folder / "zoo", *(dict(one, reference={"accuracy": 50.0 + i}) for i, one in enumerate(entries)))

    def means() -> dict[str, dict[str, tuple[float | None, float | None]]]:
        """Means and deviations; intervals depend on how many draws the others had."""
        rows = Ranking.load(folder / "run.json").rows
        return {row.model: {name: (one.value, one.sd) for name, one in row.scores.items()} for row in rows}

    before = means()
    assert acrank(*words("--resume")).code == 0
    after = means()
    assert after["net0"] == before["net0"]
    assert after["net2"] != before["net2"]


def test_resume_refuses_other_settings_or_another_target(acrank: Command, folder: Path) -> None:
    assert acrank(*words()).code == 0
    for option, value in (("--seed", 5), ("--samples", 10)):
        done = acrank(*words("--resume", option, value))
        assert done.code == 2
        assert f"cannot resume: settings differ from the earlier run in {option[2:]}\n" in done.err
    (folder / "target" / "class0" / "000.png").unlink()
    done = acrank(*words("--resume"))
    assert done.code == 2
    assert "cannot resume: target differ" in done.err


def test_resume_refuses_a_record_that_ranks_the_other_way(acrank: Command, folder: Path) -> None:
    assert acrank(*words()).code == 0
    record = json.loads((folder / "run.json").read_text())
    record["higher_is_better"]["ac_corr"] = True  # as earlier versions had it under some protocols
    (folder / "run.json").write_text(json.dumps(record))
    done = acrank(*words("--resume"))
    assert done.code == 2
    assert "cannot resume: directions differ from the earlier run in ac_corr" in done.err
    merged = acrank("merge", "run.json", "-o", "all.json")
    assert merged.code == 2
    assert "run.json takes the other direction of ac_corr as better" in merged.err


def test_the_default_score_alone_is_what_it_is_beside_others(acrank: Command, folder: Path) -> None:
    assert acrank(*words()).code == 0
    whole = {row.model: row for row in Ranking.load(folder / "run.json").rows}
    done = acrank(*words("--scores", "finetunability"))
    assert done.code == 0, done.err
    for row in Ranking.load(folder / "run.json").rows:
        assert list(row.scores) == ["finetunability"]
        for part in ("value", "sd", "no_drift", "shuffled"):
            known = getattr(whole[row.model].scores["finetunability"], part)
            found = getattr(row.scores["finetunability"], part)
            assert (found is None) == (known is None)
            assert known is None or found == pytest.approx(known, rel=1e-6)
        assert [layer["channels"] for layer in row.layers] == [one["channels"] for one in whole[row.model].layers]


@pytest.mark.parametrize("name", ["kernel_target_alignment", "kernel_ridge_accuracy"])
def test_kernel_scores_alone_have_a_value_and_its_control(acrank: Command, folder: Path, name: str) -> None:
    done = acrank(*words("--scores", name, "--repeats", 1, "--no-cache"))
    assert done.code == 0, done.err
    settings = Settings(scores=[name], samples=18, repeats=1, allow_code=True).for_task("classification")
    draws = make_draws(open_target(folder / "target"), samples=18, repeats=1, seed=0)
    truth = draws[0].labels
    for row in Ranking.load(folder / "run.json").rows:
        (candidate,) = load_zoo(folder / "zoo" / "zoo.yaml").select([row.model]).candidates
        (seen,) = observe_candidate(load_for_draws(candidate, draws, settings), settings).draws
        halves = (draws[0].half,) if name == "kernel_ridge_accuracy" else ()
        value = row.scores[name]
        for found, labels in ((value.value, truth), (value.shuffled, truth[draws[0].permutation])):
            assert found == pytest.approx(SCORES[name].function(seen.later_gram, labels, *halves), abs=1e-6)


def test_resume_without_a_record_starts_anew(acrank: Command, folder: Path) -> None:
    done = acrank(*words("--resume"))
    assert done.code == 0
    assert "nothing to resume" in done.err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--protocol", "two-step"], "unknown --protocol 'two-step'"),
        (["--head", "svm"], "unknown --head 'svm'"),
        (["--step-size", "0"], "--step-size must be positive"),
        (["--step-size", "nan"], "--step-size must be positive"),
        (["--samples", "3"], "--samples is 3"),
        (["--repeats", "0"], "--repeats is 0"),
        (["--rank-by", "beauty"], "unknown score 'beauty'"),
        (["--device", "abacus"], "not a device"),
        (["--device", "cuda:99"], "not available|not there"),
        (["--protocol", "official", "--head", "ridge"], "trains its own head"),
        (["-f", "xml"], "xml"),
        (["-o", "out.xyz"], "no output format"),
        (["-o", "nowhere/out.csv"], "cannot write nowhere/out.csv"),
        (["-o", "target"], "no output format|it is a folder"),
        (["--model", "nobody"], "nobody"),
        (["--tag", "none-such"], "none-such"),
        (["--zoo", "absent.yaml"], "absent.yaml"),
        (["--no-such-option"], "no-such-option"),
    ],
)
def test_usage_errors_are_exit_2_with_a_hint_before_any_work(
    acrank: Command, folder: Path, more: list[str], message: str
) -> None:
    import re

    done = acrank(*words(*more))
    assert done.code == 2, done.err
    lines = done.err.splitlines()
    assert lines[0].startswith("error: ")
    assert re.search(message, lines[0]), lines[0]
    assert lines[1].startswith("hint: ")
    assert done.out == ""
    assert not (folder / "run.json").exists()


@pytest.mark.parametrize("data", ["absent", "zoo"])
def test_an_unusable_target_is_exit_3(acrank: Command, folder: Path, data: str) -> None:
    done = acrank("score", "--zoo", "zoo/zoo.yaml", "--data", data)
    assert done.code == 3
    assert done.err.startswith("error: ")
    assert "hint: " in done.err


def test_an_internal_error_is_exit_4_and_vv_shows_the_traceback(
    acrank: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object, **__: object) -> None:
        raise ArithmeticError("a bug")

    monkeypatch.setattr(Settings, "__post_init__", explode)
    done = acrank(*words())
    assert done.code == 4
    assert "error: internal: ArithmeticError: a bug" in done.err
    assert "Traceback" not in done.err
    assert "Traceback" in acrank(*words("-vv")).err


def test_environment_variables_give_way_to_flags(
    acrank: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACRANK_SAMPLES", "12")
    monkeypatch.setenv("ACRANK_FORMAT", "csv")
    base = ["score", "--zoo", "zoo/zoo.yaml", "--data", "target", "--allow-code"]
    assert acrank(*base).out.startswith("rank,band")
    assert Ranking.load(folder / "run.json").settings["samples"] == 12
    acrank(*base, "--samples", 15)
    assert Ranking.load(folder / "run.json").settings["samples"] == 15
    assert "ACRANK_SAMPLES" in acrank("score", "--help").out


def test_labels_that_say_nothing_are_reported(acrank: Command, folder: Path) -> None:
    """The affine drift of these nets does not know the classes: the same order under shuffled labels."""
    acrank(*words("--rank-by", "affine_drift"))
    record = Ranking.load(folder / "run.json")
    blind = record.controls["tau_shuffled"]
    assert (blind is not None and blind > 0.7) == any("shuffled labels" in text for text in record.warnings)


def test_library_and_command_agree(acrank: Command, folder: Path) -> None:
    acrank(*words())
    ranking = package.score("zoo/zoo.yaml", "target", Settings(samples=18, allow_code=True))
    frame = ranking.to_frame()
    saved = Ranking.load(folder / "run.json").to_frame()
    assert list(frame["model"]) == list(saved["model"])
    assert list(frame["finetunability"]) == list(saved["finetunability"])


def table(folder: Path, columns: str, *values: Callable[[int, int], object]) -> None:
    """target.csv over the images of the class folders, with columns made from class and number of an image."""
    lines = [f"path,{columns}"]
    for path in sorted((folder / "target").rglob("*.png")):
        label, number = int(path.parent.name[-1]), int(path.stem)
        lines.append(
            ",".join([f"target/{path.parent.name}/{path.name}", *(str(value(label, number)) for value in values)])
        )
    (folder / "target.csv").write_text("\n".join(lines) + "\n")


def on_table(*more: object) -> list[object]:
    return ["score", "--zoo", "zoo/zoo.yaml", "--data", "target.csv", "--allow-code", "-f", "csv", *more]


def test_findings_are_scored_by_what_takes_findings(acrank: Command, folder: Path) -> None:
    table(folder, "sick,severe", lambda label, _: int(label > 0), lambda label, _: int(label > 1))
    done = acrank(*on_table("--label-column", "sick,severe", "--scores", "logme,linear_probe,probe_accuracy"))
    assert done.code == 0, done.err
    rows = rows_of(done.out)
    assert [row["status"] for row in rows] == ["scored"] * 3
    assert all(0.5 < float(row["probe_accuracy"]) <= 1 for row in rows)  # the mean brightness tells the findings
    refused = acrank(*on_table("--label-column", "sick,severe", "--scores", "leep"))
    assert refused.code == 2
    assert "score 'leep' does not support multilabel targets" in refused.err


def test_quantities_are_scored_by_what_takes_quantities(acrank: Command, folder: Path) -> None:
    table(folder, "label", lambda label, number: label + number / 100 + 0.001)
    done = acrank(*on_table())
    assert done.code == 0, done.err
    assert list(rows_of(done.out)[0])[4] == "logme"
    assert all(row["status"] == "scored" for row in rows_of(done.out))
    refused = acrank(*on_table("--rank-by", "ac_corr"))
    assert refused.code == 2
    assert "score 'ac_corr' does not support regression targets" in refused.err
