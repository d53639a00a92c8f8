"""Tasks: what a head, its loss and its quality are. The names of measures and losses load no torch."""

#: Task -> measures of quality to finetune for, the default first; see `quality` and `segmenter`.
METRICS = {
    "classification": ("balanced_accuracy", "accuracy", "auc", "kappa"),
    "segmentation": ("dice", "iou"),
}
#: Task -> losses to finetune with, the default first.
LOSSES = {"classification": ("ce",), "segmentation": ("dice-ce", "ce")}
