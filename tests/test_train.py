"""Training in small: the cache, the draws, a run that resumes, and the bundle at its end."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from detector import Detector
from detector.corpus.samples import Sample
from detector.errors import CorpusError, UsageError
from detector.model import TwoViewNet
from detector.train.cache import CropCache, build_cache, lengthen, sample_views, teachers_cut
from detector.train.config import OptimConfig, TrainConfig, read_config
from detector.train.curves import plot_curves
from detector.train.finish import finish, fit_fusion
from detector.train.initial import our_name, start_from_lite0
from detector.train.loop import TeacherFeatures, rate_at, softened, train
from detector.train.sampler import Drawn, Sampler
from detector.train.soft import read_soft_targets
from tests import files


def picture(label: int, seed: int) -> bytes:
    """A file whose class is easy to see: generated ones are bright."""
    rgb = files.pixels(90, 80, seed=seed) // 2 + 100 * label
    return files.png(rgb.astype(np.uint8)) if seed % 2 else files.jpeg(rgb.astype(np.uint8))


def made_samples() -> list[Sample]:
    samples = []
    for source, split, count in (("a", "train", 4), ("b", "train", 6), ("held", "train", 12),
                                 ("t", "test", 4)):  # fmt: skip
        for label in (0, 1):
            for i in range(count):
                seed = 1000 * label + 100 * ord(source[0]) + i
                samples.append(
                    Sample(f"{source}{label}{i}", label, source, "gen" if label else "", "photo",
                           split, source == "a", partial(picture, label, seed))
                )  # fmt: skip
    return samples


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> CropCache:
    folder = tmp_path_factory.mktemp("cache")
    broken = Sample("broken", 0, "a", "", "photo", "train", True, partial(bytes, 0))
    failed = build_cache([*made_samples(), broken], folder, workers=1)
    assert list(failed) == ["broken"]
    return CropCache.open(folder)


def small_config(steps: int = 6, **optim: float) -> TrainConfig:
    return TrainConfig(
        name="small_v1", seed=4, size=64, native=1, validation=("held",),
        optim=OptimConfig(steps=steps, batch=8, warmup=1, **optim),
    )  # fmt: skip


def test_a_cache_holds_every_view_of_every_sample(cache: CropCache) -> None:
    assert len(cache.index) == 53
    assert int(cache.usable.sum()) == 52
    for name, array in cache.arrays.items():
        assert array.dtype == np.uint8
        assert array.shape == ((53, 256, 256, 3) if "whole" in name else (53, 2, 256, 256, 3))
        assert array[cache.usable].reshape(52, -1).max(1).min() > 0


def test_a_cache_of_fewer_samples_grows_and_keeps_its_rows(tmp_path: Path) -> None:
    samples = made_samples()
    build_cache(samples[:20], tmp_path, workers=1)
    before = CropCache.open(tmp_path)
    kept = {name: np.array(array) for name, array in before.arrays.items()}
    np.save(tmp_path / "soft_whole.npy", np.full(20, 0.5, np.float32))
    looks: list[tuple[int, int]] = []
    # Those that are there already are not decoded twice, and need not be named.
    build_cache(
        samples[5:], tmp_path, workers=1, add=True, progress=lambda *done: looks.append(done)
    )
    assert len(looks) == len(samples) - 20
    grown = CropCache.open(tmp_path)
    assert grown.index[:20] == before.index
    assert {item["key"] for item in grown.index} == {sample.key for sample in samples}
    assert grown.usable.all()
    for name, array in grown.arrays.items():
        np.testing.assert_array_equal(array[:20], kept[name])
        assert array[20:].reshape(len(samples) - 20, -1).max(1).min() > 0
    soft = read_soft_targets(grown)["whole"]
    assert soft.shape == (len(samples),)
    assert np.isnan(soft[20:]).all()
    with pytest.raises(CorpusError, match="cannot grow"):
        lengthen(written_by_hand(tmp_path / "other.npy"), 99)


def written_by_hand(path: Path) -> Path:
    """An array whose header has no room for more rows."""
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (2,)}\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())
    with path.open("ab") as out:
        out.write(bytes(2))
    return path


def test_the_same_file_always_gives_the_same_views() -> None:
    first, second = (sample_views(picture(1, 7), "key") for _ in range(2))
    for name, pixels in first.items():
        np.testing.assert_array_equal(pixels, second[name])


def test_opening_a_cache_that_is_not_there_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="detector train cache"):
        CropCache.open(tmp_path)


def test_nothing_is_drawn_from_test_or_validation_sources(cache: CropCache) -> None:
    sampler = Sampler(cache, small_config())
    drawn = {row for label in sampler.rows for members in label for row in members}
    assert {cache.index[row]["source"] for row in drawn} == {"a", "b"}
    assert sampler.size == len(drawn) == 20


def test_a_batch_depends_on_seed_and_step_alone_and_is_balanced(cache: CropCache) -> None:
    one, two = (Sampler(cache, small_config()).batch(3, 1.0) for _ in range(2))
    np.testing.assert_array_equal(one["native"].pixels, two["native"].pixels)
    for drawn in one.values():
        assert drawn.pixels.shape == (4, 64, 64, 3)
        assert drawn.labels.mean() == 0.5
        assert drawn.clean is None


def test_views_cut_as_taught_are_the_teachers_and_say_which(cache: CropCache) -> None:
    config = small_config()
    taught = replace(config, data=replace(config.data, as_taught=1.0, web=0.5))
    gentle = Sampler(cache, replace(taught, optim=replace(taught.optim, gentle=0.0, ramp=1.0)))
    batch = gentle.batch(0, 0.0)  # no degradation: views are only mirrored
    for view, drawn in batch.items():
        assert set(drawn.arrays) <= {view, f"web_{view}"}
        for pixels, row, name in zip(drawn.pixels, drawn.rows, drawn.arrays, strict=True):
            seen = teachers_cut(cache.arrays[name][row], name, 64)
            assert any(np.array_equal(pixels, form) for form in (seen, seen[:, ::-1]))
    free = Sampler(cache, config)
    crops = {name for step in range(9) for name in free.batch(step, 0.0)["native"].arrays}
    assert crops == {"native", "web_native", ""}  # second crops are nobody's


def test_a_teacher_finds_each_view_by_the_array_it_was_cut_from() -> None:
    teacher = TeacherFeatures(
        {"whole": np.array([0, -1, 1]), "native": np.array([-1, 2, -1])},
        np.zeros((3, 4), np.float16),
    )
    views, labels = np.zeros((4, 8, 8, 3), np.uint8), np.zeros(4, np.float32)
    drawn = Drawn(views, labels, np.array([2, 1, 1, 0]), ("whole", "native", "", "web_native"))
    assert teacher.of(drawn).tolist() == [1, 2, -1, -1]


def test_caps_bound_what_a_source_gives(cache: CropCache) -> None:
    config = small_config()
    capped = TrainConfig(**{**vars(config), "data": type(config.data)(caps={"b": 2})})
    assert Sampler(cache, capped).size == 12


def test_a_smaller_share_of_the_sources_is_part_of_a_larger_one(cache: CropCache) -> None:
    config = small_config()
    names = [f"github:someone/things{i}" for i in range(400)]
    shares = [{n for n in names if replace(config.data, sources=s).uses(n)} for s in (0.25, 0.5, 1)]
    assert shares[0] < shares[1] < shares[2] == set(names)
    assert 60 < len(shares[0]) < 140
    # Of the two sources of this cache, sha256 puts "b" first.
    half = Sampler(cache, replace(config, data=replace(config.data, sources=0.5)))
    assert {cache.index[r]["source"] for label in half.rows for m in label for r in m} == {"b"}


def test_the_rate_rises_then_falls_to_nothing() -> None:
    optim = OptimConfig(steps=100, warmup=10)
    rates = [rate_at(step, optim) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == 1.0
    assert rates[100] == pytest.approx(0, abs=1e-9)


def test_a_run_that_stopped_goes_on_to_the_same_end(cache: CropCache, tmp_path: Path) -> None:
    def weights(folder: Path, minutes: list[float | None]) -> bytes:
        for limit in minutes:
            torch.manual_seed(0)
            path = train(
                cache, small_config(), TwoViewNet(dropout=0.0), folder,
                validate_every=99, validation_rows=4, minutes=limit,
            )  # fmt: skip
        return path.read_bytes()

    # A limit of no minutes stops after every single step.
    whole = weights(tmp_path / "whole", [None])
    pieces = weights(tmp_path / "pieces", [0, 0, None])
    assert (tmp_path / "pieces" / "state.safetensors").is_file()
    from safetensors.torch import load

    for name, value in load(whole).items():
        torch.testing.assert_close(load(pieces)[name], value, rtol=1e-3, atol=1e-4)


def test_a_run_learns_logs_and_draws_its_curves(cache: CropCache, tmp_path: Path) -> None:
    teacher = TeacherFeatures(
        {"whole": np.arange(53)}, np.random.default_rng(0).normal(size=(53, 5)).astype(np.float16)
    )
    config = small_config(steps=4, distil=0.5, labels=0.5)
    train(cache, config, TwoViewNet(), tmp_path, teacher=teacher, validation_rows=6)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 1, 2, 3]
    assert {"whole", "native", "distil", "norm"} <= set(lines[0])
    assert {"auc_whole", "auc_native", "auc_web_whole", "auc_web_native"} <= set(lines[-1])
    plot_curves(tmp_path / "log.jsonl", tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_finishing_fits_on_validation_sources_and_gives_a_usable_bundle(
    cache: CropCache, tmp_path: Path
) -> None:
    config = small_config(steps=2)
    weights = train(cache, config, TwoViewNet(), tmp_path / "run", validation_rows=4)
    bundle = finish(config, weights, made_samples(), tmp_path / "small_v1", {"seed": 4})
    assert bundle["validation"]["images"] == 24 * 3
    assert bundle["thresholds"]["inconclusive"] <= bundle["thresholds"]["likely_generated"]
    detector = Detector.load(tmp_path / "small_v1")
    assert detector.model_id == "small_v1"
    assert detector.predict(picture(1, 3)).ok


def test_fusion_trusts_the_view_that_knows() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2
    knows, guesses = 3.0 * labels - 1.5 + rng.normal(size=400), rng.normal(size=400)
    logits = np.stack([knows, guesses, np.zeros(400)], 1)
    fusion = fit_fusion(logits, labels, np.full(400, 1 / 200))
    assert fusion["whole"] > 1
    assert abs(fusion["native"]) < 0.3
    assert fusion["detail"] == 0


def test_configs_are_read_strictly(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('name = "x_v1"\nsize = 96\n[optim]\nsteps = 3\n[degradations]\nquality=[50,60]')
    config = read_config(file)
    assert (config.name, config.size, config.optim.steps) == ("x_v1", 96, 3)
    assert config.degradations.quality == (50, 60)
    file.write_text('name = "x"\n[optim]\nlearning_rate = 3')
    with pytest.raises(UsageError, match="learning_rate"):
        read_config(file)
    file.write_text("name = ")
    with pytest.raises(UsageError, match="TOML"):
        read_config(file)
    with pytest.raises(UsageError, match="cannot be read"):
        read_config(tmp_path / "none.toml")


def test_public_weights_fit_tensor_by_tensor(tmp_path: Path) -> None:
    donor = TwoViewNet()
    back = {
        "stem": "_conv_stem", "stem_norm": "_bn0", "top": "_conv_head", "top_norm": "_bn1",
        "expand": "_expand_conv", "norm0": "_bn0", "depthwise": "_depthwise_conv",
        "norm1": "_bn1", "project": "_project_conv", "norm2": "_bn2",
    }  # fmt: skip
    public = {}
    for name, value in donor.state_dict().items():
        parts = name.split(".")
        if parts[0] in ("heads", "feature_norm"):
            continue
        inside = parts[0] == "blocks"
        new = ["_blocks", parts[1], back[parts[2]], parts[3]] if inside else [
            back[parts[0]], parts[1]]  # fmt: skip
        public[".".join(new)] = value
        assert our_name(".".join(new)) == name
    public["_fc.weight"] = torch.zeros(10, 1280)
    torch.save(public, tmp_path / "lite0.pth")
    net = start_from_lite0(TwoViewNet(), tmp_path / "lite0.pth")
    torch.testing.assert_close(net.stem.weight, donor.stem.weight)
    (tmp_path / "bad.pth").write_bytes(b"no weights")
    with pytest.raises(UsageError, match=r"bad\.pth"):
        start_from_lite0(TwoViewNet(), tmp_path / "bad.pth")


def test_an_option_is_changed_from_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('name = "x_v1"\n[head]\nhidden = 8\nmembers = 2\n')
    config = read_config(file, ["head.hidden=0", "native=0", 'validation=["a"]'])
    assert (config.head.hidden, config.head.members, config.native) == (0, 2, 0)
    assert config.validation == ("a",)
    for wrong in ("head.hidden", "head.width=3", "head="):
        with pytest.raises(UsageError, match=wrong.split("=")[0].split(".")[-1]):
            read_config(file, [wrong])


def test_soft_targets_move_labels_only_where_there_are_any() -> None:
    views = np.zeros((2, 8, 8, 3), np.uint8)
    labels, rows = np.array([0, 1], np.float32), np.array([0, 1])
    drawn = Drawn(views, labels, rows, ("whole",) * len(rows))
    batch = {"whole": drawn, "native": drawn}
    mixed = softened(batch, {"whole": np.array([0.4, np.nan], np.float32)}, 0.5)
    assert mixed["whole"].labels.tolist() == pytest.approx([0.2, 1.0])
    assert mixed["native"].labels.tolist() == [0.0, 1.0]
