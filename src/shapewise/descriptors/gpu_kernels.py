"""The kernel's two passes on a GPU, in Triton; imported only where Triton is.

One program has one row of one image, with all its classes: it makes their probabilities, adds up each class's
powers of the column and its differences from neighbours, and writes those few numbers. On the way back it
makes the same probabilities again and writes the logits' gradient. Neighbours' probabilities are made anew
rather than stored: the logits are in the GPU's cache, and two programs make the same numbers of one pixel.
"""

# Triton's functions are no Python to a type checker: it reads them and writes them anew for the device.
# mypy: disable-error-code="untyped-decorator,no-untyped-def,no-untyped-call"

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from shapewise.descriptors.plan import LOGITS, Wanted

TILE = 2048
"""Classes times columns that a program holds at a time."""


@triton.jit
def _place(planes, rows):
    """Which row of which plane of which image this program has."""
    here = tl.program_id(0)
    return here % rows, here // rows % planes, here // (rows * planes)


@triton.jit
def _probabilities(
    scores, pixel, inside, pixels, CLASSES: tl.constexpr, PADDED: tl.constexpr, LOGITS: tl.constexpr
):
    """Of all classes at some pixels of an image, (PADDED, BLOCK); 0 outside of it."""
    k = tl.arange(0, PADDED)[:, None].to(tl.int64)  # classes times pixels may be more than 2^31
    found = tl.load(scores + k * pixels + pixel[None, :], mask=(k < CLASSES) & inside[None, :], other=0.0)
    if LOGITS:
        found = tl.where(k < CLASSES, found, float("-inf"))
        found = tl.exp(found - tl.max(found, 0)[None, :])
        found = found / tl.sum(found, 0)[None, :]
    return tl.where(inside[None, :], found, 0.0)


@triton.jit
def _beside(steps, n, sign, plane, row, column, planes, rows, columns):
    """The n-th neighbour of each column: which pixel of the image it is, and whether there is one."""
    z = plane + sign * tl.load(steps + 3 * n)
    y = row + sign * tl.load(steps + 3 * n + 1)
    x = column + sign * tl.load(steps + 3 * n + 2)
    inside = (z >= 0) & (z < planes) & (y >= 0) & (y < rows) & (x >= 0) & (x < columns)
    return (z * rows + y) * columns + x, inside & (column < columns)


@triton.jit
def sum_row(
    scores,
    steps,
    weights,
    sums,
    lengths,
    planes,
    rows,
    columns,
    CLASSES: tl.constexpr,
    FIRST: tl.constexpr,
    LOGITS: tl.constexpr,
    ORDER: tl.constexpr,
    NEIGHBOURS: tl.constexpr,
    PADDED: tl.constexpr,
    TERMS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Write a row's sums of s u^n, (classes, ORDER + 1) with u from -1 to 1, and its share of the lengths."""
    row, plane, image = _place(planes, rows)
    pixels = planes * rows * columns
    scores += image.to(tl.int64) * CLASSES * pixels
    k, n = tl.arange(0, PADDED), tl.arange(0, TERMS)
    total = tl.zeros([PADDED, TERMS], tl.float64)
    length = tl.zeros([PADDED], tl.float64)
    for start in range(0, columns, BLOCK):
        column = start + tl.arange(0, BLOCK)
        pixel, inside = (plane * rows + row) * columns + column, column < columns
        probs = _probabilities(scores, pixel, inside, pixels, CLASSES, PADDED, LOGITS)
        middle = (columns - 1) * 0.5
        u = (column.to(tl.float64) - middle) / tl.maximum(middle, 0.5)
        term = probs.to(tl.float64)
        for power in tl.static_range(ORDER + 1):
            total += tl.where(n[None, :] == power, tl.sum(term, 1)[:, None], 0.0)
            term = term * u[None, :]
        for each in range(NEIGHBOURS):
            other, there = _beside(steps, each, 1, plane, row, column, planes, rows, columns)
            near = _probabilities(scores, other, there, pixels, CLASSES, PADDED, LOGITS)
            cut = tl.where(there[None, :], tl.abs(probs - near), 0.0)
            length += tl.load(weights + each) * tl.sum(cut.to(tl.float64), 1)
    to = (image * (CLASSES - FIRST) + k - FIRST).to(tl.int64) * planes * rows + plane * rows + row
    wanted = (k >= FIRST) & (k < CLASSES)
    tl.store(
        sums + to[:, None] * (ORDER + 1) + n[None, :], total, mask=wanted[:, None] & (n <= ORDER)[None, :]
    )
    if NEIGHBOURS:
        tl.store(lengths + to, length, mask=wanted)


@triton.jit
def pull_row(
    scores,
    steps,
    weights,
    coefficients,
    centres,
    of_lengths,
    gradient,
    planes,
    rows,
    columns,
    CLASSES: tl.constexpr,
    FIRST: tl.constexpr,
    LOGITS: tl.constexpr,
    ORDER: tl.constexpr,
    NEIGHBOURS: tl.constexpr,
    PADDED: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Write the gradient of a block of a row.

    It is a polynomial in the column about each class's own centre, and signs of differences; the softmax's
    Jacobian is applied on the spot.
    """
    row, plane, image = _place(planes, rows)
    pixels = planes * rows * columns
    scores += image.to(tl.int64) * CLASSES * pixels
    gradient += image.to(tl.int64) * CLASSES * pixels
    k = tl.arange(0, PADDED)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    pixel, inside = (plane * rows + row) * columns + column, column < columns
    probs = _probabilities(scores, pixel, inside, pixels, CLASSES, PADDED, LOGITS)
    which, wanted = image * (CLASSES - FIRST) + k - FIRST, (k >= FIRST) & (k < CLASSES)
    of = coefficients + (which.to(tl.int64) * planes * rows + plane * rows + row) * (ORDER + 1)
    away = column[None, :] - tl.load(centres + which, mask=wanted, other=0.0)[:, None]
    pull = tl.zeros_like(probs)
    for power in tl.static_range(ORDER + 1):
        pull = pull * away + tl.load(of + ORDER - power, mask=wanted, other=0.0)[:, None]
    if NEIGHBOURS:
        slope = tl.zeros_like(probs)
        for each in range(NEIGHBOURS):
            for way in tl.static_range(2):
                other, there = _beside(steps, each, 1 - 2 * way, plane, row, column, planes, rows, columns)
                near = _probabilities(scores, other, there, pixels, CLASSES, PADDED, LOGITS)
                sign = tl.where(probs > near, 1.0, tl.where(probs < near, -1.0, 0.0))
                slope += tl.where(there[None, :], sign, 0.0) * tl.load(weights + each).to(slope.dtype)
        pull += tl.load(of_lengths + which, mask=wanted, other=0.0)[:, None] * slope
    if LOGITS:
        pull = probs * (pull - tl.sum(probs * pull, 0)[None, :])
    to = gradient + k[:, None].to(tl.int64) * pixels + pixel[None, :]
    tl.store(to, pull, mask=(k < CLASSES)[:, None] & inside[None, :])


def sum_rows(scores: Tensor, steps: Tensor, weights: Tensor, wanted: Wanted) -> tuple[Tensor, Tensor]:
    """Sum every row of ``(B, K, planes, rows, columns)``; see `sum_row`.

    Returns:
        Sums ``(B, K - first, planes, rows, order + 1)`` and shares of the lengths ``(B, K - first, planes,
        rows)``, both float64.
    """
    scores = scores.contiguous()
    batch, classes, planes, rows, columns = scores.shape
    kept = batch, classes - wanted.first, planes, rows
    sums = scores.new_empty((*kept, wanted.order + 1), dtype=torch.float64)
    lengths = scores.new_zeros(kept, dtype=torch.float64)
    how = _constants(scores, steps, wanted)
    terms = triton.next_power_of_2(wanted.order + 1)
    grid = (batch * planes * rows,)
    with torch.cuda.device_of(scores):
        sum_row[grid](scores, steps, weights, sums, lengths, planes, rows, columns, TERMS=terms, **how)
    return sums, lengths


def pull_rows(
    scores: Tensor,
    steps: Tensor,
    weights: Tensor,
    coefficients: Tensor,
    centres: Tensor,
    of_lengths: Tensor,
    wanted: Wanted,
) -> Tensor:
    """Compute the gradient in the scores ``(B, K, planes, rows, columns)``; see `pull_row`.

    Coefficients of the powers of column - centre are ``(B, K - first, planes * rows, order + 1)``; centres
    and the gradient of the lengths are ``(B, K - first)``.
    """
    scores = scores.contiguous()
    batch, _, planes, rows, columns = scores.shape
    gradient = torch.empty_like(scores)
    how = _constants(scores, steps, wanted)
    grid = (batch * planes * rows, triton.cdiv(columns, how["BLOCK"]))
    given = coefficients.contiguous(), centres.contiguous(), of_lengths.contiguous()
    with torch.cuda.device_of(scores):
        pull_row[grid](scores, steps, weights, *given, gradient, planes, rows, columns, **how)
    return gradient


def _constants(scores: Tensor, steps: Tensor, wanted: Wanted) -> dict[str, Any]:
    """What a kernel is compiled for."""
    classes, columns = scores.shape[1], scores.shape[-1]
    padded = triton.next_power_of_2(classes)
    return {
        "CLASSES": classes,
        "FIRST": wanted.first,
        "LOGITS": wanted.kind == LOGITS,
        "ORDER": wanted.order,
        "NEIGHBOURS": len(steps),
        "PADDED": padded,
        "BLOCK": min(triton.next_power_of_2(columns), max(1, TILE // padded)),
    }
