#!/usr/bin/env python3
"""Runs a command and appends its wall time, CPU time and peak memory to a file.

    measure.py FILE COMMAND…        one JSON object a line: wall_ms, cpu_ms, rss_kb
    measure.py --median FIELD FILE  the median of one field of such a file

Peak memory is that of the largest process of the tree (wait4's ru_maxrss), not their sum.
"""

import json
import os
import statistics
import sys
import time


def main():
    if sys.argv[1] == "--median":
        field, path = sys.argv[2:4]
        with open(path, encoding="utf-8") as lines:
            print(round(statistics.median(json.loads(line)[field] for line in lines)))
        return 0
    path, command = sys.argv[1], sys.argv[2:]
    start = time.monotonic()
    # A child's ru_maxrss begins at the size of this interpreter, about 15 MB: a floor, not a gain.
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    wall = time.monotonic() - start
    row = {
        "wall_ms": round(wall * 1000, 2),
        "cpu_ms": round((usage.ru_utime + usage.ru_stime) * 1000, 2),
        "rss_kb": usage.ru_maxrss,
    }
    with open(path, "a", encoding="utf-8") as lines:
        lines.write(json.dumps(row) + "\n")
    return os.waitstatus_to_exitcode(status) & 0xFF


if __name__ == "__main__":
    sys.exit(main())
