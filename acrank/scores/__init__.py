"""Transferability scores: one pure function a file, and the SCORES table that says what each needs and promises.

Importing this package loads none of the functions, nor NumPy; `SCORES["logme"].function` loads one.
"""

from __future__ import annotations

from acrank.errors import UndefinedScoreError
from acrank.scores.score import (
    DUPLICATION,
    GEOMETRY,
    KEYWORDS,
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
    "KEYWORDS",
    "NAMES",
    "ORDER",
    "ROTATION",
    "SCALE",
    "SCORES",
    "TRANSLATION",
    "Score",
    "UndefinedScoreError",
]

_CLASSES = ("classification", "segmentation")
_FINDINGS = ("classification", "multilabel", "segmentation")
_ALL = ("classification", "multilabel", "regression", "segmentation")

_AC_NORM = "Zhang et al., AC-Norm: Effective Tuning for Medical Image Analysis via Affine Collaborative Normalization, "
_STEP = f"{_AC_NORM}Pattern Recognition 2024, arXiv 2307.15282"

_ROWS = (
    Score(
        "finetunability",
        "acrank.scores.finetunability:finetunability",
        ("later_gram", "later_gram_labels", "later_gram_half", "random_head_shifts", "step_size"),
        True,
        (0.0, None),
        _CLASSES,
        f"own, from the affines of {_STEP}, and kernel-target alignment",
        cost="a backward pass",
    ),
    Score(
        "kernel_target_alignment",
        "acrank.scores.kernels:kernel_target_alignment",
        ("later_gram", "later_gram_labels"),
        True,
        (0.0, 1.0),
        _CLASSES,
        "Cortes et al., Algorithms for Learning Kernels Based on Centered Alignment, JMLR 2012, definition 4; after "
        "Cristianini et al., NIPS 2001",
        cost="a backward pass",
    ),
    Score(
        "kernel_ridge_accuracy",
        "acrank.scores.kernels:kernel_ridge_accuracy",
        ("later_gram", "later_gram_labels", "later_gram_half"),
        True,
        (0.0, 1.0),
        _CLASSES,
        "Saunders et al., Ridge Regression Learning Algorithm in Dual Variables, ICML 1998, cross-validated",
        cost="a backward pass",
    ),
    Score(
        "channel_alignment",
        "acrank.scores.affine:channel_alignment",
        ("shifts",),
        True,
        (0.0, 1.0),
        _CLASSES,
        f"own, from the affine correlation of {_STEP}",
        cost="a backward pass",
    ),
    Score(
        "ac_corr",
        "acrank.scores.affine:ac_corr",
        ("shifts", "per_channel"),
        False,
        (0.0, None),
        _CLASSES,
        _STEP,
        cost="a backward pass",
    ),
    Score(
        "affine_drift",
        "acrank.scores.affine:affine_drift",
        ("shifts",),
        True,
        (0.0, None),
        _CLASSES,
        f"own, from the affines of {_STEP}",
        cost="a backward pass",
    ),
    Score(
        "gradient_norm",
        "acrank.scores.affine:gradient_norm",
        ("shifts", "step_size"),
        True,
        (0.0, None),
        _CLASSES,
        f"own, from the affines of {_STEP}",
        cost="a backward pass",
    ),
    Score(
        "probe_accuracy",
        "acrank.scores.linear_probe:probe_accuracy",
        ("features", "labels", "half"),
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
        ("maps", "labels", "groups"),
        True,
        (None, None),
        ("segmentation",),
        "Yang et al., Pick the Best Pre-trained Model: Towards Transferability Estimation for Medical Image "
        "Segmentation, MICCAI 2023, arXiv 2307.11958",
        cost="compares every pair of images on every map of the decoder",
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
