"""The axis glossary and the tensor aliases that the whole package is written in.

===========  =====================================================================
axis         meaning
===========  =====================================================================
``batch``    images (2-D) or volumes (3-D) of a batch, B
``classes``  classes, background first, K
``space``    the grid: ``(H, W)`` or ``(D, H, W)``, in array-index order
``comps``    components of a descriptor, C: 1 for a volume, ndim for a centroid
===========  =====================================================================

The shapes are checked where jaxtyping is installed and its import hook is on, as in the tests; elsewhere
they are documentation and cost nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float, Int
else:
    try:
        from jaxtyping import Float, Int
    except ImportError:

        class _Unchecked:
            """Stands in for a jaxtyping type: whatever the shape, the type is a tensor."""

            def __class_getitem__(cls, item: Any) -> type[Tensor]:
                return Tensor

        Float = Int = _Unchecked

Spacing: TypeAlias = tuple[float, ...]
"""Distance between pixel centres along each axis, in mm."""

Probs: TypeAlias = Float[Tensor, "batch classes *space"]
"""Class probabilities, on the simplex over the classes."""

Logits: TypeAlias = Float[Tensor, "batch classes *space"]
"""Unnormalised class scores."""

Labels: TypeAlias = Int[Tensor, "batch *space"]
"""A class index for every pixel."""

Image: TypeAlias = Float[Tensor, "batch channels *space"]
"""Intensities."""

Values: TypeAlias = Float[Tensor, "batch classes comps"]
"""Descriptor values, NaN where a class is absent."""

PairValues: TypeAlias = Float[Tensor, "batch comps"]
"""Values of a relation between two classes."""

__all__ = ["Float", "Image", "Int", "Labels", "Logits", "PairValues", "Probs", "Spacing", "Tensor", "Values"]
