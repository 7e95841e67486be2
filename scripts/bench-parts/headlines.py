"""Prints the recorded headlines of a folder, one a line: those with a column title or headline.

usage: headlines.py FOLDER
"""

import csv
import gzip
import pathlib
import sys


def main() -> None:
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.csv.gz")):
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                headline = " ".join((row.get("title") or row.get("headline") or "").split())
                if headline:
                    print(headline)


if __name__ == "__main__":
    main()
