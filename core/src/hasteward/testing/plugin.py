"""The pytest plugin of `hasteward.testing`, found through the entry-point group ``pytest11``.

It is imported by every pytest run in an environment that has hasteward, so it imports nothing itself: it asks
pytest to explain failed assertions of the conformance tests as it explains those of your own files.
"""

from __future__ import annotations


def pytest_configure() -> None:
    """Before anything of the kit is imported."""
    import pytest

    pytest.register_assert_rewrite("hasteward.testing.conformance")
