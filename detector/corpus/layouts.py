"""Loads benchmarks as they lie on disk, so that one command evaluates on any of them.

Most are trees whose folders name the label, the generator and the split in some order; they
differ in the words and in what the folders above mean. `LAYOUTS` has one entry for each, and
`detect_layout` tells which of them a folder follows. What each benchmark is, and what to
beware of in it, is in `datasets/<name>/README.md`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from detector.corpus import parquet
from detector.corpus.samples import Sample, read_file
from detector.corpus.trees import (
    CAPITALS,
    NATURE_AI,
    NUMBERED,
    PLAIN,
    SUFFIXES,
    WILD,
    folders,
    images,
    labelled,
    side_by_side,
)
from detector.errors import CorpusError

SPLIT_WORDS = frozenset({"train", "val", "valid", "validation", "test", "eval"})
UNKNOWN = "unknown"  # the generator of generated images where a benchmark does not tell

_SYNTHBUSTER = frozenset(
    {"dalle2", "dalle3", "firefly", "glide", "midjourney-v5", "stable-diffusion-xl"}
    | {f"stable-diffusion-{version}" for version in ("1-3", "1-4", "2")}
)


@dataclass(frozen=True)
class Layout:
    """One benchmark's form on disk.

    Attributes:
        name: the word after `--layout`.
        title: the benchmark.
        form: what is accepted, as a pattern of paths.
        recognise: whether a folder looks like it; reads names only.
        load: every image below a folder.
    """

    name: str
    title: str
    form: str
    recognise: Callable[[Path], bool]
    load: Callable[[Path], list[Sample]]


def detect_layout(root: str | Path) -> str:
    """The name of the layout that a folder follows.

    Raises:
        CorpusError: none fits; the text lists what was found and what is accepted.
    """
    base = Path(root)
    if not base.is_dir():
        raise CorpusError(f"{base}: no such folder")
    for layout in LAYOUTS.values():
        if layout.recognise(base):
            return layout.name
    raise CorpusError(f"{base}: of no known layout\n{_found(base)}\n{accepted()}")


def load_layout(
    root: str | Path,
    layout: str = "auto",
    *,
    split: str | None = None,
    reals: str | Path | None = None,
) -> list[Sample]:
    """The images of a benchmark, sorted by their path below `root`.

    Args:
        layout: a key of `LAYOUTS`, or "auto".
        split: only images of this split, in the benchmark's own word ("val", "test", …).
        reals: a further folder of real images, for benchmarks that come without any.

    Raises:
        CorpusError: the folder is not of this layout, or holds no images of this split.
    """
    base = Path(root)
    name = detect_layout(base) if layout == "auto" else layout
    if name not in LAYOUTS:
        raise CorpusError(f"no layout is called {name!r}\n{accepted()}")
    if not base.is_dir():
        raise CorpusError(f"{base}: no such folder")
    samples = LAYOUTS[name].load(base)
    if not samples:
        raise CorpusError(
            f"{base}: no images in the form of {name}: {LAYOUTS[name].form}\n{_found(base)}"
        )
    if split is not None:
        splits = sorted({s.split for s in samples})
        samples = [s for s in samples if s.split == split]
        if not samples:
            raise CorpusError(f"{base}: no split {split!r}; there is {splits}")
    if reals is not None:
        samples += _real_folder(Path(reals), name)
    return sorted(samples, key=lambda s: s.key)


def accepted() -> str:
    """The accepted layouts, for messages."""
    lines = [f"  {layout.name:20} {layout.form}" for layout in LAYOUTS.values()]
    return "\n".join(["accepted layouts:", *lines])


# ---- from folders to samples ----------------------------------------------------------------


def _sample(path: Path, root: Path, name: str, label: int, part: str, **more: str) -> Sample:
    return Sample(
        key=path.relative_to(root).as_posix(),
        label=label,
        source=f"{name}/{part}" if part else name,
        generator=more.get("generator", "") if label else "",
        kind=more.get("kind", ""),
        split=more.get("split", ""),
        pair=False,
        read=partial(read_file, str(path)),
    )


def _tree(
    root: Path, *, name: str, words: dict[str, int], generator: str = "", alone: str = ""
) -> list[Sample]:
    """A tree of label folders: above each, a split word and the generator, in any order.

    The first folder above the label that is no split word names the generator and the source.

    Args:
        generator: of all generated images, whatever the folders say.
        alone: the generator where no folder names one; the root's name when "".
    """
    samples = []
    for folder, label, above in labelled(root, words):
        split = next((part for part in above if part in SPLIT_WORDS), "")
        names = [part for part in above if part not in SPLIT_WORDS]
        fallback = "" if generator or alone else root.resolve().name
        part = names[0] if names else fallback
        made_by = generator or part or alone
        samples += [
            _sample(path, root, name, label, part, generator=made_by, split=split)
            for path in images(folder)
        ]
    return samples


def _real_folder(root: Path, name: str) -> list[Sample]:
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder (of real images)")
    source = f"{name}/{root.resolve().name}"
    samples = [_sample(path, root, name, 0, root.resolve().name) for path in images(root)]
    if not samples:
        raise CorpusError(f"{root}: no images in it")
    return [replace(s, key=f"{source}/{s.key}") for s in samples]


def _found(root: Path) -> str:
    names = []
    for folder in folders(root):
        inner = [f"{folder.name}/{path.name}/" for path in folders(folder)]
        names += inner or [f"{folder.name}/"]
    beside = sum(1 for path in root.iterdir() if path.suffix.lower() in SUFFIXES)
    shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    return f"found: {shown or 'no folders'}; {beside} images beside them"


# ---- the benchmarks -------------------------------------------------------------------------


def _is_genimage(root: Path) -> bool:
    return any(above[-1:] in (("train",), ("val",)) for above in side_by_side(root, NATURE_AI))


def _load_genimage(root: Path) -> list[Sample]:
    return _tree(root, name="genimage", words=NATURE_AI)


def _is_cifake(root: Path) -> bool:
    return any(a in (("train",), ("test",)) for a in side_by_side(root, CAPITALS))


def _load_cifake(root: Path) -> list[Sample]:
    return _tree(root, name="cifake", words=CAPITALS, generator="stable-diffusion-1.4")


def _is_chameleon(root: Path) -> bool:
    named = "chameleon" in root.resolve().name.lower()
    for above in side_by_side(root, NUMBERED):
        inner = [part.lower() for part in above]
        if inner[-1:] == ["test"] and (named or inner[0] == "chameleon"):
            return True
    return False


def _load_chameleon(root: Path) -> list[Sample]:
    samples = _tree(root, name="chameleon", words=NUMBERED, generator=UNKNOWN)
    return [replace(s, source="chameleon") for s in samples]


def _is_forensynths(root: Path) -> bool:
    return any(set(above) - SPLIT_WORDS for above in side_by_side(root, NUMBERED))


def _load_forensynths(root: Path) -> list[Sample]:
    return _tree(root, name="forensynths", words=NUMBERED)


def _synthbuster_home(root: Path) -> Path:
    inner = root / "synthbuster"
    return inner if inner.is_dir() else root


def _is_synthbuster(root: Path) -> bool:
    home = _synthbuster_home(root)
    known = [folder for folder in folders(home) if folder.name in _SYNTHBUSTER]
    return any(next(images(folder), None) is not None for folder in known)


def _load_synthbuster(root: Path) -> list[Sample]:
    samples = []
    for folder in folders(_synthbuster_home(root)):
        real = folder.name.lower().startswith(("real", "raise", "0_real"))
        if not real and folder.name not in _SYNTHBUSTER:
            continue
        samples += [
            _sample(path, root, "synthbuster", int(not real), folder.name, generator=folder.name)
            for path in images(folder)
        ]
    return samples


def _is_mnw(root: Path) -> bool:
    return (root / "AI_Images").is_dir() or (root / "AI_media_in_the_wild").is_dir()


def _load_mnw(root: Path) -> list[Sample]:
    samples = []
    generators = root / "AI_Images"
    for folder in folders(generators) if generators.is_dir() else ():
        samples += [
            _sample(path, root, "mnw", 1, folder.name, generator=folder.name, split="test")
            for path in images(folder)
        ]
    wild = root / "AI_media_in_the_wild"
    for folder, label, above in labelled(wild, WILD) if wild.is_dir() else ():
        if above[-1:] and above[-1].lower() == "images":
            samples += [
                _sample(path, root, "mnw", label, "in-the-wild", generator=UNKNOWN, split="test")
                for path in images(folder)
            ]
    return samples


def _is_folders(root: Path) -> bool:
    return any(side_by_side(root, words) for words in PLAIN)


def _load_folders(root: Path) -> list[Sample]:
    words = {word: label for pair in PLAIN for word, label in pair.items()}
    return _tree(root, name=root.resolve().name, words=words, alone=UNKNOWN)


# The order matters to `detect_layout`: the particular before the general.
LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        Layout(
            "community-forensics",
            "Community Forensics, as Parquet files of the hub",
            "*.parquet with image_data, label, model_name, … (at the top or in data/)",
            parquet.is_community_forensics,
            parquet.load_community_forensics,
        ),
        Layout(
            "mnw",
            "Microsoft-Northwestern-WITNESS benchmark",
            "AI_Images/<generator>/*, AI_media_in_the_wild/**/{likely_authentic,…}/*",
            _is_mnw,
            _load_mnw,
        ),
        Layout("cifake", "CIFAKE", "{train,test}/{REAL,FAKE}/*", _is_cifake, _load_cifake),
        Layout(
            "genimage",
            "GenImage",
            "[<generator>/[<archive>/]]{train,val}/{ai,nature}/*",
            _is_genimage,
            _load_genimage,
        ),
        Layout(
            "chameleon",
            "Chameleon",
            "[Chameleon/]test/{0_real,1_fake}/* in a folder of that name",
            _is_chameleon,
            _load_chameleon,
        ),
        Layout(
            "forensynths",
            "ForenSynths (CNNDetection), and others in its form",
            "<generator>/[<class>/]{0_real,1_fake}/*",
            _is_forensynths,
            _load_forensynths,
        ),
        Layout(
            "synthbuster",
            "Synthbuster",
            "[synthbuster/]{dalle2,dalle3,firefly,…}/*, reals apart or in real*/ or RAISE*/",
            _is_synthbuster,
            _load_synthbuster,
        ),
        Layout(
            "folders",
            "plain folders",
            "[<generator>/][{train,val,test}/]{0_real,1_fake} or {real,fake} or {nature,ai}",
            _is_folders,
            _load_folders,
        ),
    )
}
