"""What the name of a quality measure tells: its task, whether lower is better, and whether it is a share."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Mapping, Sequence

#: Task of each quality measure of `acrank finetune`.
TASK_OF_METRIC: Mapping[str, str] = {
    "balanced_accuracy": "classification",
    "accuracy": "classification",
    "auc": "classification",
    "kappa": "classification",
    "dice": "segmentation",
    "iou": "segmentation",
}


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_SHARES = _set(
    "accuracy acc bacc auc auroc rocauc auprc prauc aupr ap map kappa qwk dice dsc iou miou jaccard f1 fscore r2 "
    "precision recall sensitivity specificity ppv npv tpr tnr mcc top1 top5 ndcg ssim pearson spearman "
    "correlation"
)
#: Words of measures of which lower is better.
_LOWER = _set(
    "loss losses error errors err mse rmse mae mape smape wape nrmse nmse nmae rmsle msle medae mase nll "
    "perplexity crossentropy logloss ece brier hausdorff eer wer fpr fnr fdr lpips divergence deviance "
    "misclassification mistakes assd regret"
)
#: Likewise, but they may be the names of something else beside the word of a share, as in `auc_asd`.
_LOWER_ALONE = _set("ce bce hd asd masd cer ber mce fid kid ppl aic bic sse cost distance xent kld rmsd")
_LOWER_PAIRS = frozenset(
    {
        *(("cross", "entropy"), ("false", "negative"), ("false", "positive"), ("false", "alarm")),
        *(("false", "discovery"), ("miss", "rate"), ("false", "negatives"), ("false", "positives")),
    }
)
#: Words that turn a measure round.
_NEGATIVE = _set("neg negative negated minus inverse inverted inv reciprocal")
#: Words after which nothing is concluded: more of an error reduction is better.
_OTHERWISE = _set(
    "reduction reduced skill improvement gain detection correction corrected recovery free tolerance robustness "
    "correlation drop change difference delta ratio count rank"
)
_LEADING = _set("val valid validation test train training eval dev mean avg average best final balanced")
_QUALIFIERS = _set("balanced mean macro micro weighted average avg")
_GLUED = re.compile(r"(?!neg)\w*(?:loss|error)|top\d+err")  # valloss, testerror


def words_in(name: str) -> list[str]:
    """The words of a name in lower case: `_`, `-`, blanks and capitals within it part them.

    >>> words_in("valLoss"), words_in("Error rate"), words_in("mIoU"), words_in("R²")
    (['val', 'loss'], ['error', 'rate'], ['miou'], ['r2'])
    """
    text = unicodedata.normalize("NFKC", name)
    text = re.sub(r"(?<=[a-z0-9]{2})(?=[A-Z][a-z])|(?<=[A-Z])(?=[A-Z][a-z]{2})|(?<=^neg)(?=[A-Z])", " ", text)
    return [word for word in re.split(r"[\W_]+", text.casefold()) if word]


def known_measure(name: str) -> str:
    """The measure of `acrank finetune` that a name stands for, else the name as it is.

    >>> known_measure("Balanced accuracy"), known_measure("mAP")
    ('balanced_accuracy', 'mAP')
    """
    plain = "_".join(words_in(name))
    return plain if plain in TASK_OF_METRIC else name


def is_lower_better(name: str) -> bool:
    """Whether a measure's name says that lower is better: a loss, an error, a distance; not where it is negated.

    >>> [name for name in ("val_loss", "RMSE", "error rate", "1-accuracy", "HD95") if not is_lower_better(name)]
    []
    >>> [name for name in ("neg_mean_squared_error", "accuracy", "lossless", "1 - error") if is_lower_better(name)]
    []
    """
    words = words_in(name)
    pairs = [pair for pair in itertools.pairwise(words) if pair in _LOWER_PAIRS]
    left = [word for word in words if not any(word in pair for pair in pairs)]
    negated = not _NEGATIVE.isdisjoint(left) or name.lstrip().startswith(("-", "−"))
    if "likelihood" in words or {"log", "lik"} <= {*words}:
        return negated
    if _is_complement(words):
        return not any(map(_is_lower, words)) and not pairs
    if negated or not _OTHERWISE.isdisjoint(words):
        return False
    first = next((word for word in words if word not in _LEADING), "")
    if words and words[-1] in _SHARES and not _is_lower(first):  # the accuracy on what is called a loss, an error
        return False
    has_share = not _SHARES.isdisjoint(words)
    alone = any(word.rstrip("0123456789") in _LOWER_ALONE for word in words)
    return bool(pairs) or any(map(_is_lower, words)) or (alone and not has_share)


def is_share(name: str) -> bool:
    """Whether a measure's name says that it is at most 1, or 100 %.

    >>> [is_share(name) for name in ("Balanced accuracy", "R²", "macro-F1", "top-1", "log accuracy", "psnr")]
    [True, True, True, True, False, False]
    """
    words = words_in(name)
    joined = {first + second for first, second in itertools.pairwise(words)}  # top-1, f-score, r^2
    has_share = not _SHARES.isdisjoint({*words, *(joined & {"top1", "top5", "fscore", "r2", "f1"})})
    changed = not ({*_OTHERWISE, "log"} - {"correlation"}).isdisjoint(words)
    return has_share and not changed and not is_lower_better(name)


def _is_lower(word: str) -> bool:
    return word in _LOWER or word.rstrip("0123456789") in _LOWER or bool(_GLUED.fullmatch(word))


def _is_complement(words: Sequence[str]) -> bool:
    """Whether a name begins as 1 - accuracy does; 1-shot accuracy does not."""
    if len(words) < 2 or words[0] not in ("1", "100", "one"):
        return False
    rest = [word for word in words[1:] if word != "minus"]
    rest = rest[1:] if len(rest) > 1 and rest[0] in _QUALIFIERS else rest
    return "minus" in words[:2] or (bool(rest) and (rest[0] in _SHARES or _is_lower(rest[0])))
