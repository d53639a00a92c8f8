"""Finetuning tasks: head, loss and quality measures. This file, with their names, loads no torch."""

#: Task -> its quality measures, the default first; see `quality` and `segmentation`.
METRICS = {
    "classification": ("balanced_accuracy", "accuracy", "auc", "kappa"),
    "segmentation": ("dice", "iou"),
}
#: Task -> its losses, the default first.
LOSSES = {"classification": ("ce",), "segmentation": ("dice-ce", "ce")}
