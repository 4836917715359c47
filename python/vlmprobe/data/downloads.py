"""Pictures behind URLs: each is downloaded once into a folder, within a time and a size."""

from __future__ import annotations

import hashlib
import os
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit, urlunsplit

from vlmprobe.data.reading import stamp

SECONDS = 20.0
MAX_BYTES = 64 << 20
_RECENT_S = 120  # a failure is asked again for its stamp after this
_KEPT = "%/:=&?~#+!$,;'@()*[]"


class Downloads:
    """A folder with what http(s) URLs hold, by the hash of the URL.

    What fails is not tried again by the same object; another one, such as that of the next call of a command, tries
    anew. Several threads may ask at once. Redirections stay within http and https.

    Args:
        folder: is made when something is downloaded.
        seconds: that one download may take, from the first packet to the last byte.
        max_bytes: that one file may have.

    Example:
        >>> Downloads("photos.csv.downloads").file("https://example.org/cat.jpg")  # doctest: +SKIP
        PosixPath('photos.csv.downloads/6b0f...')
    """

    def __init__(self, folder: str | Path, *, seconds: float = SECONDS, max_bytes: int = MAX_BYTES) -> None:
        self._folder, self._seconds, self._max_bytes = Path(folder), seconds, max_bytes
        self._failed: dict[str, str] = {}

    def file(self, url: str) -> Path:
        """The file of a URL, downloaded where it is not there.

        Raises:
            ValueError: it cannot be had; says why.
            OSError: the folder cannot be written.
        """
        path = self._path(url)
        if path.is_file():
            return path
        if url not in self._failed:
            data = self._fetched(url)
            if isinstance(data, bytes):
                self._folder.mkdir(parents=True, exist_ok=True)
                draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
                try:
                    draft.write_bytes(data)
                    draft.replace(path)
                finally:
                    with suppress(OSError):
                        draft.unlink(missing_ok=True)
                return path
            self._failed[url] = data
        raise ValueError(self._failed[url])

    def stamp(self, url: str) -> str:
        """Of the downloaded file; where there is none, another one every two minutes."""
        return stamp(self._path(url)) or f"tried {int(time.time() // _RECENT_S)}"

    def _path(self, url: str) -> Path:
        return self._folder / hashlib.sha256(url.encode("utf-8", "backslashreplace")).hexdigest()

    def _fetched(self, url: str) -> bytes | str:
        """What the URL holds, or why that cannot be had. A thread of its own, since neither the look-up of a name nor
        a server that sends its head letter by letter can be given a time."""
        found: list[bytes | str] = []
        thread = threading.Thread(target=lambda: found.append(_get(url, self._seconds, self._max_bytes)), daemon=True)
        thread.start()
        thread.join(self._seconds)
        return found[0] if found else f"no whole answer within {self._seconds:g} s"


def _get(url: str, seconds: float, max_bytes: int) -> bytes | str:
    deadline = time.monotonic() + seconds
    try:
        request = urllib.request.Request(_plain(url), headers={"User-Agent": "vlmprobe", "Accept": "image/*,*/*;q=0.5"})
        with _opener().open(request, timeout=seconds) as reply:
            blocks, length = [], 0
            while block := reply.read1(1 << 16):
                length += len(block)
                if length > max_bytes:
                    return f"expected at most {max_bytes} bytes, got more"
                if time.monotonic() > deadline:
                    return f"no whole answer within {seconds:g} s"
                blocks.append(block)
            expected = reply.headers.get("Content-Length", "")
            if expected.isdigit() and int(expected) != length:
                return f"expected {expected} bytes, got {length}"
            return b"".join(blocks)
    except HTTPError as error:
        return f"HTTP {error.code}: {error.reason}"
    except TimeoutError:
        return f"no whole answer within {seconds:g} s"
    except URLError as error:
        return f"cannot be reached: {error.reason}"
    except Exception as error:  # http.client and idna raise what they meet
        return f"cannot be downloaded: {error or type(error).__name__}"


def _opener() -> Any:
    """Of http and https alone: urllib's own also opens files and FTP, also where a server redirects to them."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler, urllib.request.HTTPHandler, urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler, urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor, urllib.request.UnknownHandler,
    ):  # fmt: skip
        opener.add_handler(handler())
    return opener


def _plain(url: str) -> str:
    """In ASCII, as HTTP has it."""
    parts = urlsplit(url)
    host = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode()
    return urlunsplit((parts.scheme, host, quote(parts.path, _KEPT), quote(parts.query, _KEPT), ""))
