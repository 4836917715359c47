"""CSV, tab-separated values and JSON lines: files below the table's folder, and pictures behind URLs."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import sklearn

from vlmprobe.data import ImageSource, SourceGone, TableImages, UnreadableImage
from vlmprobe.data.downloads import Downloads

PHOTOS = Path(sklearn.__file__).parent / "datasets" / "images"
FLOWER = (PHOTOS / "flower.jpg").read_bytes()


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "set" / "ü").mkdir(parents=True)
    shutil.copy(PHOTOS / "china.jpg", tmp_path / "set" / "china.jpg")
    shutil.copy(PHOTOS / "flower.jpg", tmp_path / "set" / "ü" / "花, rot.jpg")
    shutil.copy(PHOTOS / "flower.jpg", tmp_path / "secret.jpg")
    return tmp_path / "set"


def table(at: Path, text: str, name="t.csv", **more) -> TableImages:
    (at / name).write_text(text, encoding="utf-8")
    return TableImages(at / name, **more)


def reason(images: TableImages, index: int) -> str:
    with pytest.raises(UnreadableImage) as error:
        images[index]
    assert str(error.value).startswith(f"[TableImages] {images.keys[index]}: cannot be read as an image (")
    return str(error.value)


@pytest.fixture
def server():
    """Answers every path that is a key of `pages` with (status, headers, body); counts what it is asked for."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            http.asked[self.path] += 1
            status, headers, body = http.pages.get(self.path, (404, {}, b"none"))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.pages, http.asked = {"/flower": (200, {}, FLOWER)}, Counter()
    http.url = f"http://127.0.0.1:{http.server_port}"
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield http
    http.shutdown()
    http.server_close()


@pytest.fixture
def silent():
    """The URL of a server that takes a connection and then says nothing, or a letter now and then."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip():
            while True:
                try:
                    connection, _ = listening.accept()
                    threading.Thread(target=letters, args=(connection,), daemon=True).start()
                except OSError:
                    return

        def letters(connection):
            path = connection.recv(4096).split()[1]
            while path == b"/drip":
                try:
                    connection.send(b"H")
                except OSError:
                    return
                time.sleep(0.05)
            time.sleep(5)

        threading.Thread(target=drip, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


# Files


def test_a_csv_names_files_below_its_folder_and_keeps_the_other_columns(folder):
    images = table(
        folder, '\ufeffcaption,File\r\nTemple,china.jpg\r\n"Red, wide","ü/花, rot.jpg"\r\nAgain,china.jpg\r\n'
    )
    assert isinstance(images, ImageSource) and list(images.keys) == ["china.jpg", "ü/花, rot.jpg"]
    assert images[0].pixels.size == (640, 427) and images[1].id == 1
    assert images[0].meta == ({"caption": "Temple"}, {"caption": "Again"})
    assert images[1].meta == ({"caption": "Red, wide"},)
    assert not (folder / "t.csv.downloads").exists()


def test_json_lines_and_tabs_are_tables_too_and_a_bad_line_is_one_picture(folder):
    lines = ['{"image": "china.jpg", "id": 4}', "", "{", "[3]", '{"image": 7}', '{"id": 5}', '{"image": "\\ud800.jpg"}']
    images = table(folder, "\n".join(lines), "t.jsonl")
    assert list(images.keys) == ["china.jpg", "\\ud800.jpg", "line 3", "line 4", "line 5", "line 6"]
    assert images[0].meta == ({"id": 4},)
    assert "(expected JSON, got something else (" in reason(images, 2)
    assert "(expected an object, got [3])" in reason(images, 3)
    assert "(image: expected a file or a URL, got 7)" in reason(images, 4)
    assert "(image: expected a file or a URL, got None)" in reason(images, 5)
    assert reason(images, 1)
    assert list(table(folder, "path\tx\nchina.jpg\t1,2\n", "t.tsv").keys) == ["china.jpg"]


@pytest.mark.parametrize("name", ["../secret.jpg", "ü/../../secret.jpg", "/etc/passwd", "ü"])
def test_a_path_that_leaves_the_folder_is_refused_unless_the_folder_holds_it(folder, name):
    images = table(folder, f"file\n{name}\nchina.jpg\n")
    assert reason(images, 0) and images[1].pixels
    inner = folder.parent / "secret.jpg"
    assert table(folder, f"file\n{inner}\n", folder=folder.parent)[0].pixels.size == (640, 427)
    assert "a name that leads out of it" in reason(table(folder, f"file\n{inner}\n"), 0)


def test_a_pipe_is_not_waited_for_and_other_schemes_are_not_opened(folder):
    os.mkfifo(folder / "pipe.png")
    images = table(folder, "file\npipe.png\nfile:///etc/passwd\nftp://127.0.0.1/a.png\ns3://a/b.png\n")
    assert "No such file" in reason(images, 0)
    for at in (1, 2, 3):
        assert "expected a file or an http(s) URL, got" in reason(images, at)


def test_the_column_is_the_one_named_or_the_likeliest(folder):
    text = "a,b,url\nchina.jpg,2,ü/花\n"
    assert list(table(folder, text).keys) == ["ü/花"] and list(table(folder, text, column="a").keys) == ["china.jpg"]
    assert list(table(folder, "whatever\nchina.jpg\n").keys) == ["china.jpg"]
    for text, column, words in [
        ("a,b\n1,2\n", "", "expected the name of t.csv's column of pictures, one of a, b, got none"),
        ("a,b\n1,2\n", "image", "expected one of a, b, got 'image'"),
    ]:
        with pytest.raises(ValueError, match=r"^\[TableImages\] column: ") as error:
            table(folder, text, column=column)
        assert words in str(error.value)


def test_a_row_with_too_many_cells_or_none_is_one_picture(folder):
    images = table(folder, "file,x\nchina.jpg,1,2,3\n,5\nchina.jpg\n")
    assert list(images.keys) == ["china.jpg", "line 2", "line 3"]
    assert "expected 2 cells, got more" in reason(images, 1) and "expected a file or a URL, got ''" in reason(images, 2)
    assert images[0].meta == ({"x": None},)


@pytest.mark.parametrize("text", ["", "file\n", "file\n\n\n"])
def test_a_table_without_rows_is_refused(folder, text):
    with pytest.raises(ValueError, match=r"^\[TableImages\] t.csv: expected rows with a picture, got none"):
        table(folder, text)


def test_what_is_no_table(folder):
    (folder / "x.csv").write_bytes(b"file\n\xff\xfe\n")
    with pytest.raises(ValueError, match=r"^\[TableImages\] x.csv: expected CSV in UTF-8, got something else"):
        TableImages(folder / "x.csv")
    with pytest.raises(ValueError, match=r"^\[TableImages\] path: cannot read '.*none.csv' \(No such file"):
        TableImages(folder / "none.csv")
    with pytest.raises(ValueError, match=r"^\[TableImages\] path: expected .csv, .tsv, .* got 'x.xlsx'"):
        TableImages(folder / "x.xlsx")


def test_a_table_that_goes_is_no_pictures_fault(folder):
    images = table(folder, "file\nnone.jpg\n")
    (folder / "t.csv").unlink()
    with pytest.raises(SourceGone, match=r"t.csv' is not there any more"):
        images[0]


# URLs


def test_a_url_is_downloaded_once_and_kept_beside_the_table(folder, server):
    text = f"url\n{server.url}/flower\n"
    for _ in range(2):
        images = table(folder, text)
        assert images[0].pixels.size == (640, 427) and images[0].key == f"{server.url}/flower"
    assert server.asked == {"/flower": 1}
    assert [path.read_bytes() for path in (folder / "t.csv.downloads").iterdir()] == [FLOWER]
    assert table(folder, text, cache=folder / "kept")[0].pixels and len(list((folder / "kept").iterdir())) == 1


def test_each_way_in_which_a_url_fails_is_one_picture_with_a_reason(folder, server, silent):
    server.pages |= {
        "/page": (200, {"Content-Type": "text/html"}, b"<html>please log in</html>"),
        "/empty": (200, {}, b""),
        "/long": (200, {}, bytes(200_001)),
        "/cut": (200, {"Content-Length": str(len(FLOWER) + 9)}, FLOWER),
        "/file": (302, {"Location": "file:///etc/passwd"}, b""),
        "/ftp": (302, {"Location": "ftp://127.0.0.1/x"}, b""),
        "/loop": (302, {"Location": "/loop"}, b""),
        "/moved": (301, {"Location": "/flower"}, b""),
        "/bust": (500, {}, b"oops"),
    }
    expected = {
        f"{server.url}/none": "HTTP 404: Not Found", f"{server.url}/page": "it is none of", "http:///x": "cannot be",
        f"{server.url}/empty": "it is empty", f"{server.url}/long": "expected at most 200000 bytes, got more",
        f"{server.url}/cut": "bytes", f"{server.url}/file": "HTTP 302", f"{server.url}/ftp": "cannot be",
        f"{server.url}/loop": "HTTP 302", f"{server.url}/bust": "HTTP 500", "http://127.0.0.1:1/x": "cannot be reached",
        f"{silent}/never": "no whole answer within 0.5 s", f"{silent}/drip": "no whole answer within 0.5 s",
        "http://[::bad/x": "cannot be", "http://exa mple.invalid/": "cannot be",
    }  # fmt: skip
    images = table(
        folder, "url\n" + "\n".join([*expected, f"{server.url}/moved"]) + "\n", seconds=0.5, max_bytes=200_000
    )
    for index, words in enumerate(expected.values()):
        assert words in reason(images, index), images.keys[index]
    assert images[len(expected)].pixels.size == (640, 427)
    assert server.asked["/none"] == 1 and reason(images, 0) and server.asked["/none"] == 1
    assert not [path for path in (folder / "t.csv.downloads").iterdir() if path.name.startswith(".")]


def test_a_url_that_failed_is_tried_again_by_the_next_call(folder, server):
    text = f"url\n{server.url}/later\n"
    assert "HTTP 404" in reason(table(folder, text), 0)
    server.pages["/later"] = server.pages["/flower"]
    assert table(folder, text)[0].pixels.size == (640, 427)


def test_letters_of_all_languages_may_stand_in_a_url(folder, server):
    server.pages["/%E8%8A%B1%20x?q=%C3%BC&n=1"] = server.pages["/flower"]
    assert table(folder, json.dumps({"url": f"{server.url}/花 x?q=ü&n=1"}), "t.jsonl")[0].pixels


def test_many_threads_get_the_same_file(tmp_path, server):
    downloads, found = Downloads(tmp_path / "kept"), []
    threads = [threading.Thread(target=lambda: found.append(downloads.file(f"{server.url}/flower"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1 and len(found) == 8 and found[0].read_bytes() == FLOWER
