"""Others' classifiers are fed as they want it, mapped to one score, and never judged unmeasured."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from detector.cli import main
from detector.errors import BundleError, UsageError
from detector.integrations import hub
from detector.integrations.hub.cutters import SquareCutter
from detector.integrations.hub.labels import label_indices
from detector.preprocess import prepare
from detector.results import Status, Verdict
from detector.scorers import Scorer, load_scorer
from detector.store import Store

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers", reason="needs the extra hub")
timm = pytest.importorskip("timm", reason="needs the extra hub")


def checkpoint(folder: Path, labels: list[str], processor: Any = None) -> Path:
    """A ViT with a few hundred random weights, as transformers saves one."""
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=48,
        patch_size=16,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    )
    net = transformers.ViTForImageClassification(config)
    net.classifier.weight.data.normal_(0, 2.0)
    net.save_pretrained(folder)
    usual = transformers.ViTImageProcessor(size={"height": 48, "width": 48})
    (processor or usual).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with the labels artificial and human."""
    return checkpoint(tmp_path_factory.mktemp("hub") / "tiny", ["artificial", "human"])


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PNG with something to see."""
    rng = np.random.default_rng(1)
    small = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
    path = tmp_path_factory.mktemp("pictures") / "a.png"
    small.resize((240, 180), Image.Resampling.BICUBIC).save(path)
    return path


def score(scorer: Scorer, picture: Path) -> Any:
    """The finding of one picture."""
    return scorer.score_prepared([prepare(str(picture), None, scorer.bundle.preprocess)])[0]


@pytest.mark.parametrize(
    "processor",
    [
        transformers.ViTImageProcessor(size={"height": 48, "width": 48}),
        transformers.CLIPImageProcessor(size={"shortest_edge": 56}, crop_size=48),
        transformers.ConvNextImageProcessor(size={"shortest_edge": 48}),
    ],
    ids=lambda p: type(p).__name__,
)
def test_a_checkpoint_scores_as_transformers_itself_does(
    tmp_path: Path, picture: Path, processor: Any
) -> None:
    folder = checkpoint(tmp_path / "m", ["real", "fake"], processor)
    finding = score(hub.load(str(folder)), picture)
    net = transformers.AutoModelForImageClassification.from_pretrained(folder).eval()
    own = transformers.AutoImageProcessor.from_pretrained(folder)
    with torch.inference_mode():
        inputs = own(images=[np.asarray(Image.open(picture))], return_tensors="pt")
        logits = net(**inputs).logits[0]
    assert finding.score == pytest.approx(float(logits[1] - logits[0]), abs=1e-4)
    assert abs(finding.score) > 1e-3


def test_a_finding_of_an_uncalibrated_model_says_no_more_than_inconclusive(
    vit: Path, picture: Path
) -> None:
    scorer = hub.load(str(vit))
    finding = score(scorer, picture)
    assert finding.status is Status.OK
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.verdict_code == "uncalibrated"
    assert finding.probability is None
    assert finding.lr is None
    assert "detector calibrate" in finding.reason
    assert finding.model == "hf:tiny"


def test_labels_the_other_way_round_give_the_score_the_other_way_round(
    vit: Path, picture: Path
) -> None:
    usual = score(hub.load(str(vit)), picture)
    turned = score(hub.load(f"{vit}#generated=human"), picture)
    assert turned.score == pytest.approx(-usual.score, abs=1e-5)
    assert hub.load(f"{vit}#generated=human").config_hash != hub.load(str(vit)).config_hash


def test_a_file_that_cannot_be_read_is_a_finding_beside_the_others(
    vit: Path, picture: Path
) -> None:
    scorer = hub.load(str(vit))
    config = scorer.bundle.preprocess
    both = [prepare("x", b"no image", config), prepare(str(picture), None, config)]
    found = scorer.score_prepared(both)
    assert [f.status for f in found] == [Status.UNSUPPORTED, Status.OK]


def test_preprocessing_travels_to_worker_processes(vit: Path, picture: Path) -> None:
    config = pickle.loads(pickle.dumps(hub.load(str(vit)).bundle.preprocess))
    views = prepare(str(picture), None, config).views
    assert views is not None
    assert views.whole is not None
    assert views.whole.shape == (48, 48, 3)
    assert views.whole.dtype == np.uint8


@pytest.mark.parametrize(
    ("labels", "generated", "real"),
    [
        (["artificial", "human"], [0], [1]),
        (["REAL", "FAKE"], [1], [0]),
        (["AiArt", "Photo"], [0], [1]),
        (["LABEL_0", "LABEL_1"], [1], [0]),
        (["real", "ai generated", "deepfake"], [1, 2], [0]),
        (["logit"], [0], []),
    ],
)
def test_labels_are_known_by_their_words(
    labels: list[str], generated: list[int], real: list[int]
) -> None:
    assert label_indices(labels, {})[:2] == (generated, real)


def test_numbered_labels_are_noted_as_a_guess() -> None:
    assert "1 was taken for generated" in label_indices(["0", "1"], {})[2][0]
    assert label_indices(["fake", "real"], {})[2] == ()


@pytest.mark.parametrize("labels", [["cat", "dog"], ["fake", "ai"], ["real fake", "photo"]])
def test_labels_in_doubt_are_an_error_that_names_the_cure(labels: list[str]) -> None:
    with pytest.raises(UsageError, match="generated"):
        label_indices(labels, {})


def test_an_override_names_labels_that_exist() -> None:
    assert label_indices(["cat", "dog", "cow"], {"generated": ["dog"]})[:2] == ([1], [0, 2])
    named = {"generated": ["dog"], "real": ["cat"]}
    assert label_indices(["cat", "dog", "cow"], named)[:2] == ([1], [0])
    with pytest.raises(UsageError, match="no such label: bird"):
        label_indices(["cat", "dog"], {"generated": ["bird"]})


@given(st.lists(st.text(max_size=12), min_size=2, max_size=5, unique=True))
def test_any_labels_are_split_in_two_or_refused(labels: list[str]) -> None:
    try:
        generated, real, _ = label_indices(labels, {})
    except UsageError:
        return
    assert generated
    assert real
    assert sorted([*generated, *real]) == list(range(len(labels)))


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path: Path, vit: Path) -> None:
    with pytest.raises(BundleError, match=r"config\.json"):
        hub.load(str(tmp_path))
    with pytest.raises(BundleError, match="neither a folder nor"):
        hub.load("no/such/place")
    with pytest.raises(UsageError, match="hf:FOLDER"):
        hub.load("")
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "preprocessor_config.json"):
        (bare / name).write_text((vit / name).read_text())
    (bare / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(BundleError, match="no safetensors"):
        hub.load(str(bare))


def test_scan_takes_a_checkpoint_by_its_name(vit: Path, picture: Path, tmp_path: Path) -> None:
    store = tmp_path / "r.db"
    command = ["scan", str(picture), "--model", f"hf:{vit}", "--store", str(store), "-q"]
    assert main([*command, "--workers", "0"]) == 0
    with Store.open(store) as opened:
        (finding,) = opened.findings()
    assert (finding.model, finding.verdict_code) == ("hf:tiny", "uncalibrated")
    assert finding.score == score(load_scorer(f"hf:{vit}"), picture).score


# --- Community Forensics --------------------------------------------------------------------


@pytest.fixture(scope="module")
def commfor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the smallest size, with random weights."""
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("hub") / "commfor-tiny"
    folder.mkdir()
    config = {"model_size": "tiny", "input_size": 224, "patch_size": 16}
    (folder / "config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    net = timm.create_model("vit_tiny_patch16_224", num_classes=1)
    net.head.weight.data.normal_(0, 1.0)
    weights = {f"vit.{k}": v.contiguous() for k, v in net.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    return folder


def test_community_forensics_scores_as_its_published_transform_gives(
    commfor: Path, picture: Path
) -> None:
    from safetensors.torch import load_file
    from torchvision import transforms

    finding = score(hub.load_community_forensics(str(commfor)), picture)
    net = timm.create_model("vit_tiny_patch16_224", num_classes=1).eval()
    weights = load_file(commfor / "model.safetensors")
    net.load_state_dict({k.removeprefix("vit."): v for k, v in weights.items()})
    published = transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    with torch.inference_mode():
        expected = float(net(published(Image.open(picture).convert("RGB"))[None])[0, 0])
    assert finding.score == pytest.approx(expected, abs=1e-4)
    assert finding.verdict_code == "uncalibrated"


@given(st.integers(33, 300), st.integers(33, 300))
def test_the_centre_square_equals_torchvision_s(width: int, height: int) -> None:
    from torchvision import transforms

    rgb = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    both = transforms.Compose([transforms.Resize(80), transforms.CenterCrop(64)])
    view = SquareCutter(80, 64).cut(rgb).whole
    assert np.array_equal(view, np.asarray(both(Image.fromarray(rgb))))


def test_a_checkpoint_of_another_kind_is_not_taken_for_community_forensics(vit: Path) -> None:
    with pytest.raises(BundleError, match="not a Community Forensics checkpoint"):
        hub.load_community_forensics(str(vit))
