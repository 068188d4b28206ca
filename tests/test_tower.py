"""The borrowed tower, its heads, and how a user adds it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from detector import backbones, weights
from detector.__main__ import main
from detector.errors import BundleError, CorpusError, UsageError
from detector.model import to_tensor
from detector.predict import Detector
from detector.tower import TokenNet, Tower, read_tower
from detector.train.cache import CropCache
from detector.train.config import HeadConfig, TrainConfig
from detector.train.finish import draft_config, write_bundle
from detector.train.heads import TokenData, draw_weights, judge_head, read_tokens, train_heads
from detector.train.loop import write_weights
from detector.train.teacher import TokenFiles, cache_tokens, capped_rows
from tests.towers import LAYERS, WIDTH, tiny_tower

VIEWS = np.random.default_rng(1).integers(0, 256, (3, 224, 224, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def tower_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_tower(tmp_path_factory.mktemp("tower") / "tower.onnx")


@pytest.fixture
def added(tower_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The tiny tower in place of the public one, added to an empty home."""
    expect(tower_file, monkeypatch)
    monkeypatch.setenv("DETECTOR_HOME", str(tmp_path / "home"))
    backbones.add("clip_vit_b16_int8", tower_file)
    return "clip_vit_b16_int8"


def expect(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = file.read_bytes()
    tiny = dataclasses.replace(
        backbones.BACKBONES["clip_vit_b16_int8"],
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
    )
    monkeypatch.setitem(backbones.BACKBONES, "clip_vit_b16_int8", tiny)


def token_bundle(folder: Path) -> Path:
    torch.manual_seed(0)
    net = TokenNet((1, LAYERS), patches=True, hidden=4, members=2, width=WIDTH).eval()
    config = draft_config(TrainConfig(name=folder.name, design="clip_tokens", native=1))
    config["architecture"] |= {
        "layers": [1, LAYERS],
        "patches": True,
        "hidden": 4,
        "members": 2,
        "width": WIDTH,
    }
    folder.mkdir()
    return write_bundle(folder, write_weights(net.half(), folder / "model.safetensors"), config)


def test_tokens_hold_class_mean_and_deviation_of_each_layer(tower_file: Path) -> None:
    tower = Tower(read_tower(tower_file), torch.float32)
    both, last = tower.tokens(VIEWS, (1, 2)), tower.tokens(VIEWS, (2,))
    assert both.shape == (3, 6, WIDTH)
    torch.testing.assert_close(both[:, 3:], last)


def test_bfloat16_and_float32_see_nearly_the_same(tower_file: Path) -> None:
    weights_ = read_tower(tower_file)
    exact = Tower(weights_, torch.float32).tokens(VIEWS, (2,))
    quick = Tower(weights_, torch.bfloat16).tokens(VIEWS, (2,))
    assert torch.nn.functional.cosine_similarity(exact, quick, dim=-1).min() > 0.999


def test_a_head_reads_the_same_pixels_as_the_tower_alone(tower_file: Path) -> None:
    net = TokenNet((2,), hidden=4, members=1, width=WIDTH).eval()
    net.tower = Tower(read_tower(tower_file), torch.float32)
    direct = net.tower.tokens(VIEWS, (2,))[:, 0]
    torch.testing.assert_close(net.embed(to_tensor(VIEWS)), direct, atol=1e-4, rtol=1e-4)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.onnx"
    file.write_bytes(b"not onnx")
    with pytest.raises(UsageError, match=r"other\.onnx"):
        read_tower(file)


def test_a_bundle_on_a_tower_scores_once_the_tower_was_added(added: str, tmp_path: Path) -> None:
    folder = token_bundle(tmp_path / "tokens_v1")
    finding = Detector.load(folder).predict(VIEWS[0])
    assert finding.score is not None
    assert {crop.view for crop in finding.crops} == {"whole", "native"}
    backbones.remove(added)
    assert not weights.load_bundle(folder).usable
    with pytest.raises(BundleError, match="models add thorough"):
        Detector.load(folder)


def test_an_altered_tower_is_refused_at_load(added: str, tmp_path: Path) -> None:
    path = backbones.path_of(added)
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    with pytest.raises(BundleError, match="sha256"):
        Detector.load(token_bundle(tmp_path / "tokens_v1"))


def test_a_tower_is_added_from_a_wheel_a_folder_or_a_file(
    tower_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect(tower_file, monkeypatch)
    monkeypatch.setenv("DETECTOR_HOME", str(tmp_path / "home"))
    inside = backbones.find("clip_vit_b16_int8").file
    wheel = tmp_path / "package.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(tower_file, inside)
    unpacked = tmp_path / "unpacked" / inside
    unpacked.parent.mkdir(parents=True)
    unpacked.write_bytes(tower_file.read_bytes())
    for source in (wheel, tmp_path / "unpacked", tower_file):
        assert backbones.add("clip_vit_b16_int8", source).read_bytes() == tower_file.read_bytes()
        assert backbones.remove("clip_vit_b16_int8")
    other = tmp_path / "other.onnx"
    other.write_bytes(b"other")
    with pytest.raises(UsageError, match="another file"):
        backbones.add("clip_vit_b16_int8", other)


def test_the_strongest_usable_profile_is_the_one_used(
    added: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assets = tmp_path / "assets"
    assets.mkdir()
    token_bundle(assets / "tokens_v1")
    default = weights.DEFAULT_BUNDLE
    (assets / default).symlink_to(weights.ASSETS / default)
    monkeypatch.setattr(weights, "ASSETS", assets)
    monkeypatch.setattr(weights, "PROFILES", {"default": default, "thorough": "tokens_v1"})
    assert weights.load_bundle().id == "tokens_v1"
    assert weights.load_bundle("default").id == default
    assert main(["models", "remove", "thorough"]) == 0
    assert weights.load_bundle().id == default
    assert weights.load_bundle("thorough").id == "tokens_v1"
    main(["models", "--json"])
    listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()[-2:]]
    assert {item["id"]: item["used"] for item in listed} == {default: True, "tokens_v1": False}


def tokens_cache(folder: Path) -> CropCache:
    """A cache of flat pictures of eight sources whose brightness tells the class."""
    index = [
        {
            "key": f"k{i}",
            "label": i % 2,
            "source": f"s{i % 8}",
            "generator": "" if i % 2 == 0 else "sd1" if i % 8 < 4 else "dalle3",
            "kind": "photo",
            "split": "train",
            "pair": i % 8 < 4,
        }
        for i in range(64)
    ]
    folder.mkdir()
    rng = np.random.default_rng(0)
    shades = np.array([60 + 120 * (i % 2) for i in range(64)], np.uint8)
    whole = np.broadcast_to(shades[:, None, None, None], (64, 256, 256, 3)).copy()
    whole += rng.integers(0, 30, (64, 1, 1, 3)).astype(np.uint8)
    for name in ("whole", "web_whole"):
        np.save(folder / f"{name}.npy", whole)
    for name in ("native", "web_native"):
        np.save(folder / f"{name}.npy", np.stack([whole, whole], 1))
    np.save(folder / "done.npy", np.ones(64, bool))
    (folder / "index.json").write_text(json.dumps(index))
    return CropCache.open(folder)


@pytest.fixture
def looked_at(tower_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CropCache:
    """A cache whose whole and native views the tiny tower has looked at."""
    from detector.train import heads, teacher

    monkeypatch.setattr(teacher, "WIDTH", WIDTH)
    monkeypatch.setattr(heads, "TokenNet", lambda *a: TokenNet(*a, width=WIDTH))
    cache = tokens_cache(tmp_path / "cache")
    tower = Tower(read_tower(tower_file), torch.float32)
    for view in ("whole", "native"):
        cache_tokens(tower, cache, np.arange(64), view=view, layers=(1, 2))
    return cache


def test_tokens_of_some_layers_say_which_and_refuse_others(looked_at: CropCache) -> None:
    files = TokenFiles(looked_at.folder, "whole")
    assert files.layers == (1, 2)
    assert files.features((2,)).shape == (64, WIDTH)
    both = files.features((1, 2), patches=True)
    np.testing.assert_array_equal(both[:, 3 * WIDTH : 4 * WIDTH], files.features((2,)))
    with pytest.raises(CorpusError, match="no tokens of layer 3"):
        files.features((2, 3))


def test_what_the_tower_has_looked_at_is_kept_and_only_the_rest_is_looked_at(
    looked_at: CropCache,
) -> None:
    files = TokenFiles(looked_at.folder, "web_whole")
    looks: list[int] = []

    class Counting:
        def tokens(self, views: np.ndarray, layers: tuple[int, ...]) -> torch.Tensor:
            looks.append(len(views))
            found = (
                views[:, 0, 0, :1].astype(np.float32)[:, :, None]
                + np.arange(3 * len(layers))[None, :, None]
            )
            return torch.from_numpy(np.repeat(found, WIDTH, 2))

    def look(rows: list[int], layers: tuple[int, ...]) -> None:
        looks.clear()
        cache_tokens(
            Counting(), looked_at, np.array(rows), view="web_whole", layers=layers, batch=4
        )

    look(list(range(10, 20)), (1, 2))
    assert sum(looks) == 10
    first = files.read()[1].copy()
    look([19, 30, 12, 31, 32], (1, 2))
    assert sum(looks) == 3
    rows, tokens = files.read()
    assert rows.tolist() == [*range(10, 20), 30, 31, 32]
    np.testing.assert_array_equal(tokens[:10], first)
    look([31], (2,))  # fewer layers: taken from what is there
    assert not looks
    assert files.layers == (2,)
    np.testing.assert_array_equal(files.read()[1][:10], first[:, 3:])
    look([31, 40], (1, 2))  # more layers than were kept: anew
    assert sum(looks) == 2
    assert files.read()[0].tolist() == [31, 40]


def test_validation_sources_may_come_first_for_the_tower(looked_at: CropCache) -> None:
    rows = capped_rows(looked_at, 4, first=("s1", "s5"))
    sources = [looked_at.index[row]["source"] for row in rows]
    early = [source in ("s1", "s5") for source in sources]
    assert early == sorted(early, reverse=True)
    assert sum(early) == 8
    assert not len(capped_rows(looked_at, 4, view="detail"))  # no such views were made


def test_heads_learn_from_cached_tokens_and_judge_themselves_on_held_out_sources(
    looked_at: CropCache, tmp_path: Path
) -> None:
    cache = looked_at
    seen, tokens = TokenFiles(cache.folder, "whole").read()
    assert tokens.shape == (64, 6, WIDTH)
    assert seen.tolist() == list(range(64))
    config = TrainConfig(
        name="tokens_v1",
        design="clip_tokens",
        native=1,
        validation=("s0", "s1"),
        head=HeadConfig(layers=(1, 2), hidden=8, members=2, steps=120, batch=32),
    )
    weights_file = train_heads(cache, config, tmp_path / "run")
    log = [json.loads(x) for x in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["view"] for line in log] == ["whole", "native"]
    assert all(line["auc"] == 1.0 for line in log)
    again = train_heads(cache, config, tmp_path / "again")
    assert again.read_bytes() == weights_file.read_bytes()
    data = read_tokens(cache, config, "whole")
    assert not data.weights[data.held_out].any()
    untrained = TokenNet((1, 2), True, 8, 2, ("whole",), width=WIDTH).eval()
    assert set(judge_head(untrained, "whole", data)) == {"auc", "tpr_at_5", "auc_matched"}


def test_a_family_left_out_of_training_is_judged_on_all_its_images(
    looked_at: CropCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from detector.train import families

    monkeypatch.setattr(families, "LEAST_IMAGES", 8)
    config = TrainConfig(
        name="tokens_v1",
        design="clip_tokens",
        validation=("s0", "s1"),
        head=HeadConfig(layers=(1, 2), hidden=8, members=2, steps=60, batch=32),
    )
    found = families.leave_families_out(looked_at, config, tmp_path / "out")
    by_name = {figures.family: figures for figures in found}
    assert set(by_name) == {"DALL·E", "Stable Diffusion 1"}
    assert by_name["DALL·E"].images == 16
    assert by_name["DALL·E"].auc == 1.0
    assert by_name["DALL·E"].seen_auc is None
    assert by_name["Stable Diffusion 1"].seen_auc == 1.0
    record = json.loads((tmp_path / "out" / "families.json").read_text())
    assert len(record["families"]) == 2


def test_soft_targets_come_from_heads_that_never_saw_the_source(
    looked_at: CropCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    from detector.train import heads, soft

    seen: list[set[str]] = []
    train = heads.train_head

    def watched(net: TokenNet, view: str, data: TokenData, config: TrainConfig) -> None:
        drawn = torch.nonzero(data.weights).squeeze(1).tolist()
        seen.append({looked_at.index[row]["source"] for row in drawn})
        train(net, view, data, config)

    monkeypatch.setattr(heads, "train_head", watched)
    config = TrainConfig(
        name="tokens_v1",
        design="clip_tokens",
        validation=("s0",),
        head=HeadConfig(layers=(1, 2), hidden=8, members=1, steps=60, batch=32),
    )
    soft.write_soft_targets(looked_at, config, folds=3)
    targets = soft.read_soft_targets(looked_at)
    assert set(targets) == {"whole", "native"}
    for row, item in enumerate(looked_at.index):
        assert np.isnan(targets["whole"][row]) == (item["source"] == "s0")
    known = [row for row, item in enumerate(looked_at.index) if item["source"] != "s0"]
    labels = np.array([looked_at.index[row]["label"] for row in known])
    assert np.mean((targets["whole"][known] > 0.5) == labels) > 0.9
    every = {f"s{i}" for i in range(1, 8)}
    assert len(seen) == 6
    assert all(drawn < every for drawn in seen)
    left_out = [every - drawn for drawn in seen[:3]]
    assert set.union(*left_out) == every


def test_draws_are_even_over_classes_and_leave_test_and_validation_out() -> None:
    items = [
        {"source": s, "label": y, "split": split, "pair": False}
        for s, y, split, count in (
            ("a", 0, "train", 9),
            ("b", 0, "train", 1),
            ("c", 1, "train", 4),
            ("v", 1, "train", 5),
            ("t", 0, "test", 5),
        )
        for _ in range(count)
    ]
    drawn = draw_weights(items, TrainConfig(name="x", validation=("v",))).numpy()
    of = {s: sum(w for w, i in zip(drawn, items, strict=True) if i["source"] == s) for s in "abcvt"}
    assert of["v"] == of["t"] == 0
    assert of["a"] + of["b"] == pytest.approx(1)
    assert of["c"] == pytest.approx(1)
    assert of["a"] == pytest.approx(3 * of["b"])
