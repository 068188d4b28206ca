"""Images of known origin from installable packages, so that the tool can be tried at once.

The photographs ship inside scikit-image's wheel, the generated images inside the wheel of
`comfyui-workflow-templates-media-image`; nothing is downloaded. Every file is checked against
the sha256 that it had when it was looked at.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from detector.errors import MissingExtraError, UsageError

# name, sha256, generator: single finished images, looked at one by one; no before-and-after
# pairs, no edited photographs, no input images, no posters made of several pictures.
GENERATED: tuple[tuple[str, str, str], ...] = (
    (
        "api_bytedance_seedream_5_0_lite_t2i-1.webp",
        "c18b024da89ee14ffe2fa460a0fe36893542afe064105f04adc68b889cefe5c3",
        "Seedream 5.0 lite",
    ),
    (
        "api_recraft_v4_t2i-1.webp",
        "101405c75715c9458a12816ade0e30bf6ec8613ef704ed26f388304020c2a9c7",
        "Recraft v4",
    ),
    (
        "default-1.webp",
        "a8931d78303c3c5a18268c9f70d37e4d84b9d93cd9ae29c7a2ae21b237463903",
        "ComfyUI default",
    ),
    (
        "flux1_krea_dev-1.webp",
        "4eb0b06c9cb151b62cee573f332b9f5bb11fa93d6b836843ad0e70c26b091731",
        "FLUX.1 Krea dev",
    ),
    (
        "flux_dev_checkpoint_example-1.webp",
        "983ed8d23e75f7bac7f962dc11bf16a974af7ebd62c57be3365de3fc942a06db",
        "FLUX.1 dev",
    ),
    (
        "flux_schnell-1.webp",
        "7d0ee3729029efc052bb9b74c2099df5ba4928e72642b2691c3c3af52775a11c",
        "FLUX.1 schnell",
    ),
    (
        "hidream_i1_dev-1.webp",
        "4956f5471da3ecf610ddb2e94b88a10c71a7107cee2ef7310346bebc462bc370",
        "HiDream I1 dev",
    ),
    (
        "image_chroma_text_to_image-1.webp",
        "7b163b4eb307c0b8aa3acdeb01eb08e78e39ee6c1b6600de29d5ef157309cacb",
        "Chroma",
    ),
    (
        "image_flux2_klein_text_to_image-1.webp",
        "dc061b092390279bcd71e3121aead0e816f8bb22d5ff9b866b5ef2112157ccc0",
        "FLUX.2 klein",
    ),
    (
        "image_kandinsky5_t2i-1.webp",
        "1a3c9c5e9b8727b7d027e320e0c43b6cb7ef9c117b0adc0953c7489e93aad4d9",
        "Kandinsky 5",
    ),
    (
        "image_qwen_image-1.webp",
        "9b61fc1058f6ddc310347eca0902777617b10bae962ea5fb303f7eddbf6ec5f4",
        "Qwen-Image",
    ),
    (
        "image_z_image_turbo-1.webp",
        "2e55bb579c40bdfa785eece644a78431bba4eac60f567835142a58aa41d548dd",
        "Z-Image turbo",
    ),
    (
        "sd3.5_simple_example-1.webp",
        "129a08018afc03e7734176260c867c9365671a92fe6d6468f2d80a8a6f34c0c9",
        "Stable Diffusion 3.5",
    ),
    (
        "sdxl_simple_example-1.webp",
        "edbd2ddcd6f4926a63721c390c88e56f9c4694e0830e40c50a31990718e63633",
        "SDXL",
    ),
    (
        "sdxlturbo_example-1.webp",
        "97f4b668675d15caa717f90dd1fc47b561bf0d5d3ec75ff0a8f0fb312456f4d7",
        "SDXL Turbo",
    ),
)

# name, sha256: the files in scikit-image's wheel that are photographs (or, for the Hubble deep
# field and the retina, exposures of scientific cameras); not its drawings, scans and phantoms.
PHOTOGRAPHS: tuple[tuple[str, str], ...] = (
    ("astronaut.png", "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5"),
    ("brick.png", "7966caf324f6ba843118d98f7a07746d22f6a343430add0233eca5f6eaaa8fcf"),
    ("camera.png", "b0793d2adda0fa6ae899c03989482bff9a42d3d5690fc7e3648f2795d730c23a"),
    ("chelsea.png", "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb"),
    ("coffee.png", "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7"),
    ("coins.png", "f8d773fc9cfa6f4d8e5942dc34d0a0788fcaed2a4fefbbed0aef5398d7ef4cba"),
    ("grass.png", "b6b6022426b38936c43a4ac09635cd78af074e90f42ffa8227ac8b7452d39f89"),
    ("gravel.png", "c48615b451bf1e606fbd72c0aa9f8cc0f068ab7111ef7d93bb9b0f2586440c12"),
    ("hubble_deep_field.jpg", "3a19c5dd8a927a9334bb1229a6d63711b1c0c767fb27e2286e7c84a3e2c2f5f4"),
    ("moon.png", "78739619d11f7eb9c165bb5d2efd4772cee557812ec847532dbb1d92ef71f577"),
    ("motorcycle_left.png", "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179"),
    ("retina.jpg", "38a07f36f27f095e818aea7b96d34202c05176d30253c66733f2e00379e9e0e6"),
    ("rocket.jpg", "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c"),
)


@dataclass(frozen=True)
class DemoImage:
    """One image of the demonstration.

    Attributes:
        name: file name.
        generated: whether a generator made it.
        origin: "photograph", or the generator as far as the file's name tells.
        source: the file in the installed package.
    """

    name: str
    generated: bool
    origin: str
    source: Path


@dataclass(frozen=True)
class DemoSet:
    """The images at hand, and what is lacking.

    Attributes:
        images: whose bytes are the listed ones.
        lacking: names of listed files that are not there, or are other bytes.
        packages: packages of the `demo` extra that are not installed.
    """

    images: tuple[DemoImage, ...]
    lacking: tuple[str, ...]
    packages: tuple[str, ...]


def find_images() -> DemoSet:
    """Look the listed images up in the installed packages, without importing these.

    Raises MissingExtraError when neither package is installed.
    """
    photographs = _folder("skimage", "data")
    generated = _folder("comfyui_workflow_templates_media_image", "templates")
    if photographs is None and generated is None:
        raise MissingExtraError("The demo", "demo")
    wanted: list[tuple[DemoImage, str]] = []
    if photographs is not None:
        wanted += [
            (DemoImage(name, False, "photograph", photographs / name), sha256)
            for name, sha256 in PHOTOGRAPHS
        ]
    if generated is not None:
        wanted += [
            (DemoImage(name, True, generator, generated / name), sha256)
            for name, sha256, generator in GENERATED
        ]
    found = [image for image, sha256 in wanted if _digest(image.source) == sha256]
    names = {image.name for image in found}
    return DemoSet(
        tuple(found),
        tuple(image.name for image, _ in wanted if image.name not in names),
        tuple(
            package
            for package, folder in (
                ("scikit-image", photographs),
                ("comfyui-workflow-templates-media-image", generated),
            )
            if folder is None
        ),
    )


def copy_images(images: tuple[DemoImage, ...], folder: Path) -> dict[str, DemoImage]:
    """Copy the images to `photographs/` and `generated/` under a folder.

    Returns the images by the path of their copy. Raises UsageError when it cannot be written.
    """
    copies: dict[str, DemoImage] = {}
    try:
        for image in images:
            target = folder / ("generated" if image.generated else "photographs") / image.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(image.source.read_bytes())
            copies[str(target)] = image
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}") from error
    return copies


def _folder(package: str, inside: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations))) / inside
    return folder if folder.is_dir() else None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
