"""One odd label among numbers is named; it does not change the task."""

from __future__ import annotations

import numpy as np
import pytest

from acrank.errors import TargetError
from acrank.targets.labels import encode_labels

DECIMALS = [f"{place}.25" for place in range(11)]
IDS = [f"row {place + 2} ({place}.png)" for place in range(12)]


@pytest.mark.parametrize("odd", ["7.5x", "inf", "-Infinity", "1e400", "unknown", "7,5"])
@pytest.mark.parametrize("numbers", [DECIMALS, [str(place % 3) for place in range(11)]])
def test_one_odd_cell_among_numbers_is_named(odd: str, numbers: list[str]) -> None:
    values = np.array([*numbers[:7], odd, *numbers[7:]])
    with pytest.raises(TargetError) as caught:
        encode_labels(values, ids=IDS, task=None, where="t.csv", names=["age"])
    assert f"t.csv: the label {odd!r} of row 9 (7.png) in column 'age' is not a number" in caught.value.message
    assert "classification" in str(caught.value.hint)


def test_the_user_may_say_that_texts_are_classes() -> None:
    values = np.array(["1", "2", "3x", "1", "2", "3x"])
    assert encode_labels(values, ids="abcdef", task="classification", where="t").classes == ("1", "2", "3x")


def test_a_number_among_words_is_a_class() -> None:
    values = np.array(["cat", "dog", "911", "cat", "dog"])
    assert encode_labels(values, ids="abcde", task=None, where="t").classes == ("911", "cat", "dog")


def test_regression_refuses_numbers_whose_squares_overflow() -> None:
    with pytest.raises(TargetError, match=r"the label '1e200' of b is beyond"):
        encode_labels(np.array(["1.5", "1e200", "2.5"]), ids="abc", task=None, where="t")


@pytest.mark.parametrize("dtype", ["c16", "M8[s]", "m8[s]", "V4", [("a", "i4")]])
def test_labels_of_odd_dtypes_are_refused(dtype: object) -> None:
    with pytest.raises(TargetError, match="labels of"):
        encode_labels(np.zeros(4, dtype), ids="abcd", task=None, where="t")  # type: ignore[call-overload]
