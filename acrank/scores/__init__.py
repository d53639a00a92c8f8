"""Transferability scores: one pure function each, and SCORES, the table of their inputs, directions and ranges.

Importing this package loads none of the functions, nor NumPy; `SCORES["logme"].function` loads one.
"""

from __future__ import annotations

from acrank.errors import UndefinedScoreError
from acrank.scores.score import (
    DUPLICATION,
    GEOMETRY,
    NAMES,
    ORDER,
    ROTATION,
    SCALE,
    TRANSLATION,
    Score,
)

__all__ = [
    "DUPLICATION",
    "GEOMETRY",
    "NAMES",
    "ORDER",
    "ROTATION",
    "SCALE",
    "SCORES",
    "TRANSLATION",
    "Score",
    "UndefinedScoreError",
]

_FINDINGS = ("classification", "multilabel", "segmentation")
_ALL = ("classification", "multilabel", "regression", "segmentation")

_AC_NORM = (
    "Zhang et al., AC-Norm: Effective Tuning for Medical Image Analysis via Affine Collaborative Normalization, "
    "Pattern Recognition 2024, arXiv 2307.15282"
)
_BACKWARD = "a backward pass"

_ROWS = (
    Score(
        name="finetunability",
        needs=(
            "later_gram",
            "later_gram_labels",
            "later_gram_half",
            "later_gram_features",
            "random_head_shifts",
            "step_size",
        ),
        range=(0.0, 1.0),
        paper=f"own, from the affines of {_AC_NORM}, and of four other scores here",
        cost=_BACKWARD,
        invariances=frozenset({ORDER, NAMES, SCALE}),
        shown_by_default=True,
    ),
    Score(
        name="kernel_target_alignment",
        module="acrank.scores.kernels",
        needs=("later_gram", "later_gram_labels"),
        range=(0.0, 1.0),
        paper="Cortes et al., Algorithms for Learning Kernels Based on Centered Alignment, JMLR 2012, definition 4; "
        "after Cristianini et al., NIPS 2001",
        cost=_BACKWARD,
        invariances=frozenset({ORDER, NAMES, TRANSLATION, SCALE, DUPLICATION}),
    ),
    Score(
        name="kernel_ridge_accuracy",
        module="acrank.scores.kernels",
        needs=("later_gram", "later_gram_labels", "later_gram_half"),
        range=(0.0, 1.0),
        paper="Saunders et al., Ridge Regression Learning Algorithm in Dual Variables, ICML 1998, cross-validated",
        cost=_BACKWARD,
        invariances=frozenset({ORDER, NAMES, SCALE}),
    ),
    Score(
        name="channel_alignment",
        module="acrank.scores.affine",
        needs=("shifts",),
        range=(0.0, 1.0),
        paper=f"own, from the affine correlation of {_AC_NORM}",
        cost=_BACKWARD,
        invariances=frozenset({ORDER}),
        shown_by_default=True,
        after_training=True,
    ),
    Score(
        name="ac_corr",
        module="acrank.scores.affine",
        needs=("shifts", "per_channel"),
        higher_is_better=False,
        range=(0.0, None),
        paper=_AC_NORM,
        cost=_BACKWARD,
        invariances=frozenset({ORDER}),
        shown_by_default=True,
        after_training=True,
    ),
    Score(
        name="affine_drift",
        module="acrank.scores.affine",
        needs=("shifts",),
        range=(0.0, None),
        paper=f"own, from the affines of {_AC_NORM}",
        cost=_BACKWARD,
        invariances=frozenset({ORDER}),
        shown_by_default=True,
        after_training=True,
    ),
    Score(
        name="gradient_norm",
        module="acrank.scores.affine",
        needs=("shifts", "step_size"),
        range=(0.0, None),
        paper=f"own, from the affines of {_AC_NORM}",
        cost=_BACKWARD,
        invariances=frozenset({ORDER}),
        shown_by_default=True,
    ),
    Score(
        name="probe_accuracy",
        module="acrank.scores.linear_probe",
        needs=("features", "labels", "half"),
        range=(0.0, 1.0),
        tasks=_FINDINGS,
        paper="Stone, Cross-validatory choice and assessment of statistical predictions, J. Royal Statistical Society "
        "B, 1974, with ridge regression",
        invariances=frozenset({ORDER, NAMES, TRANSLATION, SCALE}),
        shown_by_default=True,
        always_controlled=True,
        wants_diagnostics=False,
    ),
    Score(
        name="logme",
        needs=("features", "labels"),
        tasks=_ALL,
        paper="You et al., LogME: Practical Assessment of Pre-trained Models for Transfer Learning, ICML 2021, arXiv "
        "2102.11005, eq. 2",
        invariances=frozenset({ORDER, NAMES, ROTATION, SCALE}),
    ),
    Score(
        name="leep",
        needs=("logits", "labels"),
        range=(None, 0.0),
        paper="Nguyen et al., LEEP: A New Measure to Evaluate Transferability of Learned Representations, ICML 2020, "
        "arXiv 2002.12462, eq. 2",
        invariances=frozenset({ORDER, NAMES, DUPLICATION}),
    ),
    Score(
        name="nce",
        needs=("logits", "labels"),
        range=(None, 0.0),
        paper="Tran et al., Transferability and Hardness of Supervised Classification Tasks, ICCV 2019, arXiv "
        "1908.08142, eq. 4",
        invariances=frozenset({ORDER, NAMES, SCALE, DUPLICATION}),
    ),
    Score(
        name="h_score",
        needs=("features", "labels"),
        range=(0.0, None),
        paper="Ibrahim et al., Newer is not always better: Rethinking transferability metrics, ECML-PKDD 2022, arXiv "
        "2110.06893, eq. 8; after Bao et al., ICIP 2019",
        invariances=GEOMETRY | {SCALE},
    ),
    Score(
        name="nleep",
        needs=("features", "labels", "seed"),
        range=(None, 0.0),
        paper="Li et al., Ranking Neural Checkpoints, CVPR 2021, arXiv 2011.11200, section 3.2",
        cost="fits a Gaussian mixture: 0.4 s at n = 256, d = 2048, 3 s at n = 500",
        invariances=frozenset({NAMES}),
    ),
    Score(
        name="gbc",
        needs=("features", "labels"),
        range=(None, 0.0),
        paper="Pándy et al., Transferability Estimation using Bhattacharyya Class Separability, CVPR 2022, arXiv "
        "2111.12780, eq. 5-6",
        invariances=GEOMETRY | {SCALE, DUPLICATION},
    ),
    Score(
        name="transrate",
        needs=("features", "labels"),
        paper="Huang et al., Frustratingly Easy Transferability Estimation, ICML 2022, arXiv 2106.09362, eq. 3-5",
        invariances=GEOMETRY | {SCALE},
    ),
    Score(
        name="sfda",
        needs=("features", "labels"),
        range=(0.0, 1.0),
        paper="Shao et al., Not All Models Are Equal: Predicting Model Transferability in a Self-challenging Fisher "
        "Space, ECCV 2022, arXiv 2207.03036, eq. 4-9",
        invariances=GEOMETRY | {DUPLICATION},
    ),
    Score(
        name="ncti",
        needs=("features", "labels"),
        range=(-1.0, 2.0),
        paper="Wang et al., How Far Pre-trained Models Are from Neural Collapse on the Target Dataset Informs their "
        "Transferability, ICCV 2023, eq. 4-9",
        invariances=GEOMETRY,
        pool_relative=True,
    ),
    Score(
        name="parc",
        needs=("features", "labels", "seed"),
        range=(-1.0, 1.0),
        paper="Bolya et al., Scalable Diverse Model Selection for Accessible Transfer Learning, NeurIPS 2021, arXiv "
        "2111.06977, section 4",
        cost="memory grows with the square of the images, up to 2000 of them",
        invariances=frozenset({ORDER, NAMES, TRANSLATION, SCALE}),
    ),
    Score(
        name="lfc",
        needs=("features", "labels"),
        range=(-1.0, 1.0),
        paper="Deshpande et al., A linearized framework and a new benchmark for model selection for fine-tuning, "
        "2021, arXiv 2102.00084, section 4",
        invariances=frozenset({ORDER, NAMES, ROTATION, SCALE, DUPLICATION}),
    ),
    Score(
        name="etran",
        needs=("features", "labels"),
        range=(0.0, 2.0),
        paper="Gholami et al., ETran: Energy-Based Transferability Estimation, ICCV 2023, arXiv 2308.02027, eq. 4-10",
        invariances=frozenset({ORDER, NAMES}),
        pool_relative=True,
    ),
    Score(
        name="pactran",
        needs=("features", "labels"),
        range=(None, 0.0),
        paper="Ding et al., PACTran: PAC-Bayesian Metrics for Estimating the Transferability of Pretrained Models to "
        "Classification Tasks, ECCV 2022, arXiv 2203.05126, PACTran-Gaussian",
        cost="fits a logistic regression",
        invariances=GEOMETRY,
    ),
    Score(
        name="knn",
        needs=("features", "labels"),
        range=(0.0, 1.0),
        paper="Cover and Hart, Nearest neighbor pattern classification, IEEE Trans. Information Theory 1967; as a "
        "score in Bolya et al., NeurIPS 2021, arXiv 2111.06977",
        invariances=GEOMETRY | {SCALE},
    ),
    Score(
        name="linear_probe",
        needs=("features", "labels"),
        range=(0.0, 1.0),
        tasks=_FINDINGS,
        paper="Hoerl and Kennard, Ridge Regression, Technometrics 1970; leave-one-out by Allen, Technometrics 1974",
        invariances=frozenset({ORDER, NAMES, TRANSLATION, SCALE}),
    ),
    Score(
        name="cc_fv",
        needs=("maps", "labels", "groups"),
        tasks=("segmentation",),
        paper="Yang et al., Pick the Best Pre-trained Model: Towards Transferability Estimation for Medical Image "
        "Segmentation, MICCAI 2023, arXiv 2307.11958",
        cost="compares every pair of images on every map of the decoder",
        invariances=frozenset({ORDER, ROTATION}),
    ),
    Score(
        name="energy",
        needs=("logits",),
        tasks=_ALL,
        paper="Gholami et al., ETran: Energy-Based Transferability Estimation, ICCV 2023, arXiv 2308.02027, eq. 4; "
        "after Liu et al., NeurIPS 2020, arXiv 2010.03759",
        invariances=frozenset({ORDER, NAMES, DUPLICATION}),
    ),
)

SCORES: dict[str, Score] = {row.name: row for row in _ROWS}
