"""The target of a run: examined once, or as the cache remembers it, so that a cached run decodes no image."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from acrank.cache import ObservationCache
from acrank.cache.keys import code_digest
from acrank.errors import TargetError, is_damage
from acrank.settings import Settings
from acrank.system.machine import package_versions
from acrank.system.plain_data import validated
from acrank.targets import Target
from acrank.targets.draws import Draw, make_draws
from acrank.targets.examination import examined_draws
from acrank.targets.understanding import Understanding, understand


def examine_target(
    target: Target, settings: Settings, cache: ObservationCache | None
) -> tuple[Target, list[Draw], Understanding]:
    """The target without images that cannot be decoded, its draws, and what was understood of it.

    Args:
        target: as it was opened.
        settings: of the run, filled in for the task.
        cache: remembers what the same images gave; None decodes them anew.

    Raises:
        TargetError: too many images cannot be decoded, or the target cannot be right.
    """
    how: dict[str, Any] = {"samples": settings.samples, "repeats": settings.repeats or 1, "seed": settings.seed}
    key = _key_of(target, make_draws(target, **how), how) if cache else None
    if cache and key and (known := _remembered(cache, key)):
        bad = {name: why for name, why in known.left_out.items() if name not in dict(target.left_out)}
        sound = target.without(bad) if bad else target
        sound.notes.extend(note for note in known.notes if note not in sound.notes)
        return sound, make_draws(sound, **how), known
    target, draws, examination = examined_draws(target, **how)
    found = understand(target, examination)
    if cache and key:
        cache.store_target(key, found.record())
    return target, draws, found


def _remembered(cache: ObservationCache, key: str) -> Understanding | None:
    record = cache.load_target(key)
    try:
        return validated(Understanding, record) if record else None
    except ValueError:  # damaged: what it says is found anew
        return None


def _key_of(target: Target, draws: Sequence[Draw], how: dict[str, Any]) -> str | None:
    """The hash of everything that the examination depends on; None where an image is not even there."""
    options = [target.bad_images, target.doubts, target.split, target.slices, target.notes, target.left_out]
    try:
        content = [target.fingerprint, [draw.digest for draw in draws], how, options]
    except TargetError as error:
        if not is_damage(error):
            raise
        return None
    code = [code_digest(), package_versions()]
    return hashlib.sha256(json.dumps(["examination", code, content]).encode()).hexdigest()
