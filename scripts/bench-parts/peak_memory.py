#!/usr/bin/env python3
"""Runs a command as it is, and adds a line of JSON to a file: the program's name, its seconds and the most memory that
it (with the processes it waited for) held at once, in MiB.

usage: peak_memory.py FILE COMMAND [ARGUMENT ...]
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time


def main() -> int:
    begin = time.monotonic()
    child = subprocess.Popen(sys.argv[2:])
    # A signal to the group reaches the command too; this one stays to say how it ended.
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: None)
    _, status, usage = os.wait4(child.pid, 0)
    line = {
        "program": pathlib.Path(sys.argv[2]).name,
        "seconds": round(time.monotonic() - begin, 1),
        # Linux counts in KiB.
        "peak_mib": round(usage.ru_maxrss / 1024, 1),
    }
    with open(sys.argv[1], "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
