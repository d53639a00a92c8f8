"""Transferability scores: one pure function a file, and the SCORES table that says what each needs and promises.

Importing this package loads none of the functions, nor NumPy; `SCORES["logme"].function` loads one.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from acrank.scores.undefined import UndefinedScoreError

__all__ = ["KEYWORDS", "SCORES", "Score", "UndefinedScoreError"]

ORDER = "order"
NAMES = "class names"
ROTATION = "rotation"
TRANSLATION = "translation"
SCALE = "scale"
DUPLICATION = "duplication"

#: What a score may need besides arrays, given by name.
KEYWORDS = ("seed", "per_channel", "step_size")

GEOMETRY = frozenset({ORDER, NAMES, ROTATION, TRANSLATION})


@dataclass(frozen=True)
class Score:
    """What there is to know about a score before running it.

    Attributes:
        name: key in SCORES, column in tables.
        path: where the function lives, `module:function`.
        needs: its array arguments in order: "features" [n, d], "labels" ([n] classes, [n] real values or [n, t]),
            "logits" [n, z] of the source head, "fold" [n] halves, "groups" [n] (the image of a row), "layers" (shifts
            of the affines); then the keywords among `KEYWORDS`.
        higher_is_better: the direction that the paper gives.
        range: lowest and highest value possible, None where unbounded.
        tasks: what the labels may be: "classification", "multilabel", "regression", "segmentation" (a row is then a
            labelled position of an image).
        paper: authors, title, year, where to find it.
        pool_relative: whether the value depends on the other candidates; then `function` returns a candidate's part
            and `pool_function` turns the parts of all candidates into values.
        pool_path: where `pool_function` lives.
        cost: what a run pays for it; "cheap" is up to 0.2 s for n = 256, d = 2048 on one core.
        invariances: what may change without changing the value: sample order, class names, rotation, translation
            and scale of the features, duplication of the whole sample.
    """

    name: str
    path: str
    needs: tuple[str, ...]
    higher_is_better: bool
    range: tuple[float | None, float | None]
    tasks: tuple[str, ...]
    paper: str
    pool_relative: bool = False
    pool_path: str = ""
    cost: str = "cheap"
    invariances: frozenset[str] = frozenset({ORDER, NAMES})

    @property
    def function(self) -> Callable[..., Any]:
        """The score itself, loaded on first use."""
        return _load(self.path)

    @property
    def pool_function(self) -> Callable[[list[Any]], list[float]]:
        """From the parts of all candidates to their values; only for pool-relative scores."""
        return _load(self.pool_path)


def _load(path: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


_CLASSES = ("classification", "segmentation")
_FINDINGS = ("classification", "multilabel", "segmentation")
_ALL = ("classification", "multilabel", "regression", "segmentation")

_AC_NORM = "Zhang et al., AC-Norm: Effective Tuning for Medical Image Analysis via Affine Collaborative Normalization, "
_STEP = f"{_AC_NORM}Pattern Recognition 2024, arXiv 2307.15282"

_ROWS = (
    Score(
        "channel_alignment",
        "acrank.scores.affine:channel_alignment",
        ("layers",),
        True,
        (0.0, 1.0),
        _CLASSES,
        f"own, from the affine correlation of {_STEP}",
        cost="a backward pass",
    ),
    Score(
        "ac_corr",
        "acrank.scores.affine:ac_corr",
        ("layers", "per_channel"),
        False,
        (0.0, None),
        _CLASSES,
        _STEP,
        cost="a backward pass",
    ),
    Score(
        "affine_drift",
        "acrank.scores.affine:affine_drift",
        ("layers",),
        True,
        (0.0, None),
        _CLASSES,
        f"own, from the affines of {_STEP}",
        cost="a backward pass",
    ),
    Score(
        "gradient_norm",
        "acrank.scores.affine:gradient_norm",
        ("layers", "step_size"),
        True,
        (0.0, None),
        _CLASSES,
        f"own, from the affines of {_STEP}",
        cost="a backward pass",
    ),
    Score(
        "probe_accuracy",
        "acrank.scores.linear_probe:probe_accuracy",
        ("features", "labels", "fold"),
        True,
        (0.0, 1.0),
        _FINDINGS,
        "Stone, Cross-validatory choice and assessment of statistical predictions, J. Royal Statistical Society B, "
        "1974, with ridge regression",
        invariances=frozenset({TRANSLATION, SCALE}),
    ),
    Score(
        "logme",
        "acrank.scores.logme:logme",
        ("features", "labels"),
        True,
        (None, None),
        _ALL,
        "You et al., LogME: Practical Assessment of Pre-trained Models for Transfer Learning, ICML 2021, "
        "arXiv 2102.11005, eq. 2",
        invariances=frozenset({ORDER, NAMES, ROTATION, SCALE}),
    ),
    Score(
        "leep",
        "acrank.scores.leep:leep",
        ("logits", "labels"),
        True,
        (None, 0.0),
        _CLASSES,
        "Nguyen et al., LEEP: A New Measure to Evaluate Transferability of Learned Representations, ICML 2020, "
        "arXiv 2002.12462, eq. 2",
        invariances=frozenset({ORDER, NAMES, DUPLICATION}),
    ),
    Score(
        "nce",
        "acrank.scores.nce:nce",
        ("logits", "labels"),
        True,
        (None, 0.0),
        _CLASSES,
        "Tran et al., Transferability and Hardness of Supervised Classification Tasks, ICCV 2019, arXiv 1908.08142, "
        "eq. 4",
        invariances=frozenset({ORDER, NAMES, SCALE, DUPLICATION}),
    ),
    Score(
        "h_score",
        "acrank.scores.h_score:h_score",
        ("features", "labels"),
        True,
        (0.0, None),
        _CLASSES,
        "Ibrahim et al., Newer is not always better: Rethinking transferability metrics, ECML-PKDD 2022, "
        "arXiv 2110.06893, eq. 8; after Bao et al., ICIP 2019",
        invariances=GEOMETRY | {SCALE},
    ),
    Score(
        "nleep",
        "acrank.scores.nleep:nleep",
        ("features", "labels", "seed"),
        True,
        (None, 0.0),
        _CLASSES,
        "Li et al., Ranking Neural Checkpoints, CVPR 2021, arXiv 2011.11200, section 3.2",
        cost="fits a Gaussian mixture: 0.4 s at n = 256, d = 2048, 3 s at n = 500",
        invariances=frozenset({NAMES}),
    ),
    Score(
        "gbc",
        "acrank.scores.gbc:gbc",
        ("features", "labels"),
        True,
        (None, 0.0),
        _CLASSES,
        "Pándy et al., Transferability Estimation using Bhattacharyya Class Separability, CVPR 2022, arXiv 2111.12780, "
        "eq. 5-6",
        invariances=GEOMETRY | {SCALE, DUPLICATION},
    ),
    Score(
        "transrate",
        "acrank.scores.transrate:transrate",
        ("features", "labels"),
        True,
        (None, None),
        _CLASSES,
        "Huang et al., Frustratingly Easy Transferability Estimation, ICML 2022, arXiv 2106.09362, eq. 3-5",
        invariances=GEOMETRY | {SCALE},
    ),
    Score(
        "sfda",
        "acrank.scores.sfda:sfda",
        ("features", "labels"),
        True,
        (0.0, 1.0),
        _CLASSES,
        "Shao et al., Not All Models Are Equal: Predicting Model Transferability in a Self-challenging Fisher Space, "
        "ECCV 2022, arXiv 2207.03036, eq. 4-9",
        invariances=GEOMETRY | {DUPLICATION},
    ),
    Score(
        "ncti",
        "acrank.scores.ncti:ncti",
        ("features", "labels"),
        True,
        (-1.0, 2.0),
        _CLASSES,
        "Wang et al., How Far Pre-trained Models Are from Neural Collapse on the Target Dataset Informs their "
        "Transferability, ICCV 2023, eq. 4-9",
        pool_relative=True,
        pool_path="acrank.scores.ncti:ncti_pool",
        invariances=GEOMETRY,
    ),
    Score(
        "parc",
        "acrank.scores.parc:parc",
        ("features", "labels", "seed"),
        True,
        (-1.0, 1.0),
        _CLASSES,
        "Bolya et al., Scalable Diverse Model Selection for Accessible Transfer Learning, NeurIPS 2021, "
        "arXiv 2111.06977, section 4",
        cost="memory grows with the square of the images, up to 2000 of them",
        invariances=frozenset({ORDER, NAMES, TRANSLATION, SCALE}),
    ),
    Score(
        "lfc",
        "acrank.scores.lfc:lfc",
        ("features", "labels"),
        True,
        (-1.0, 1.0),
        _CLASSES,
        "Deshpande et al., A linearized framework and a new benchmark for model selection for fine-tuning, 2021, "
        "arXiv 2102.00084, section 4",
        invariances=frozenset({ORDER, NAMES, ROTATION, SCALE, DUPLICATION}),
    ),
    Score(
        "etran",
        "acrank.scores.etran:etran",
        ("features", "labels"),
        True,
        (0.0, 2.0),
        _CLASSES,
        "Gholami et al., ETran: Energy-Based Transferability Estimation, ICCV 2023, arXiv 2308.02027, eq. 4-10",
        pool_relative=True,
        pool_path="acrank.scores.etran:etran_pool",
        invariances=frozenset({ORDER, NAMES}),
    ),
    Score(
        "pactran",
        "acrank.scores.pactran:pactran",
        ("features", "labels"),
        True,
        (None, 0.0),
        _CLASSES,
        "Ding et al., PACTran: PAC-Bayesian Metrics for Estimating the Transferability of Pretrained Models to "
        "Classification Tasks, ECCV 2022, arXiv 2203.05126, PACTran-Gaussian",
        cost="fits a logistic regression",
        invariances=GEOMETRY,
    ),
    Score(
        "knn",
        "acrank.scores.knn:knn",
        ("features", "labels"),
        True,
        (0.0, 1.0),
        _CLASSES,
        "Cover and Hart, Nearest neighbor pattern classification, IEEE Trans. Information Theory 1967; as a score in "
        "Bolya et al., NeurIPS 2021, arXiv 2111.06977",
        invariances=GEOMETRY | {SCALE},
    ),
    Score(
        "linear_probe",
        "acrank.scores.linear_probe:linear_probe",
        ("features", "labels"),
        True,
        (0.0, 1.0),
        _FINDINGS,
        "Hoerl and Kennard, Ridge Regression, Technometrics 1970; leave-one-out by Allen, Technometrics 1974",
        invariances=frozenset({ORDER, NAMES, TRANSLATION, SCALE}),
    ),
    Score(
        "cc_fv",
        "acrank.scores.cc_fv:cc_fv",
        ("features", "labels", "groups"),
        True,
        (None, None),
        ("segmentation",),
        "Yang et al., Pick the Best Pre-trained Model: Towards Transferability Estimation for Medical Image "
        "Segmentation, MICCAI 2023, arXiv 2307.11958",
        invariances=frozenset({ORDER, ROTATION}),
    ),
    Score(
        "energy",
        "acrank.scores.energy:energy",
        ("logits",),
        True,
        (None, None),
        _ALL,
        "Gholami et al., ETran: Energy-Based Transferability Estimation, ICCV 2023, arXiv 2308.02027, eq. 4; after "
        "Liu et al., NeurIPS 2020, arXiv 2010.03759",
        invariances=frozenset({ORDER, NAMES, DUPLICATION}),
    ),
)

SCORES: dict[str, Score] = {row.name: row for row in _ROWS}
