"""Make `pictures/` and `clip.mp4`: six photographs of scikit-image and scikit-learn, and a film of
them.

    python make_pictures.py

The photographs are reduced to 480 pixels on their longer side. The film moves a window over each
of them; where a scene begins is known, because this script decides it (`SCENES`). Scenes follow
each other by hard cuts, but for the last one, which is faded in.
"""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
PICTURES, CLIP = HERE / "pictures", HERE / "clip.mp4"
LONGER_SIDE = 480
SOURCES = {
    "astronaut": ("skimage.data", "astronaut.png"),
    "cat": ("skimage.data", "chelsea.png"),
    "coffee": ("skimage.data", "coffee.png"),
    "rocket": ("skimage.data", "rocket.jpg"),
    "palace": ("sklearn.datasets.images", "china.jpg"),
    "flower": ("sklearn.datasets.images", "flower.jpg"),
}
# Each scene: the picture, and its length in frames. The rocket is short, the coffee is long, and a
# lamp is switched on in the scene of the cat.
SCENES = [
    ("palace", 30),
    ("astronaut", 24),
    ("coffee", 66),
    ("rocket", 10),
    ("cat", 40),
    ("flower", 22),
]
LAMP = ("cat", 20)
FADE = ("flower", 10)  # so many frames are a mixture with the end of the scene before
FRAMES_A_SECOND = 12
WIDTH, HEIGHT = 320, 240


def make_picture(name: str) -> Image.Image:
    """A photograph, reduced.

    Raises:
        FileNotFoundError: if the package does not carry it.
    """
    package, file = SOURCES[name]
    with resources.as_file(resources.files(package) / file) as path:
        picture = Image.open(path).convert("RGB")
        picture.thumbnail((LONGER_SIDE, LONGER_SIDE), Image.Resampling.LANCZOS)
        return picture


def scene(picture: np.ndarray, frames: int, lamp: int | None = None) -> list[np.ndarray]:
    """A window of 4:3 that moves over a picture from left to right; brighter from `lamp` on."""
    height, width = picture.shape[:2]
    scale = 0.82 * min(height / HEIGHT, width / WIDTH)
    window = round(HEIGHT * scale), round(WIDTH * scale)
    found = []
    for number in range(frames):
        share = number / max(1, frames - 1)
        top = round((height - window[0]) * (1 - share))
        left = round((width - window[1]) * share)
        part = picture[top : top + window[0], left : left + window[1]]
        part = cv2.resize(part, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        if lamp is not None and number >= lamp:
            part = np.clip(part.astype(float) * 1.12, 0, 255).astype(np.uint8)
        found.append(part)
    return found


def film(pictures: dict[str, np.ndarray]) -> list[np.ndarray]:
    """All frames, as HEIGHT × WIDTH × 3 in RGB."""
    frames: list[np.ndarray] = []
    for name, length in SCENES:
        added = scene(pictures[name], length, LAMP[1] if name == LAMP[0] else None)
        if name == FADE[0]:
            added = faded_in(added, frames[-1], FADE[1])
        frames += added
    return frames


def faded_in(frames: list[np.ndarray], before: np.ndarray, length: int) -> list[np.ndarray]:
    """The frames, the first ones mixed with the frame before them, less and less of it."""
    shares = (np.arange(len(frames)) + 1) / (length + 1)
    return [
        np.round(share * frame + (1 - share) * before).astype(np.uint8)
        for frame, share in zip(frames, shares.clip(max=1), strict=True)
    ]


def main() -> int:
    """Write the pictures, then the film."""
    PICTURES.mkdir(exist_ok=True)
    for name in SOURCES:
        make_picture(name).save(PICTURES / f"{name}.jpg", quality=88)
    pictures = {name: np.asarray(Image.open(PICTURES / f"{name}.jpg")) for name in SOURCES}
    coding = cv2.VideoWriter_fourcc(*"mp4v")
    unfinished = CLIP.with_suffix(".part.mp4")
    writer = cv2.VideoWriter(str(unfinished), coding, FRAMES_A_SECOND, (WIDTH, HEIGHT))
    for frame in film(pictures):
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
    unfinished.replace(CLIP)
    return 0


if __name__ == "__main__":
    sys.exit(main())
