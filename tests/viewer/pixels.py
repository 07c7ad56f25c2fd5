"""What is on the screen: the pixels of a page, and how many of them have a colour."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from playwright.sync_api import Page


def decoded(png: bytes) -> np.ndarray:
    """Decode an 8-bit PNG without interlace (what Chromium writes): uint8 [height, width, 3]."""
    at, data, header = 8, b"", b""
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        body = png[at + 8 : at + 8 + length]
        header, data = (body if kind == b"IHDR" else header), (data + body if kind == b"IDAT" else data)
        at += 12 + length
    width, height, depth, color, _, _, interlace = struct.unpack(">IIBBBBB", header)
    assert (depth, interlace) == (8, 0)
    channels = {2: 3, 6: 4}[color]
    lines = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, 1 + width * channels)
    image = np.zeros((height, width, channels), np.uint8)
    above = np.zeros((width, channels), np.uint8)
    for row, line in enumerate(lines):
        left = np.zeros(channels, np.uint8)
        filtered, kind = line[1:].reshape(width, channels), line[0]
        if kind == 0:
            image[row] = filtered
        elif kind == 1:
            image[row] = np.cumsum(filtered, axis=0, dtype=np.uint8)
        elif kind == 2:
            image[row] = filtered + above
        else:
            corner = np.zeros(channels, np.uint8)
            for x in range(width):
                up = above[x]
                if kind == 3:
                    guess = ((left.astype(int) + up) // 2).astype(np.uint8)
                else:
                    estimate = left.astype(int) + up - corner
                    far = np.abs(np.stack([estimate - left, estimate - up, estimate - corner]))
                    guess = np.choose(far.argmin(axis=0), [left, up, corner])
                left = filtered[x] + guess
                image[row, x], corner = left, up
        above = image[row]
    return image[:, :, :3]


def panel_image(page: Page, slug: str) -> np.ndarray:
    """Return the pixels of one track's panel, right of its legend."""
    row = page.locator(f"[data-track={slug}]").bounding_box()
    plot = page.locator("#plot").bounding_box()
    assert row is not None
    assert plot is not None
    clip = {"x": plot["x"], "y": row["y"], "width": plot["width"], "height": row["height"]}
    return decoded(page.screenshot(clip=clip))  # type: ignore[arg-type]


def count(image: np.ndarray, color: str | tuple[int, int, int], within: int) -> int:
    """Count pixels whose every channel is near a colour."""
    rgb = tuple(bytes.fromhex(color[1:])) if isinstance(color, str) else color
    return int((np.abs(image.astype(int) - rgb) <= within).all(axis=2).sum())
