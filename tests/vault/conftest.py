"""Property tests here check what holds, not how fast on a shared machine: no deadline per example."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("vault", deadline=None)
settings.load_profile("vault")
