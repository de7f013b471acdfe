from __future__ import annotations

import pytest
import torch
from jaxtyping import TypeCheckError

from shapewise.descriptors.marginals import Marginals


def test_shapes_are_checked_at_every_call_in_the_tests() -> None:
    """The import hook that `pyproject.toml` asks for is on."""
    with pytest.raises(TypeCheckError, match="batch classes"):
        Marginals.of(torch.zeros(3), None)
