"""The network's shapes, and that folding the batch norms changes nothing."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch

from detector.designs import build_network
from detector.errors import BundleError
from detector.model import TwoViewNet, fold_norms, mean_and_deviation, to_tensor


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


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_the_statistics_are_those_of_torch_and_so_is_their_gradient(
    memory: torch.memory_format,
) -> None:
    torch.manual_seed(5)
    x = (3 * torch.randn(2, 7, 9, 6) + 40).to(memory_format=memory).requires_grad_()
    flat = x.flatten(2)
    theirs = torch.cat([flat.mean(2), (flat.var(2) + 1e-4).sqrt()], 1)
    ours = torch.cat(mean_and_deviation(x), 1)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    weights = torch.randn(2, 14)
    (mine,) = torch.autograd.grad((ours * weights).sum(), x)
    (wanted,) = torch.autograd.grad((theirs * weights).sum(), x)
    torch.testing.assert_close(mine, wanted, rtol=1e-4, atol=1e-6)


def test_a_flat_channel_has_a_bounded_gradient() -> None:
    x = torch.ones(1, 2, 4, 4, requires_grad=True)
    mean, deviation = mean_and_deviation(x)
    (gradient,) = torch.autograd.grad((mean + deviation).sum(), x)
    assert mean.tolist() == [[1.0, 1.0]]
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("folded", [False, True])
def test_steps_in_place_touch_neither_the_input_nor_what_explanations_read(folded: bool) -> None:
    net = fold_norms(lively_net()) if folded else lively_net()
    x = to_tensor(np.random.default_rng(2).integers(0, 256, (1, 64, 64, 3), np.uint8))
    before = x.clone()
    kept: list[torch.Tensor] = []
    net.top_norm.register_forward_hook(lambda _, __, out: kept.append(out))
    logit = net(x.requires_grad_(), "native")[0]
    (gradient,) = torch.autograd.grad(logit, kept[0])
    assert torch.equal(x, before)
    # Before the activation, which would have left nothing below zero.
    assert float(kept[0].detach().min()) < 0
    # A channel's pull is the head's weight where the activation lets it through, and 0 elsewhere.
    passed = (kept[0] > 0) & (kept[0] < 6)
    assert bool((gradient[passed] != 0).all())
    assert bool((gradient[~passed] == 0).all())


@pytest.mark.parametrize("batch", [2, 5])
def test_a_view_scores_alike_alone_and_among_others(batch: int) -> None:
    net = fold_norms(lively_net())
    views = np.random.default_rng(4).integers(0, 256, (5, 96, 96, 3), np.uint8)
    with torch.inference_mode():
        alone = torch.cat([net(to_tensor(view[None]), "whole") for view in views])
        groups = [net(to_tensor(views[i : i + batch]), "whole") for i in range(0, 5, batch)]
    torch.testing.assert_close(torch.cat(groups), alone, rtol=1e-5, atol=1e-5)


def test_training_steps_reach_every_weight() -> None:
    net = lively_net().train()
    x = to_tensor(np.random.default_rng(6).integers(0, 256, (3, 64, 64, 3), np.uint8))
    (net(x, "whole") + net(x, "native")).square().sum().backward()
    idle = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


def test_unknown_architectures_are_refused_by_name() -> None:
    with pytest.raises(BundleError, match="mystery_net"):
        build_network({"name": "mystery_net"})
