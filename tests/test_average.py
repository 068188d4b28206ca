"""The mean of two networks' weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from detector.cli import main
from detector.errors import UsageError
from detector.model import TwoViewNet
from detector.train.average import average
from detector.train.initial import weights_of


def made(hidden: int, seed: int) -> TwoViewNet:
    torch.manual_seed(seed)
    net = TwoViewNet(head_hidden=hidden).eval()
    for head in net.heads.values():
        if hidden:
            torch.nn.init.normal_(head.out.weight)
    return net


def test_the_mean_lies_between() -> None:
    first, second = made(0, 1).state_dict(), made(0, 2).state_dict()
    mixed = average(first, second, 0.25)
    for name, value in mixed.items():
        if value.is_floating_point():
            expected = 0.75 * first[name] + 0.25 * second[name]
            assert torch.allclose(value, expected), name
    assert mixed.keys() == second.keys()


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_at_either_end_it_says_what_that_end_says(share: float) -> None:
    first, second = made(0, 1), made(8, 2)
    mixed = made(8, 3)
    mixed.load_state_dict(average(first.state_dict(), second.state_dict(), share))
    end = second if share else first
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    with torch.inference_mode():
        assert torch.allclose(mixed(x, "whole"), end(x, "whole"), atol=1e-5)


def test_other_designs_and_shares_are_refused() -> None:
    first, second = made(0, 1).state_dict(), made(8, 2).state_dict()
    with pytest.raises(UsageError, match="only the first has heads"):
        average(second, first, 0.5)
    with pytest.raises(UsageError, match="stem"):
        average({**first, "stem.weight": torch.zeros(1)}, second, 0.5)
    with pytest.raises(UsageError, match="between 0 and 1"):
        average(first, first, 1.5)


def test_the_command_writes_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        (tmp_path / name).mkdir()
        save_file(made(0, seed).state_dict(), tmp_path / name / "ema.safetensors")
    places = [str(tmp_path / name) for name in "ab"]
    assert main(["train", "average", *places, "--run", str(tmp_path / "c")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "c" / "ema.safetensors")
    found = load_file(tmp_path / "c" / "ema.safetensors")["stem.weight"]
    both = [weights_of(place)["stem.weight"] for place in places]
    assert torch.allclose(found, (both[0] + both[1]) / 2)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "state.safetensors").write_bytes(b"")
    with pytest.raises(UsageError, match="not complete"):
        weights_of(tmp_path / "d")
