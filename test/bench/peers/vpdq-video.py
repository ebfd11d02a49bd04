"""Codes of a video by vPDQ, one a second as by its defaults, on one thread; one JSON line.

usage: vpdq-video.py file...
Needs vpdq from PyPI, which is built from source: cmake, a compiler and the libav*-dev packages. CPU seconds; nothing is searched.
"""
import json
import sys
import time

import vpdq


def main():
    rows = []
    for name in sys.argv[1:]:
        start = time.process_time()
        features = vpdq.computeHash(name, seconds_per_hash=1, thread_count=1)
        rows.append({"cpuSeconds": time.process_time() - start, "codes": len(features)})
    print(json.dumps(rows))


main()
