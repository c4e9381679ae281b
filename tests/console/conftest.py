"""The counter's pages are tried by the same people as the web rooms."""

from tests.web.conftest import application, clerk, hirono, household, iwaki, second

__all__ = ["application", "clerk", "hirono", "household", "iwaki", "second"]
