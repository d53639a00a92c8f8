"""What a run may be asked for, task by task."""

from __future__ import annotations

import dataclasses

import pytest

from acrank.errors import TableError, UsageError
from acrank.scores import SCORES
from acrank.settings import Settings

OWN = ("finetunability", "channel_alignment", "ac_corr", "affine_drift", "gradient_norm", "probe_accuracy")


def test_classification_defaults_to_the_affine_scores() -> None:
    settings = Settings().for_task("classification")
    assert settings.scores == OWN
    assert settings.rank_by == "finetunability"
    assert settings.plan().moves_affines


def test_all_means_every_score_of_the_task() -> None:
    settings = Settings(scores=["all"]).for_task("classification")
    assert set(settings.scores) == {name for name, row in SCORES.items() if "classification" in row.tasks}
    assert Settings(scores=["all"]).for_task("regression").scores == ("logme", "energy")


def test_feature_scores_alone_take_no_step() -> None:
    settings = Settings(scores=["knn", "logme"]).for_task("classification")
    assert settings.scores == ("knn", "logme")
    assert settings.rank_by == "knn"
    assert not settings.plan().moves_affines


def test_only_scores_of_a_step_on_labels_need_one() -> None:
    for names, expected in (
        (["finetunability"], False),
        (["knn"], False),
        (["finetunability", "ac_corr"], True),
        ([], True),
    ):
        assert (Settings(scores=names).for_task("classification").plan().head is not None) is expected
    assert Settings(scores=["kernel_ridge_accuracy"]).for_task("classification").plan().moves_affines


def test_the_ranking_score_gets_its_column() -> None:
    settings = Settings(scores=["knn"], rank_by="logme").for_task("classification")
    assert settings.scores == ("logme", "knn")


def test_a_target_of_quantities_gets_what_it_can() -> None:
    settings = Settings().for_task("regression")
    assert settings.rank_by == "logme"
    with pytest.raises(UsageError, match="score 'knn' does not support regression targets") as caught:
        Settings(scores=["knn"]).for_task("regression")
    assert "logme" in str(caught.value.hint)


def test_the_official_protocol_has_no_features_of_the_source() -> None:
    assert Settings(protocol="official").for_task("classification").scores == OWN[1:4]
    with pytest.raises(UsageError, match="score 'logme' does not support protocol official"):
        Settings(protocol="official", scores=["logme"]).for_task("classification")


def test_directions_are_the_same_under_every_protocol() -> None:
    one_step = Settings().for_task("classification").directions()
    assert one_step["ac_corr"] is False
    assert Settings(protocol="official").for_task("classification").directions()["ac_corr"] is False
    assert Settings(head="random").for_task("classification").directions()["ac_corr"] is False
    assert Settings(rank_by="consensus").for_task("classification").directions()["consensus"] is True


@pytest.mark.parametrize("given", [{"scores": ["beauty"]}, {"rank_by": "beauty"}, {"statistics": "mine"}])
def test_unknown_names_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"unknown (score|--statistics)"):
        Settings(**given)  # type: ignore[arg-type]


def test_only_controls_repeat_the_step_on_shuffled_labels() -> None:
    for controls, scores, expected in (
        (False, [], False),
        (True, [], True),
        (True, ["finetunability", "knn"], False),  # no step on labels, none on shuffled ones
    ):
        settings = Settings(controls=controls, scores=scores).for_task("classification")
        assert settings.plan().shuffled is expected


def test_only_scores_of_the_drift_need_bundled_images() -> None:
    for scores, expected in ((["finetunability"], True), (["ac_corr", "knn"], False), ([], True)):
        assert Settings(scores=scores).for_task("classification").plan().bundled_drift is expected
    assert not Settings(protocol="official").for_task("classification").plan().bundled_drift


def test_a_draw_has_as_many_images_as_the_protocol_says_or_the_user() -> None:
    assert Settings().for_task("classification").samples == 128
    assert Settings(samples=7).for_task("classification").samples == 7
    assert Settings().for_task("segmentation").samples == 16
    assert Settings(protocol="official").for_task("classification").samples is None


def test_a_cap_on_memory_is_a_size() -> None:
    assert Settings(memory="4GB").memory == "4GB"
    with pytest.raises(UsageError, match="'lots' is not a size"):
        Settings(memory="lots")


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Settings)])
@pytest.mark.parametrize("value", [[0] * 3, {"a": 1}, "lots", -1.5, True, [[1]]])
def test_every_setting_of_a_record_is_of_its_type_or_refused(name: str, value: object) -> None:
    record = {**Settings(seed=3).record(), name: value}
    try:
        found = Settings.from_record(record)
    except TableError as error:
        found = None
        if not str(error).startswith("its settings cannot be read: "):
            raise
    if found is not None:
        assert getattr(found, name) == value
        assert type(getattr(found, name)) is type(value)


def test_records_of_earlier_versions_had_controls_and_no_race() -> None:
    record = Settings(seed=3).record()
    for name in ("race", "controls", "memory"):
        del record[name]
    assert Settings.from_record(record) == Settings(seed=3, race=False, controls=True)
    chosen = Settings(race=False, controls=True, memory="2GB")
    assert Settings.from_record(chosen.record()) == chosen
