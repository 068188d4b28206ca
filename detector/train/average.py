"""The mean of two sets of weights of one design, of which the second was trained on from the first.

Between a network and what further training made of it, the weights in the middle often carry over
to unseen sources better than either end: Wortsman et al., "Robust fine-tuning of zero-shot models"
(CVPR 2022, arXiv 2109.01903).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from detector.errors import UsageError
from detector.train.initial import is_hidden


def average(
    first: Mapping[str, Tensor], second: Mapping[str, Tensor], share: float
) -> dict[str, Tensor]:
    """(1 − share) · first + share · second.

    Args:
        first, second: weights by name. Where only the second has a hidden layer in its heads, the
            first counts as one whose hidden layer says nothing, as at the start of such a run.
        share: of the second, in [0, 1].

    Raises:
        UsageError: two different designs, or a share out of range.
    """
    if not 0 <= share <= 1:
        raise UsageError(f"a share of {share} is not between 0 and 1")
    mixed: dict[str, Tensor] = {}
    for name, value in second.items():
        if name not in first and is_hidden(name):
            mixed[name] = value * share if name.endswith(".out.weight") else value
        elif name not in first or first[name].shape != value.shape:
            raise UsageError(f"weights of two designs: {name} is not the same in both")
        elif value.is_floating_point():
            mixed[name] = (1 - share) * first[name].to(value.dtype) + share * value
        else:
            mixed[name] = value
    if lost := sorted(set(first) - set(mixed)):
        raise UsageError(f"weights of two designs: only the first has {lost[0]}")
    return mixed
