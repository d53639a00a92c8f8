"""How a file stores the numbers of a tensor: formats that torch computes with, and those that it only holds."""

from __future__ import annotations

import torch
from torch import Tensor

#: Floating-point formats that torch has every operation for.
_COMPUTED = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def in_known_format(value: Tensor) -> Tensor:
    """The tensor; as float32 where torch does not compute with its floating-point format, such as those of 8 bits.

    A format that torch cannot convert, and what is not plain, stays as it is: `is_dense` tells.

    >>> in_known_format(torch.ones(2).to(torch.float8_e5m2)).dtype, in_known_format(torch.ones(2).half()).dtype
    (torch.float32, torch.float16)
    """
    if value.layout != torch.strided or not value.is_floating_point() or value.dtype in _COMPUTED:
        return value
    try:
        return value.float()
    except NotImplementedError:
        return value


def is_dense(value: Tensor) -> bool:
    """Whether a tensor's numbers lie one beside the other in a format that torch computes with.

    >>> is_dense(torch.ones(2)), is_dense(torch.ones(2).to_sparse())
    (True, False)
    """
    known = not value.is_floating_point() or value.dtype in _COMPUTED
    return known and value.layout == torch.strided and not value.is_quantized and not value.is_nested


def storage_form(value: Tensor) -> str:
    """The number format of a tensor, and how it is stored where that is not plain.

    >>> storage_form(torch.ones(2)), storage_form(torch.ones(2).to_sparse())
    ('torch.float32', 'sparse torch.float32')
    """
    if value.is_nested or value.is_quantized:
        return f"{'nested' if value.is_nested else 'quantised'} {value.dtype}"
    if value.layout != torch.strided:
        return f"{'sparse' if 'sparse' in str(value.layout) else value.layout} {value.dtype}"
    return str(value.dtype) + ("" if is_dense(value) else ", which torch cannot convert")
