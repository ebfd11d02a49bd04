"""FAISS binary indexes over the codes and queries of test/bench/index.ts; one thread, one JSON line.

usage: faiss-binary.py codes.bin queries.bin radius index...   (index: flat, multihash-16x16, multihash-10x25)
Needs faiss-cpu from PyPI. Times are CPU seconds of this process.
"""
import json
import resource
import sys
import time

import faiss
import numpy


def make(name):
    if name == "flat":
        return faiss.IndexBinaryFlat(256)
    hashes, bits = map(int, name.split("-")[1].split("x"))
    index = faiss.IndexBinaryMultiHash(256, hashes, bits)
    index.nflip = 1 if bits == 16 else 2
    return index


def resident():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * resource.getpagesize()


def main():
    codes = numpy.fromfile(sys.argv[1], dtype="uint8").reshape(-1, 32)
    queries = numpy.fromfile(sys.argv[2], dtype="uint8").reshape(-1, 32)
    radius = int(sys.argv[3])
    faiss.omp_set_num_threads(1)
    rows = []
    for name in sys.argv[4:]:
        index = make(name)
        before, start = resident(), time.process_time()
        index.add(codes)
        build, size = time.process_time() - start, resident() - before
        # As many queries as about five seconds hold, in three rounds; the flat scan knows 1e6 codes in some 3 ms.
        asked = queries
        start = time.process_time()
        index.range_search(asked[:20], radius + 1)
        each = (time.process_time() - start) / min(20, len(asked))
        asked = asked[: max(20, min(len(asked), int(5 / max(each, 1e-9))))]
        rates = []
        for _ in range(3):
            start = time.process_time()
            lims, distances, ids = index.range_search(asked, radius + 1)  # FAISS looks for < radius
            rates.append(len(asked) / max(1e-9, time.process_time() - start))
        rows.append({
            "index": name,
            "queries": len(asked),
            "queriesPerSecond": sorted(rates)[1],
            "bytesPerCode": size / len(codes),
            "buildMicrosPerCode": build / len(codes) * 1e6,
            "hits": [int(lims[i + 1] - lims[i]) for i in range(len(asked))],
        })
        del index
    print(json.dumps({"faiss": faiss.__version__, "options": faiss.get_compile_options().strip(), "rows": rows}))


main()
