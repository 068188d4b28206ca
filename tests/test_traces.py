"""The designs that look at native crops only: what they see, and that they train and load."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from detector import Detector
from detector.corpus.pairs import Pixels, reconstruct
from detector.designs import build_network
from detector.errors import BundleError, CorpusError, UsageError
from detector.model import fold_norms, to_tensor
from detector.traces import BUILDERS, CLIP, NearestDifference, ResidualBank, build_traces
from detector.train.aligned import Reconstructions, cache_reconstructions, real_rows
from detector.train.autoencoder import read_autoencoder
from detector.train.cache import CropCache, build_cache
from detector.train.config import DESIGNS, DataConfig, OptimConfig, TrainConfig, read_config
from detector.train.finish import finish
from detector.train.initial import start
from detector.train.loop import disagreement, train
from detector.train.sampler import Sampler
from tests.test_train import made_samples, picture

VIEWS = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> CropCache:
    folder = tmp_path_factory.mktemp("cache")
    build_cache(made_samples(), folder, workers=1)
    return CropCache.open(folder)


def small_config(design: str = "residual_bank", **optim: float) -> TrainConfig:
    return TrainConfig(
        name="traces_v1", design=design, seed=4, size=64, whole=False, native=2, widths=(8, 8),
        validation=("held",), optim=OptimConfig(**{"steps": 2, "batch": 8, "warmup": 1, **optim}),
    )  # fmt: skip


def small_architecture(name: str) -> dict[str, object]:
    return {"name": name, "widths": [8, 16]}


def test_an_image_enlarged_by_the_nearest_neighbour_leaves_no_difference() -> None:
    small = torch.rand(1, 3, 8, 8)
    enlarged = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert NearestDifference()(enlarged).abs().max() == 0
    odd = torch.rand(1, 3, 7, 9)
    assert NearestDifference()(odd).shape == odd.shape


def test_the_bank_is_blind_to_flat_colour_and_sees_single_grey_levels() -> None:
    bank = ResidualBank()
    flat = np.full((1, 16, 16, 3), 200, np.uint8)
    maps = bank(to_tensor(flat))
    assert maps.shape == (1, bank.channels, 12, 12)
    residuals, colours = maps[:, :-3], maps[:, -3:]
    assert residuals.abs().max() < 1e-4
    assert colours.min() > 0
    flat[0, 8, 8] += 1
    # The largest residual of one changed level is one level, in units of the clip.
    assert bank(to_tensor(flat))[:, :-3].abs().max().item() == pytest.approx(1 / CLIP, abs=1e-3)


def test_the_banks_residuals_are_bounded() -> None:
    maps = ResidualBank()(to_tensor(VIEWS))
    assert maps.abs().max() == 1


@pytest.mark.parametrize("name", BUILDERS)
def test_a_design_gives_one_logit_a_crop_and_folds_to_the_same(name: str) -> None:
    torch.manual_seed(0)
    net = build_traces(small_architecture(name))
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    net.eval()
    folded = fold_norms(deepcopy(net))
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    with torch.inference_mode():
        before = net.embed(to_tensor(VIEWS))
        assert before.shape == (2, net.features)
        torch.testing.assert_close(folded.embed(to_tensor(VIEWS)), before, rtol=1e-3, atol=1e-3)
        assert folded(to_tensor(VIEWS), "native").shape == (2,)


def test_nprs_design_has_the_published_size() -> None:
    net = build_traces({"name": "npr"})
    assert sum(p.numel() for p in net.parameters()) == pytest.approx(1.44e6, rel=0.01)


def test_the_residual_bank_fits_in_three_megabytes() -> None:
    net = build_traces({"name": "residual_bank"})
    assert 4 * sum(p.numel() for p in net.parameters()) < 3e6


def test_every_design_of_a_configuration_can_be_built() -> None:
    for design in DESIGNS:
        architecture = TrainConfig(name="x_v1", design=design, whole=False).architecture()
        assert build_network(architecture) is not None
    with pytest.raises(BundleError, match="mystery"):
        build_network({"name": "mystery"})


def test_designs_for_native_crops_refuse_a_whole_view(tmp_path: Path) -> None:
    file = tmp_path / "npr.toml"
    file.write_text('name = "x_v1"\ndesign = "npr"\n')
    with pytest.raises(UsageError, match="whole = false"):
        read_config(file)
    assert read_config(file, ["whole=false"]).views == ("native",)


@pytest.mark.parametrize("name", BUILDERS)
def test_a_run_ends_in_a_bundle_that_looks_at_native_crops(
    name: str, cache: CropCache, tmp_path: Path
) -> None:
    config = small_config(name)
    net = build_network(config.architecture())
    weights = train(cache, config, net, tmp_path / "run", validation_rows=4)
    bundle = finish(config, weights, made_samples(), tmp_path / "b", {})
    assert bundle["architecture"]["name"] == name
    assert bundle["fusion"]["whole"] == 0
    finding = Detector.load(tmp_path / "b").predict(picture(1, 3))
    assert {crop.view for crop in finding.crops} == {"native"}


def test_small_views_can_train_a_network_for_larger_ones(cache: CropCache) -> None:
    batch = Sampler(cache, small_config(side=40)).batch(0, 1.0)
    assert list(batch) == ["native"]
    assert batch["native"].pixels.shape == (8, 40, 40, 3)


def test_consistency_shows_every_view_before_and_after_degradation(cache: CropCache) -> None:
    config = small_config(consistency=0.5)
    drawn = Sampler(cache, config).batch(1, 1.0)["native"]
    assert drawn.clean is not None
    assert drawn.pixels.shape == drawn.clean.shape == (4, 64, 64, 3)
    untouched = Sampler(cache, config).batch(1, 0.0)["native"]
    np.testing.assert_array_equal(untouched.pixels, untouched.clean)
    assert (drawn.pixels != drawn.clean).any()


def test_consistency_is_learnt_and_logged(cache: CropCache, tmp_path: Path) -> None:
    config = small_config(consistency=0.5)
    train(cache, config, build_network(config.architecture()), tmp_path, validation_rows=4)
    assert "native_apart" in (tmp_path / "log.jsonl").read_text().splitlines()[0]


def test_disagreement_is_zero_for_equal_judgements_and_symmetric() -> None:
    a, b = torch.tensor([0.0, 2.0, -1.0]), torch.tensor([1.0, 2.0, 3.0])
    assert disagreement(a, a) == 0
    assert disagreement(a, b) == pytest.approx(disagreement(b, a))
    assert disagreement(a, b) > 0


def darker(pixels: torch.Tensor) -> torch.Tensor:
    """Stands for an autoencoder, and is easy to recognise."""
    return pixels * 0.5


@pytest.fixture(scope="module")
def aligned(cache: CropCache) -> Reconstructions:
    rows = real_rows(cache, 12)
    cache_reconstructions(darker, cache, rows)
    return Reconstructions.open(cache)


def test_reconstructions_are_of_real_images_outside_of_test(
    cache: CropCache, aligned: Reconstructions
) -> None:
    items = [cache.index[row] for row in aligned.rows]
    assert len(items) == 12
    assert {item["label"] for item in items} == {0}
    assert {item["source"] for item in items} == {"a", "b", "held"}


def test_halves_of_a_pair_share_crop_and_draw(cache: CropCache, aligned: Reconstructions) -> None:
    config = replace(small_config(), data=DataConfig(aligned=0.5))
    drawn = Sampler(cache, config, aligned).batch(0, 0.0)["native"]
    assert drawn.labels.tolist() == [0, 1] * 4
    pairs = [(drawn.pixels[i], drawn.pixels[i + 1]) for i in (0, 2)]
    for real, made in pairs:
        assert np.abs(real.astype(float) / 2 - made).max() <= 1
    assert drawn.rows[0] == drawn.rows[1]
    sources = {cache.index[row]["source"] for row in drawn.rows}
    assert "held" not in sources


def test_a_pairs_degradations_are_the_same(cache: CropCache, aligned: Reconstructions) -> None:
    same: Pixels = cache.arrays["native"][aligned.rows, 0]
    config = replace(small_config(), data=DataConfig(aligned=1.0))
    drawn = Sampler(cache, config, Reconstructions(aligned.rows, same)).batch(0, 1.0)["native"]
    np.testing.assert_array_equal(drawn.pixels[0::2], drawn.pixels[1::2])


def test_a_cache_without_reconstructions_says_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="detector train aligned"):
        Reconstructions.open(CropCache(tmp_path, []))


def test_a_resnets_public_weights_start_its_trunk(tmp_path: Path) -> None:
    import torchvision

    donor = torchvision.models.resnet18(weights=None)
    torch.save(donor.state_dict(), tmp_path / "resnet18.pth")
    net = start(build_traces({"name": "cnndetection"}), tmp_path / "resnet18.pth")
    torch.testing.assert_close(net.trunk.conv1.weight, donor.conv1.weight)
    with pytest.raises(UsageError, match="other tensors"):
        start(build_traces({"name": "npr"}), tmp_path / "resnet18.pth")
    assert start(net, None) is net


def half_of_an_autoencoder(path: Path, encoder: bool) -> Path:
    """Random weights named as the public ones are: a convolution, a change of side, a block."""
    generator = torch.Generator().manual_seed(int(encoder))

    def conv(cout: int, cin: int, side: int = 3) -> torch.Tensor:
        return torch.randn(cout, cin, side, side, generator=generator) / (3 * side * cin**0.5)

    first = 0 if encoder else 1
    ends = (3, 4) if encoder else (4, 3)
    weights = {
        f"{first}.weight": conv(8, ends[0]),
        f"{first}.bias": torch.zeros(8),
        "3.weight": conv(8, 8),
        **{f"4.conv.{i}.{part}": conv(8, 8) if part == "weight" else torch.zeros(8)
           for i in (0, 2, 4) for part in ("weight", "bias")},
        "4.pool.0.weight": conv(16, 8, 1),
        "4.pool.1.weight": torch.ones(16),
        "4.pool.1.bias": torch.zeros(16),
        "4.pool.3.weight": conv(8, 16, 1),
        "5.weight": conv(ends[1], 8),
        "5.bias": torch.full((ends[1],), 0.5),
    }  # fmt: skip
    torch.save({name: value.half() for name, value in weights.items()}, path)
    return path


def test_an_autoencoder_is_read_off_its_public_weights(tmp_path: Path) -> None:
    encoder = half_of_an_autoencoder(tmp_path / "encoder.pth", True)
    decoder = half_of_an_autoencoder(tmp_path / "decoder.pth", False)
    autoencoder = read_autoencoder(encoder, decoder)
    made = reconstruct(VIEWS[0], autoencoder, multiple=2)
    assert made.shape == VIEWS[0].shape
    assert made.std() > 0
    with pytest.raises(UsageError, match="first"):
        read_autoencoder(decoder, encoder)
    torch.save({"fc.weight": torch.zeros(2, 2)}, tmp_path / "other.pth")
    with pytest.raises(UsageError, match=r"other\.pth"):
        read_autoencoder(encoder, tmp_path / "other.pth")
