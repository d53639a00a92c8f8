"""Text and data inside an HTML page: they cannot end their element, and large ones are compressed."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from typing import Any

#: Characters above which data are compressed; below, any reader finds plain JSON.
PLAIN_MOST = 1_000_000
_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def script_json(data: Any) -> str:
    """Plain data as JSON for a `<script type="application/json">`: ASCII, without `<`, `>` and `&`.

    >>> script_json({"a": "</script>"})
    '{"a":"\\\\u003c/script\\\\u003e"}'
    """
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for one, escape in _UNSAFE.items():
        text = text.replace(one, escape)
    return text


def packed(text: str) -> dict[str, str]:
    """Text as the page's script unpacks it: `{"gzip": base64}` of its UTF-8; equal texts give equal bytes."""
    # Z_FILTERED makes records a tenth smaller than zlib's default way: most of them are digits
    packer = zlib.compressobj(level=9, wbits=31, memLevel=9, strategy=zlib.Z_FILTERED)  # 31: with the header of gzip
    raw = packer.compress(text.encode(errors="surrogatepass")) + packer.flush()
    return {"gzip": base64.b64encode(raw).decode()}


def page_json(data: Any) -> str:
    """Plain data for a `<script type="application/json">`: as they are, or packed where they are large."""
    text = script_json(data)
    return text if len(text) <= PLAIN_MOST else script_json(packed(text))


def script_hash(text: str) -> str:
    """What a Content-Security-Policy calls an inline script: `'sha256-…'`."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def image_uri(jpeg: bytes) -> str:
    """A JPEG as the address of an `<img>`."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
