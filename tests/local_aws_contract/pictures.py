"""Pictures for tests: those which scikit-image ships, and pages that are drawn."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont


def photograph(name: str) -> bytes:
    """A picture in scikit-image's own folder: `chelsea.png` (a cat), `coffee.png`…"""
    return (Path(importlib.util.find_spec("skimage").origin).parent / "data" / name).read_bytes()


def font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib ships, in pixels."""
    folder = Path(importlib.util.find_spec("matplotlib").origin).parent
    return ImageFont.truetype(str(folder / "mpl-data/fonts/ttf/DejaVuSans.ttf"), size)


def page(lines: list[str], size: int = 28, width: int = 1240) -> Image.Image:
    """Black lines on white, as a page of A4 at 150 dots an inch has them."""
    picture = Image.new("RGB", (width, 120 + len(lines) * round(1.6 * size)), "white")
    draw = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        draw.text((80, 60 + number * round(1.6 * size)), line, "black", font(size))
    return picture


def encoded(picture: Image.Image, kind: str = "PNG") -> bytes:
    """The bytes of a picture in a format of Pillow's."""
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()
