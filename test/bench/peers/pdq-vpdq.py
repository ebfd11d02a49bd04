"""Meta's PDQ and vPDQ on the files of test/bench/accuracy.ts; JSON in on stdin, one JSON line out.

in:  {"images": {"references": [[family, file]...], "queries": [file...]}, "films": {the same}}
out: {"pdq": [[family...]...], "vpdq": [[[family, percent of the query's frames]...]...], "seconds": {...}}
Distance 31 and quality 50 on both sides, one frame a second, as their authors recommend. Needs pdqhash, vpdq, pillow
and numpy from PyPI.
"""
import json
import sys
import time

import numpy
import pdqhash
import vpdq
from PIL import Image

DISTANCE = 31
QUALITY = 50
Image.MAX_IMAGE_PIXELS = None


def picture(file):
    try:
        bits, quality = pdqhash.compute(numpy.asarray(Image.open(file).convert("RGB")))
    except Exception as error:
        print(f"PDQ: {file}: {error}", file=sys.stderr)
        return None
    return bits if quality >= QUALITY else None


def film(file):
    try:
        features = vpdq.computeHash(file, thread_count=1)
    except Exception as error:
        print(f"vPDQ: {file}: {error}", file=sys.stderr)
        return numpy.zeros((0, 256), dtype=numpy.int16)
    rows = [bits_of(f.hash) for f in features if f.quality >= QUALITY]
    return numpy.array(rows, dtype=numpy.int16).reshape(-1, 256)


def bits_of(code):
    text = code if isinstance(code, str) else vpdq.hash_to_hex(code)
    return numpy.unpackbits(numpy.frombuffer(bytes.fromhex(text), dtype=numpy.uint8))


def near(a, b):
    """Which rows lie within DISTANCE of each other."""
    a, b = a.astype(numpy.float32), b.astype(numpy.float32)
    return a @ (1 - b).T + (1 - a) @ b.T <= DISTANCE + 0.5


def pdq(references, queries):
    known = [(family, picture(file)) for family, file in references]
    known = [(family, bits) for family, bits in known if bits is not None]
    codes = numpy.array([bits for _, bits in known])
    out = []
    for file in queries:
        bits = picture(file)
        hits = near(bits[None], codes)[0] if bits is not None and len(known) else []
        out.append(sorted({known[i][0] for i in numpy.flatnonzero(hits)}))
    return out


def vpdqs(references, queries):
    known = [(family, film(file)) for family, file in references]
    out = []
    for file in queries:
        frames, shares = film(file), {}
        for family, codes in known:
            if len(frames) and len(codes):
                share = 100 * float(near(frames, codes).any(axis=1).mean())
                shares[family] = max(share, shares.get(family, 0))
        out.append([[family, round(share, 1)] for family, share in shares.items() if share > 0])
    return out


def main():
    asked = json.load(sys.stdin)
    out = {"seconds": {}}
    for name, key, run in (("pdq", "images", pdq), ("vpdq", "films", vpdqs)):
        start = time.process_time()
        out[name] = run(asked[key]["references"], asked[key]["queries"])
        out["seconds"][name] = round(time.process_time() - start, 1)
    print(json.dumps(out))


main()
