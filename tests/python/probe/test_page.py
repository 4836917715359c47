"""The page of a probe: whatever a model or a name of a file holds, it is shown and never obeyed."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from support.pages import Page
from support.run_pages import probe_page
from vlmprobe import metrics
from vlmprobe.loop.tally import Tally
from vlmprobe.probe.guards import Alarm
from vlmprobe.probe.outcome import Beginning, Failing, Findings, Role

HOSTILE = [
    *("<script>alert(1)</script>", "<ScRiPt src=//x.example/a.js></sCrIpT>", "<img src=x onerror=alert(1)>"),
    *('"><svg/onload=alert(1)>', "' onmouseover='alert(1)", '" autofocus onfocus="alert(1)'),
    *("</bdi></p></li><h1>mine</h1>", "<!-- comment", "--><iframe src=javascript:alert(1)>"),
    *("]]><style>body{display:none}</style>", "</title><base href=//x>", "javascript:alert(1)"),
    *("data:text/html,<script>alert(1)</script>", "{{ 7 * 7 }}", "{% raw %}{{ config }}{% endraw %}", "{# gone #}"),
    *("${7*7}", "<%= 7*7 %>", "&lt;b&gt;already&lt;/b&gt;", "&#x3c;script&#x3e;", "\u202eright to left"),
    *("\u2066isolated\u2069 \u200f", "zero\u200bwidth \u00ad soft", "\x1b[31mred\x1b[0m", "nul \x00 byte"),
    *("lone \udcff surrogate", "broken \ud83d half", "\ufffe no character", "Z\u0334\u0335a\u0337go" + "\u0334" * 60),
    *("a" * 5000, "<meta http-equiv=refresh content='0;url=//x'>", "<form action=//x><button>go</button></form>"),
]
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "header", "p", "span", "h1", "h2", "h3", "small", "section"),
    *(
        "a",
        "nav",
        "main",
        "div",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "ul",
        "li",
        "dl",
        "dt",
        "dd",
        "bdi",
        "footer",
        "i",
        "b",
    ),
}
RATE = metrics.rate([True, False], cluster=[0, 1])


def found(text: str) -> Findings:
    """Findings in which every text of others is this one."""
    failing = Failing(
        image=0, image_key=text, question=text, answers={text: 2, text + "?": 1}, reason=text, times=3, asked=4
    )
    return Findings(
        tally=Tally(), qvr=RATE, fdr=RATE, pictures=1, steps=3, unscored=0.25, truncated=0.0,
        beginnings=[Beginning(words=text, valid=4, wrong=3, rate=RATE, failing=[failing])],
        missing={"answer": {"timeout": 2}}, left_out={text: text},
        roles=[Role(name="answerer", identity=text, calls=1, prompt_tokens=1, completion_tokens=1, cost=0.5)],
        alarms=[Alarm(name="kl", step=2, value=1.0, limit=0.5, sentence=text)], versions={"torch": text},
    )  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_text_is_shown_and_never_obeyed(tmp_path, text):
    path = probe_page(tmp_path / "report.html", found(text), title=f"Where {text} fails")
    source = path.read_bytes().decode("utf-8")  # it is UTF-8 whatever came in
    page, plain = Page(source), Page(probe_page(path, found("plain"), title="Where plain fails").read_text())
    assert page.tags == plain.tags and page.open == [] and set(page.tags) <= TAGS
    assert [name for name, _ in page.attributes] == [name for name, _ in plain.attributes]
    assert not any(name.startswith("on") or name in ("src", "action") for name, _ in page.attributes)
    assert all(re.match("#|data:text/csv;", value) for name, value in page.attributes if name == "href")
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b-\u200f\u00ad\x00-\x08\x0b-\x1f\ufffe\ud800-\udfff]", source)
    assert "49" not in re.findall(r"<bdi>(.*?)</bdi>", source, re.DOTALL)
    begun = re.sub(r"\s+", " ", text[:6])
    if text.isascii() and text.isprintable():
        assert page.text.count(begun) >= 7, "it is shown in each of its places"


def test_the_policy_of_the_page_lets_nothing_run_or_load(tmp_path):
    source = probe_page(tmp_path / "report.html", found("x"), title="t").read_text()
    assert (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'\"" in source
    )
    assert "http://" not in source and "https://" not in source and "<script" not in source


def test_shares_and_alarms_are_on_the_page(tmp_path):
    page = Page(probe_page(tmp_path / "report.html", found("much is wrong"), title="t").read_text())
    assert "25.0 % of the questions are unscored, and 0.0 % of all replies were cut." in page.text
    assert "What went wrong on the way: step 3: much is wrong" in page.text


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ([1], "1 failure was found, at a question that begins with “how many”."),
        ([3, 1], "4 failures were found. Most of them, 3, are questions that begin with “how many”, of which "),
        (
            [1, 1, 1],
            "3 failures were found. No kind of question has more of them than that which begins with “how many”",
        ),
        ([0], "No failure was found among 2 judged answers."),
    ],
)
def test_the_first_sentence_says_what_the_failures_are(tmp_path, sizes, said):
    one = found("x").beginnings[0].failing[0]
    kinds = [
        Beginning(words=words, valid=9, wrong=9, rate=RATE, failing=[one] * size)
        for words, size in zip(("how many", "what color", "is the"), sizes, strict=False)
    ]
    path = probe_page(tmp_path / "report.html", replace(found("x"), beginnings=kinds), title="t")
    assert said in Page(path.read_text()).text
