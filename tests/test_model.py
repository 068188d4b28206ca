"""The network's shapes, and that folding the batch norms changes nothing."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch

from detector.errors import BundleError
from detector.model import TwoViewNet, build, fold_norms, to_tensor


def lively_net() -> TwoViewNet:
    """A random network whose batch norms are not the identity."""
    torch.manual_seed(3)
    net = TwoViewNet().eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return net


def test_views_become_one_logit_each() -> None:
    views = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    x = to_tensor(views)
    assert x.shape == (3, 3, 64, 64)
    assert -1 <= float(x.min()) <= float(x.max()) <= 1
    net = lively_net()
    with torch.inference_mode():
        assert net.embed(x).shape == (3, net.features)
        assert net(x, "whole").shape == net(x, "native").shape == (3,)


def test_folding_the_norms_keeps_the_output() -> None:
    net = lively_net()
    x = to_tensor(np.random.default_rng(1).integers(0, 256, (2, 96, 96, 3), np.uint8))
    folded = fold_norms(deepcopy(net))
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    with torch.inference_mode():
        torch.testing.assert_close(net.embed(x), folded.embed(x), rtol=1e-4, atol=1e-4)


def test_unknown_architectures_are_refused_by_name() -> None:
    with pytest.raises(BundleError, match="mystery_net"):
        build({"name": "mystery_net"})
