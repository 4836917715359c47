"""Draws a scene as a 64 x 64 RGB picture.

Objects are drawn at four times the size and averaged down. A cluttered scene gets a tinted ground, pale bands and
pixel noise that its id fixes; a clean one stands on a plain light ground. docs/world.md.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

CANVAS = 64
SCALE = 4
RGB = {
    "red": (222, 40, 40),
    "green": (40, 165, 60),
    "blue": (45, 85, 220),
    "yellow": (240, 215, 40),
    "orange": (245, 140, 25),
    "purple": (140, 50, 175),
}
GROUND = (236, 236, 232)
STRIPE = 3.0  # pixels; stripes and gaps are equally wide


def _star(x: float, y: float, radius: float) -> list[tuple[float, float]]:
    radii = (radius, 0.42 * radius)
    return [
        (x + radii[i % 2] * math.sin(i * math.pi / 5), y - radii[i % 2] * math.cos(i * math.pi / 5)) for i in range(10)
    ]


def _outline(shape: str, x: float, y: float, r: float) -> list[list[tuple[float, float]]]:
    """The polygons that make up a shape; a circle has none."""
    if shape == "square":
        side = 0.88 * r
        return [[(x - side, y - side), (x + side, y - side), (x + side, y + side), (x - side, y + side)]]
    if shape == "triangle":
        return [[(x, y - r), (x + 0.95 * r, y + 0.8 * r), (x - 0.95 * r, y + 0.8 * r)]]
    if shape == "star":
        return [_star(x, y, 1.08 * r)]
    arm = 0.36 * r
    upright = [(x - arm, y - r), (x + arm, y - r), (x + arm, y + r), (x - arm, y + r)]
    flat = [(x - r, y - arm), (x + r, y - arm), (x + r, y + arm), (x - r, y + arm)]
    return [upright, flat]


def _stencil(shape: str, x: float, y: float, r: float) -> Image.Image:
    """Where the object is, at SCALE."""
    stencil = Image.new("L", (CANVAS * SCALE, CANVAS * SCALE), 0)
    draw = ImageDraw.Draw(stencil)
    x, y, r = x * SCALE, y * SCALE, r * SCALE
    if shape == "circle":
        draw.ellipse((x - 0.95 * r, y - 0.95 * r, x + 0.95 * r, y + 0.95 * r), fill=255)
    for polygon in _outline(shape, x, y, r):
        draw.polygon(polygon, fill=255)
    return stencil


def _paint(obj) -> Image.Image:
    """The object's fill: one colour, or that colour with dark horizontal stripes that start at its centre."""
    fill = Image.new("RGB", (CANVAS * SCALE, CANVAS * SCALE), RGB[obj.color])
    if obj.texture == "striped":
        dark = tuple(channel // 3 for channel in RGB[obj.color])
        draw = ImageDraw.Draw(fill)
        first = obj.y - STRIPE / 2 - 4 * 2 * STRIPE
        for i in range(9):
            top = (first + 2 * STRIPE * i) * SCALE
            draw.rectangle((0, top, CANVAS * SCALE, top + STRIPE * SCALE - 1), fill=dark)
    return fill


def _clutter(rng: np.random.Generator) -> Image.Image:
    tint = tuple(int(channel) for channel in rng.integers(185, 240, size=3))
    ground = Image.new("RGB", (CANVAS * SCALE, CANVAS * SCALE), tint)
    draw = ImageDraw.Draw(ground)
    for _ in range(int(rng.integers(1, 4))):
        ends = rng.uniform(0, CANVAS * SCALE, size=4)
        shade = tuple(int(channel) + int(rng.integers(-28, 16)) for channel in tint)
        draw.line(tuple(ends), fill=shade, width=int(rng.integers(2, 6)) * SCALE)
    return ground


def render(scene) -> Image.Image:
    """Draws a scene.

    Args:
        scene: a `vlmprobe.world.Scene`.

    Returns:
        A 64 x 64 RGB picture; the same scene always gives the same bytes.
    """
    rng = np.random.Generator(np.random.Philox(key=scene.id))
    size = (CANVAS * SCALE, CANVAS * SCALE)
    picture = _clutter(rng) if scene.clutter else Image.new("RGB", size, GROUND)
    for obj in scene.objects:
        picture.paste(_paint(obj), mask=_stencil(obj.shape, obj.x, obj.y, obj.radius))
    picture = picture.reduce(SCALE)
    if not scene.clutter:
        return picture
    noisy = np.asarray(picture, dtype=np.float32) + rng.normal(0.0, 7.0, size=(CANVAS, CANVAS, 3))
    return Image.fromarray(np.clip(np.rint(noisy), 0, 255).astype(np.uint8), "RGB")
