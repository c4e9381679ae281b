"""`scripts/demo`: one resident's record, all the way through.

Without options it tells the story, then leaves the staff console running and prints how to log in.
With --check it runs the same story without a person, stops all it started, and exits 0 only if every step held.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path


def main() -> int:
    """Run the story; 0 when every step held."""
    parser = argparse.ArgumentParser(
        prog="scripts/demo", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="run without a person, stop everything, write report.json")
    parser.add_argument(
        "--residents", type=int, default=2000, metavar="N", help="residents per municipality (default 2000)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where report, PDFs and evidence go (default .juki/demo-out)"
    )
    parser.add_argument("--port", type=int, default=8000, help="port of the staff console (default 8000)")
    options = parser.parse_args()
    if not 50 <= options.residents <= 300_000:
        parser.error("--residents は 50 から 300000 までで指定してください。")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    from story import telling  # needs the environment, which --help does not

    return telling.run(options)


if __name__ == "__main__":
    sys.exit(main())
