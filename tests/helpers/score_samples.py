"""Made samples on which published implementations were run, and what they returned.

`data/inputs.npz` holds the samples: A (n 200, d 16, 5 classes), B (60, 128, 4: n < d), C (150, 12, 2, imbalanced),
D (400, 80, 6; in float32) and R (100, 10, two regression targets). GOLDEN holds the returned figures by sample.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_FILE = Path(__file__).parents[1] / "scores" / "data" / "inputs.npz"

GOLDEN = {
    # thuml/LogME fit_icml and tllib.log_maximum_evidence agree on B; the fixed-point code drops a term there
    "logme": {"A": -0.05789974798, "B": 0.39812846198, "C": 0.56315344505, "D": -0.02635085429},
    "leep": {"A": -1.4159292641356893, "B": -1.0856775890348929, "C": -0.2139233742071262},  # tllib.leep
    "nce": {"A": -1.3868619735632413, "B": -1.0535878672811527, "C": -0.17773203313260488},  # tllib.nce
    "h_score": {  # tllib.regularized_h_score
        "A": 2.52563129393894,
        "B": 2.95020225531413,
        "C": 0.8476167381379144,
        "D": 3.0774231205268636,
    },
    "transrate_raw": {"A": 6.276950516046973, "B": 183.75133880568384, "C": 2.4914342335253252, "D": 68.38856300325958},
    "gbc_diagonal": {"A": -0.5252054955834041, "C": -0.007304714316156616, "D": -0.5952090967752648},  # floor 1e-4
    "gbc_spherical_without_d": {"A": -2.424164761282039, "C": -0.07707710335148002, "D": -3.104102393185204},
    "sfda": {"A": 0.793583204652305, "C": 0.9891311683458615, "D": 0.8787268400252182},  # its authors
    "lda_orthonormal": {"A": 0.7510787827604686, "C": 0.9757723528375895, "D": 0.7590795968726863},  # ETran's LDA_Score
    "nleep_without_log": {  # SFDA's copy, seed 0, five clusters a class
        "A": 0.7295922547898982,
        "C": 0.9852673140194022,
        "D": 0.42171531806400225,
    },
    "energy_lowest_half": {"A": 3.6757976498158897, "B": 3.6275894501719685, "C": 1.2269826122083505},
    "energy_features": {"A": 2.9520029406028057, "D": 4.929354561649917},  # lowest 0.5 per cent
    "lfc": {"A": 0.30554927454468533, "B": 0.7968356054707743, "C": 0.503937076674473, "D": 0.18877412971575405},
    "parc_percent": {  # its authors
        "A": 43.352568575787316,
        "B": 74.5262467996597,
        "C": 14.580742575589328,
        "D": 20.731692722811683,
    },
    "knn1_accuracy": {"A": 0.875, "B": 1.0, "C": 1.0, "D": 0.5425},  # parc, leave one out
    "ncti": {"D": (203.78543354526187, 0.9905993992355607, 3.939855336858579)},  # its authors
}


def features(sample: str) -> NDArray[np.float64]:
    """[n, d] features of a sample, as float64."""
    with np.load(_FILE) as arrays:
        return arrays[f"{sample}_features"].astype(np.float64)


def labels(sample: str) -> NDArray[np.int64]:
    """[n] classes of a sample."""
    with np.load(_FILE) as arrays:
        return arrays[f"{sample}_labels"].astype(np.int64)


def logits(sample: str) -> NDArray[np.float64]:
    """[n, z] source logits of sample A, B or C."""
    with np.load(_FILE) as arrays:
        return arrays[f"{sample}_logits"]


def targets() -> NDArray[np.float64]:
    """[100, 2] regression targets of sample R."""
    with np.load(_FILE) as arrays:
        return arrays["R_targets"]


def iris() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Fisher's iris in float32."""
    from sklearn.datasets import load_iris

    found, classes = load_iris(return_X_y=True)
    return found.astype(np.float32), classes


def clusters(
    n: int = 60, d: int = 8, classes: int = 3, *, apart: float = 1.5, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Gaussian classes about random centres, in mixed order."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.arange(n) % classes)
    return apart * rng.normal(size=(classes, d))[codes] + rng.normal(size=(n, d)), codes
