"""What was fixed before any score of the second study was looked at: targets, halves, groups, splits, settings.

    python -m benchmarks.transferability.study2.protocol

Prints protocol.json, as it is committed beside this file.

Halves are made by a rule that knows names only. The twelve targets are in three strata: medical classes, other
classes, masks. What shares images is one unit: `acdc2d_seg` and `acdc3d` are the same patients, and all 298 images of
`wbc_tecom` are among those of `wbc_seg`. Of the two units with masks the one with the lowest SHA-256 of a name reports,
and of the remaining single targets of each of the other two strata the one whose name has the lowest: four targets.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from acrank.finetuning import FinetuneSettings

RATES = (0.2, 0.05, 0.0125)
TRAIN, VAL, CASES = 120, 80, 10
UNITS = (("acdc2d_seg", "acdc3d"), ("wbc_seg", "wbc_tecom"))
MEDICAL, OTHER, MASKS = "medical classes", "other classes", "masks"
#: Splits of the ground truth; the first also has a run at one rate, the short run.
SPLITS, SHORT_RATE = 5, 0.05
#: Images are copied to names that begin with the number of their group, see targets2.prepare.
GROUP_PATTERN = r"(?:^|/)(g[0-9]+)__"


@dataclass(frozen=True)
class Target2:
    """One target.

    Attributes:
        stratum: MEDICAL, OTHER or MASKS.
        images: that there are.
        group: the column of groups.csv whose images stay on one side of a split; "" where each image is its own.
        why: why that column.
        every: take every so manyth image; of targets with masks a clinic has few.
        shares: validation and test, of the images taken.
        volumes: whether images are volumes.
    """

    stratum: str
    images: int
    group: str
    why: str
    shares: tuple[float, float]
    every: int = 1
    volumes: bool = False

    @property
    def settings(self) -> FinetuneSettings:
        """Settings of finetuning: those of the first study, with 120 images to train on, or 10 with masks."""
        val, test = self.shares
        masks = self.stratum == MASKS
        return FinetuneSettings(
            lrs=RATES,
            epochs=8 if masks else 10,
            patience=3 if masks else 4,
            patches=8,
            train_size=CASES if masks else TRAIN,
            val_share=val,
            test_share=test,
            amp=True,
            allow_code=True,
            device="cpu",
        )


def _classes(stratum: str, images: int, group: str, why: str) -> Target2:
    """About VAL images validate, and 60% test: testing is cheap, and a truth is only as good as its test."""
    return Target2(stratum, images, group, why, (round(VAL / images, 3), 0.6))


_NEAR = "neardup_cluster"
TARGETS: Mapping[str, Target2] = {
    "ham10000": _classes(MEDICAL, 821, "", "one image of each lesion"),
    "fundus3_odir": _classes(MEDICAL, 801, "group", "patients"),
    "covid_ct": _classes(MEDICAL, 746, "group", "preprints and patients"),
    "wbc_tecom": Target2(MEDICAL, 298, _NEAR, "near-copies; patients are not known", (0.2, 0.35)),
    "neu_steel": _classes(OTHER, 690, _NEAR, "near-copies; plates are not known"),
    "solar_el": _classes(OTHER, 800, _NEAR, "near-copies; modules are not known, and mono or poly are two groups only"),
    "magnetic_tile": Target2(OTHER, 579, "group", "exposures of a tile", (0.14, 0.5)),
    "rsscn7": Target2(OTHER, 560, "group", "the four scales: places are not known", (0.25, 0.25)),
    "sign_digits": _classes(OTHER, 800, "group", "persons, guessed from numbers of images"),
    "acdc2d_seg": Target2(MASKS, 600, "group", "patients", (0.1, 0.4), every=6),
    "wbc_seg": Target2(MASKS, 400, _NEAR, "near-copies; two sources are two groups only", (0.1, 0.4), every=4),
    "acdc3d": Target2(MASKS, 100, "", "one volume of each patient", (0.1, 0.4), every=2, volumes=True),
}


def reporting(names: Mapping[str, str]) -> tuple[str, ...]:
    """The targets of the reporting half, by the rule above.

    Args:
        names: of targets, with their stratum.
    """
    unit = min((unit for unit in UNITS), key=lambda unit: min(map(_order, unit)))
    paired = {name for one in UNITS for name in one}
    lone = [
        min((name for name, own in names.items() if own == stratum and name not in paired), key=_order)
        for stratum in (MEDICAL, OTHER)
    ]
    return (*unit, *lone)


def _order(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


REPORTED = reporting({name: target.stratum for name, target in TARGETS.items()})


def half(name: str) -> str:
    """ "choosing" or "reported"."""
    return "reported" if name in REPORTED else "choosing"


#: Choosing targets first: their truth is needed first.
ORDER = tuple(sorted(TARGETS, key=lambda name: (half(name), list(TARGETS).index(name))))

_FLAT = tuple(name for name in ORDER if not TARGETS[name].volumes)
#: Targets of each pool. Pool b and the flat part of pool c: all that report, and of the choosing ones the four whose
#: names have the lowest SHA-256.
FOUR = tuple(sorted((name for name in _FLAT if half(name) == "choosing"), key=_order)[:4])
POOL_TARGETS: Mapping[str, tuple[str, ...]] = {
    "a": _FLAT,
    "b": tuple(name for name in _FLAT if half(name) == "reported" or name in FOUR),
    "c2d": tuple(name for name in _FLAT if half(name) == "reported" or name in FOUR),
    "c3d": ("acdc3d",),
}
#: On whom finetuning with AC-Norm is held against vanilla finetuning: six of normal size, and pool c.
PANEL = (
    "mobilenet-v2",
    "efficientnet-lite0",
    "efficientnet-b0-photo-or-drawing",
    "craft-encoder",
    "mobilenet-v2-cifar10-supervised",
    "mobilenet-v2-pneumonia-rotation",
    "unet*",
)


def record() -> dict[str, object]:
    """The protocol as plain data."""
    return {
        name: {
            "half": half(name),
            "stratum": target.stratum,
            "images": target.images,
            "every": target.every,
            "group": target.group,
            "why": target.why,
            "pools": [pool for pool, names in POOL_TARGETS.items() if name in names],
            "finetuning": target.settings.record(),
        }
        for name, target in TARGETS.items()
    }


if __name__ == "__main__":
    print(json.dumps(record(), indent=1))
