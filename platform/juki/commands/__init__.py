"""Commands: one module per noun; each parses, calls a front door and prints."""

from __future__ import annotations

import argparse
from typing import Any, Protocol


class Commands(Protocol):
    """What `register` adds to: argparse keeps the name of its own class private."""

    def add_parser(self, name: str, **settings: Any) -> argparse.ArgumentParser:
        """A parser for one noun."""
        ...
