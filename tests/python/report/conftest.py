"""A browser for each module that asks for one; see `support.browser.chromium` why it does not live longer."""

import pytest


@pytest.fixture(scope="module")
def browser():
    from support.browser import chromium

    with chromium() as started:
        yield started
