"""A headless Chromium: Debian's, driven by Playwright. What a page says on its console and asks for is kept."""

import contextlib
import re
import shutil

from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextlib.contextmanager
def chromium():
    """The browser. It is ended with the block: as long as it lives, this thread has an event loop."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    assert path, f"expected one of {', '.join(NAMES)}; tools/setup.sh installs Debian's"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class Opened:
    """A page of a file or an address, with what went wrong on it.

    Args:
        browser: of `chromium`.
        address: a path, or a URL.
        more: of the browser's context, such as `color_scheme`.
    """

    def __init__(self, browser, address, **more):
        self.context = browser.new_context(viewport={"width": 1200, "height": 900}, accept_downloads=True, **more)
        self.page = self.context.new_page()
        self.wrong, self.requests = [], []
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.wrong.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(address if "://" in str(address) else f"file://{address}")
        if more.get("java_script_enabled", True):
            self.page.wait_for_selector("html[data-ready]", timeout=20_000)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()

    def text(self, selector):
        """What can be read there."""
        return self.page.inner_text(selector)

    def elsewhere(self):
        """What was asked of the network besides the page itself."""
        mine = self.requests[0]
        return [url for url in self.requests if not url.startswith((mine, "data:", "blob:", "about:"))]


def choose(opened, **values):
    """Sets filters of the gallery, those of a list by their words; how many questions are left."""
    for name, value in values.items():
        field = opened.page.locator(f"#filters [name={name}]")
        field.select_option(label=value) if name not in ("from", "to", "text") else field.fill(value)
    opened.page.wait_for_timeout(160)
    return count(opened)


def count(opened):
    """Of the questions that are left; `No question` is none."""
    found = re.match(r"[\d,]+", opened.text("#count"))
    return int(found[0].replace(",", "")) if found else 0
