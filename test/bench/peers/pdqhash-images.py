"""PDQ of JPEG files by pdqhash, decoded by Pillow; one thread, one JSON line.

usage: pdqhash-images.py rounds file...
Needs numpy, pillow and pdqhash from PyPI. CPU milliseconds an image: the least of the rounds of each, then the median of the files.
"""
import json
import statistics
import sys
import time

import numpy
import pdqhash
from PIL import Image


def timed(work):
    start = time.process_time()
    result = work()
    return result, (time.process_time() - start) * 1000


def decode(name):
    return numpy.asarray(Image.open(name).convert("RGB"))


def main():
    rounds, files = int(sys.argv[1]), sys.argv[2:]
    rows = []
    for name in files:
        decoding, hashing = [], []
        for _ in range(rounds):
            pixels, ms = timed(lambda: decode(name))
            decoding.append(ms)
            (bits, quality), ms = timed(lambda: pdqhash.compute(pixels))
            hashing.append(ms)
        # Coefficient i is bit i, from the last one down in what is printed.
        code = numpy.packbits(numpy.asarray(bits, dtype="uint8")).tobytes().hex()
        rows.append({"code": code, "quality": int(quality), "decode": min(decoding), "hash": min(hashing)})
    print(json.dumps({
        "pdqhash": pdqhash.__version__,
        "decodeMs": statistics.median(r["decode"] for r in rows),
        "hashMs": statistics.median(r["hash"] for r in rows),
        "codes": [r["code"] for r in rows],
    }))


main()
