"""Drawing tools of all generators: anti-aliased stencils, smooth noise, and the conversion to eight bits.

Positions are in units of half the image: (x, y) in [-1, 1], x to the right, y downwards.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

Floats = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]

OVERSAMPLING = 3


class Stencil:
    """A grey mask in [0, 1] of dots, lines and polygons, drawn three times as large and averaged down.

    >>> stencil = Stencil(8)
    >>> stencil.dots(np.array([[0.0, 0.0]]), np.array([0.5]))
    >>> mask = stencil.mask()
    >>> mask.shape, float(mask[0, 0]), float(mask[4, 4])
    ((8, 8), 0.0, 1.0)
    """

    def __init__(self, size: int) -> None:
        self._scale = size * OVERSAMPLING / 2
        self._image = Image.new("L", (size * OVERSAMPLING, size * OVERSAMPLING))
        self._draw = ImageDraw.Draw(self._image)

    def dots(self, centres: Floats, radii: Floats) -> None:
        """Add discs: `centres` [n, 2], `radii` [n]."""
        for (x, y), radius in zip((centres + 1) * self._scale, radii * self._scale, strict=True):
            self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)

    def line(self, points: Floats, width: float) -> None:
        """Add a curve through `points` [n, 2], `width` wide."""
        corners = [(float(x), float(y)) for x, y in (points + 1) * self._scale]
        self._draw.line(corners, fill=255, width=max(1, round(width * self._scale)), joint="curve")

    def polygon(self, points: Floats) -> None:
        """Add a filled polygon with the corners `points` [n, 2]."""
        self._draw.polygon([(float(x), float(y)) for x, y in (points + 1) * self._scale], fill=255)

    def mask(self, blur: float = 0.0) -> Floats:
        """The mask [size, size] in [0, 1], blurred by a Gaussian of `blur` (a standard deviation in pixels)."""
        mask = np.asarray(self._image.reduce(OVERSAMPLING), dtype=np.float64) / 255
        return gaussian_filter(mask, blur) if blur else mask


def grid(size: int) -> tuple[Floats, Floats]:
    """The coordinates x and y of every pixel's centre, each [size, size] in [-1, 1]."""
    line = (np.arange(size) + 0.5) / size * 2 - 1
    x, y = np.meshgrid(line, line)
    return x, y


def smooth_noise(rng: np.random.Generator, size: int, width: float) -> Floats:
    """Noise [size, size] of mean 0 and standard deviation 1, smooth over `width` (a fraction of the image)."""
    noise = gaussian_filter(rng.normal(size=(size, size)), width * size, mode="wrap")
    return np.asarray((noise - noise.mean()) / noise.std())


def paint(image: Floats, mask: Floats, colour: Floats, opacity: float) -> Floats:
    """`image` [h, w, 3] blended with `colour` [3] by `mask` [h, w] times `opacity`."""
    cover = (mask * opacity)[..., None]
    return image * (1 - cover) + colour * cover


def develop(rng: np.random.Generator, image: Floats, noise: float) -> Pixels:
    """`image` [h, w, 3] in [0, 1] with sensor noise of standard deviation `noise`, as uint8."""
    grainy = image + rng.normal(scale=noise, size=image.shape)
    return np.round(np.clip(grainy, 0, 1) * 255).astype(np.uint8)
