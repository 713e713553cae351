#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""report_check.py FILE DEVICE: is the file one complete HTML page that needs nothing else, with charts of what happened?"""
import re
import sys
from html.parser import HTMLParser

VOID = {"meta", "br", "link", "img", "input", "hr"}
OPTIONAL_END = {"th", "td", "tr", "p"}  # may end without an end tag


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.count, self.points, self.text, self.urls = [], {}, [], [], []

    def handle_starttag(self, tag, attributes):
        self.count[tag] = self.count.get(tag, 0) + 1
        for name, value in attributes:
            if name in ("href", "src", "xlink:href", "action", "data"):
                self.urls.append(value)
            assert not name.startswith("on"), f"a script in {tag}"
            if tag == "polyline" and name == "points":
                self.points.append([tuple(map(float, p.split(","))) for p in value.split()])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        while self.open and self.open[-1] != tag and self.open[-1] in OPTIONAL_END:
            self.open.pop()
        assert self.open and self.open[-1] == tag, f"</{tag}> ends {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        self.text.append(data)


def main():
    path, device = sys.argv[1:]
    with open(path, encoding="ascii") as f:
        source = f.read()
    page = Page()
    page.feed(source)
    page.close()
    assert not page.open, f"not closed: {page.open}"
    assert not page.urls and "script" not in page.count and "link" not in page.count, "it fetches something"
    assert not re.search(r"url\(|@import|https?://", source), "its style fetches something"
    assert "prefers-color-scheme:dark" in source, "no dark colours"
    text = " ".join(page.text)
    for word in ("Bytes a second", "Latency, 99th percentile", "Who waited for whom", device):
        assert word in text, f"no {word}"
    assert page.count.get("svg", 0) >= 4, f"{page.count.get('svg')} charts"
    assert page.points, "no line in a chart"
    for line in page.points:
        assert line and all(0 <= x <= 860 and 0 <= y <= 220 for x, y in line), f"a line leaves its chart: {line[:3]}"
    # some line is not flat: something happened
    assert any(len({y for _, y in line}) > 1 for line in page.points), "all lines are flat"
    print(f"{page.count['svg']} charts, {len(page.points)} lines")


main()
