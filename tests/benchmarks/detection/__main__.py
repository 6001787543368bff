"""Command line of the judge: `python -m tests.benchmarks.detection --help`."""

import sys

from tests.benchmarks.detection.command import main

if __name__ == "__main__":
    sys.exit(main())
