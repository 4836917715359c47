"""A browser for each module that asks for one; see `support.browser.chromium` why it does not live longer."""

import pytest

from support.browser import chromium


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started
