"""Makes the pictures (when missing) and vectors.json: what pdqhash, the Python binding of Meta's C++ PDQ, says of them.

    python3 -m venv venv && venv/bin/pip install pdqhash==0.2.8 numpy pillow && venv/bin/python make_vectors.py

Pictures are committed, so that encoders may change without changing the vectors. Deleting one draws it anew.
"""
import json
import pathlib

import numpy as np
import pdqhash
from PIL import Image

HERE = pathlib.Path(__file__).parent
PICTURES = HERE / "pictures"
# pdqhash.compute_dihedral returns the turns in this order (FlipX of Meta's swaps top and bottom, FlipY left and right).
TURNS = ["none", "rot90", "rot180", "rot270", "flip", "mirror", "transpose", "antitranspose"]


def scene(width, height, seed, shapes=28, texture=0.0, contrast=1.0):
    """Discs, bars and slow waves of colour; `texture` adds noise, which PNG cannot compress: keep such pictures small."""
    r = np.random.RandomState(seed)
    y, x = np.mgrid[0:height, 0:width]
    u, v = (x + 0.5) / width, (y + 0.5) / height
    out = np.zeros((height, width, 3))
    for c in range(3):
        a, b, p = r.uniform(-3, 3, 3)
        out[..., c] = 128 + 70 * np.sin(2 * np.pi * (a * u + b * v) + p)
    for _ in range(shapes):
        cx, cy, size, angle = r.uniform(0, 1), r.uniform(0, 1), r.uniform(0.03, 0.25), r.uniform(0, np.pi)
        colour = r.uniform(0, 255, 3)
        if r.rand() < 0.5:
            inside = (u - cx) ** 2 + (v - cy) ** 2 < size**2
        else:
            along = (u - cx) * np.cos(angle) + (v - cy) * np.sin(angle)
            across = -(u - cx) * np.sin(angle) + (v - cy) * np.cos(angle)
            inside = (abs(along) < size) & (abs(across) < size / 4)
        out[inside] = colour
    out += texture * r.randn(height, width, 1)
    out = 128 + contrast * (out - 128)
    return np.clip(np.rint(out / 4) * 4 if not texture else np.rint(out), 0, 255).astype(np.uint8)


def picture(name):
    """name -> (PIL image, keyword arguments of save)"""
    kind, size, *rest = name.split(".")[0].split("-")
    width, height = (int(n) for n in size.split("x"))
    seed = sum(ord(c) * 31**i for i, c in enumerate(name)) % 2**31
    if kind == "grey":
        return Image.fromarray(scene(width, height, seed)).convert("L"), {}
    if kind == "palette":
        return Image.fromarray(scene(width, height, seed)).quantize(32), {}
    if kind == "large":  # few levels, so that it stays small
        return Image.fromarray(scene(width, height, seed) // 24 * 24), {}
    if kind == "soft":
        return Image.fromarray(scene(width, height, seed, shapes=9, contrast=0.25)), {}
    if kind == "faint":
        return Image.fromarray(scene(width, height, seed, contrast=0.06)), {}
    if kind == "noisy":
        return Image.fromarray(scene(width, height, seed, texture=12)), {}
    if kind == "deep":
        grey = np.asarray(Image.fromarray(scene(width, height, seed)).convert("L")).astype(np.uint16)
        return Image.fromarray(grey * 257), {}
    if kind == "jpeg":
        return Image.fromarray(scene(width, height, seed, texture=3)), {"quality": int(rest[0])}
    if kind == "progressive":
        return Image.fromarray(scene(width, height, seed)), {"quality": int(rest[0]), "progressive": True}
    return Image.fromarray(scene(width, height, seed)), {}


NAMES = [
    "scene-64x64.png",
    "scene-128x128.png",
    "scene-512x512.png",
    "scene-513x511.png",
    "scene-640x360.png",
    "scene-1030x770.png",
    "large-1536x800.png",
    "scene-33x47.png",
    "scene-127x129.png",
    "scene-301x199.png",
    "scene-1600x48.png",
    "scene-41x1203.png",
    "scene-5x5.png",
    "scene-9x6.png",
    "scene-4x90.png",
    "noisy-120x90.png",
    "faint-320x240.png",
    "soft-300x240.png",
    "grey-400x300.png",
    "palette-333x250.png",
    "deep-150x120.png",
    "jpeg-640x480-80.jpg",
    "jpeg-601x433-90.jpg",
    "jpeg-257x385-85.jpg",
    "jpeg-48x48-95.jpg",
    "progressive-720x405-82.jpg",
    "jpeg-900x650-80.jpg",
]


def hex_of(bits):
    return "".join(f"{int(''.join(str(b) for b in bits[i : i + 4]), 2):x}" for i in range(0, 256, 4))


def pixels_of(path):
    image = Image.open(path)
    if image.mode.startswith("I"):  # 16 bits: the upper byte
        return np.repeat((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)[..., None], 3, 2)
    return np.asarray(image.convert("RGB"))


def main():
    PICTURES.mkdir(exist_ok=True)
    vectors = []
    for name in NAMES:
        path = PICTURES / name
        if not path.exists():
            image, options = picture(name)
            image.save(path, **({"optimize": True} if name.endswith(".png") else options))
        pixels = np.ascontiguousarray(pixels_of(path))
        bits, quality = pdqhash.compute(pixels)
        turned, _ = pdqhash.compute_dihedral(pixels)
        hashes = dict(zip(TURNS, map(hex_of, turned)))
        assert hex_of(bits) == hashes["none"], name
        vectors.append(
            {
                "file": f"pictures/{name}",
                "width": pixels.shape[1],
                "height": pixels.shape[0],
                "lossless": name.endswith(".png"),
                "hash": hex_of(bits),
                "quality": int(quality),
                "turned": hashes,
            }
        )
    document = {"format": 1, "madeBy": "pdqhash 0.2.8", "vectors": vectors}
    (HERE / "vectors.json").write_text(json.dumps(document, indent=1) + "\n")


main()
