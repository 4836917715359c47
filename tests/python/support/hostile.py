"""What a model, or a name of a file, may say to run a script, to break a page, or to be a formula."""

HOSTILE = [
    *("<script>window.hacked=1</script>", "<ScRiPt src=//x.example/a.js></sCrIpT>", "<img src=x onerror=hacked=1>"),
    *('"><svg/onload=hacked=1>', "' onmouseover='hacked=1", '" autofocus onfocus="hacked=1'),
    *("</bdi></p></li><h1>mine</h1>", "<!-- comment", "--><iframe src=javascript:hacked=1>", "</script><b>"),
    *("]]><style>body{display:none}</style>", "</title><base href=//x>", "javascript:window.hacked=1"),
    *("data:text/html,<script>hacked=1</script>", "{{ 7 * 7 }}", "{% raw %}{{ config }}{% endraw %}", "{# gone #}"),
    *("${hacked=1}", "<%= 7*7 %>", "&lt;b&gt;already&lt;/b&gt;", "&#x3c;script&#x3e;", "\u202ebackwards text"),
    *("\u2066isolated\u2069 \u200f", "zero\u200bwidth \u00ad soft", "\x1b[31mred\x1b[0m", "lone \udcff surrogate"),
    *("=HYPERLINK(x)", "+cmd|' /C calc'!A0", "-2+3+cmd", "@SUM(1+1)", "\t=1+1", "<a href=javascript:hacked=1>go</a>"),
    *("<math><mtext></form><form><mglyph><style></math><img src onerror=hacked=1>", "a" * 3000),
    *("%3Cscript%3Ehacked=1%3C/script%3E", r"\u003cscript\u003ehacked=1", "`;hacked=1;//"),
]  # 37: with the sevenths of questions that are invalid, and the fourths that are wrong, it has no factor in common
