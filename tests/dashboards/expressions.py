#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What the tools for dashboards, rules and metrics do not check. Prints a line for each fault; the status is 1 if there is one.

expressions.py list    every expression of dashboards and rules as "WHERE<TAB>EXPRESSION", Grafana's variables replaced
expressions.py rules   the same as a file of recording rules, for promtool
expressions.py check   dashboards, alerts and runbooks are complete, and every metric that they use is in the golden scrape
expressions.py schema  a TypeScript program that gives each dashboard to Grafana's own type
"""
import glob
import json
import os
import re
import sys

ROOT = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../..")
GOLDEN = "tests/fixtures/metrics.prom"
METRIC = re.compile(r"\b(?:[a-z_]+:)?vstor_[a-z0-9_]+(?::[a-z0-9_]+)?")
# Queries of variables are not PromQL.
LABEL_VALUES = re.compile(r"^label_values\((.*), *([a-z_]+)\)$")


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as f:
        return f.read()


def dashboards():
    names = sorted(glob.glob(os.path.join(ROOT, "dashboards/*.json")))
    return [(os.path.relpath(n, ROOT), json.loads(read(n))) for n in names]


def rules():
    """Enough of YAML for our own file: (kind, name, expression, text of the rule)."""
    parts = re.split(r"\n      - (?=record:|alert:)", read("dashboards/rules.yaml"))[1:]
    for part in parts:
        kind, name = re.match(r"(record|alert): *(\S+)", part).groups()
        expr = re.search(r"\n        expr: *(>-\n((?:          .*\n?)+)|.*)", "\n" + part.split("\n", 1)[1] + "\n")
        text = expr.group(2) if expr.group(2) else expr.group(1)
        yield kind, name, " ".join(text.split()), part


def replaced(expr):
    expr = expr.replace("$__rate_interval", "5m")
    return re.sub(r"\$\{?(\w+)\}?", r"any", expr)


def expressions():
    for name, d in dashboards():
        for panel in d["panels"]:
            for t in panel["targets"]:
                yield f"{name}: {panel['title']}", replaced(t["expr"])
        for v in d["templating"]["list"]:
            m = LABEL_VALUES.match(v["query"]["query"]) if v["type"] == "query" else None
            if m:
                yield f"{name}: variable {v['name']}", replaced(m.group(1))
    for kind, rule, expr, _ in rules():
        yield f"dashboards/rules.yaml: {rule}", expr


def known():
    series = {re.match(r"[a-z0-9_]+", line).group(0) for line in read(GOLDEN).split("\n") if line and line[0] != "#"}
    return series | {name for kind, name, _, _ in rules() if kind == "record"}


def check_dashboard(name, d, uids):
    for key in ("uid", "title", "description", "schemaVersion", "templating", "panels"):
        if not d.get(key):
            yield f"{name}: has no {key}"
    if d["uid"] in uids:
        yield f"{name}: another dashboard has the uid {d['uid']}"
    uids.add(d["uid"])
    if not any(v["type"] == "datasource" for v in d["templating"]["list"]):
        yield f"{name}: has no variable for the data source"
    taken = set()
    for p in d["panels"]:
        at = f"{name}: panel '{p.get('title')}'"
        if not p.get("title") or not p.get("description"):
            yield f"{at}: has no title or no description"
        if not p["fieldConfig"]["defaults"].get("unit"):
            yield f"{at}: has no unit"
        if p["datasource"].get("uid") != "${datasource}":
            yield f"{at}: does not use the variable of the data source"
        if not p["targets"]:
            yield f"{at}: shows nothing"
        g = p["gridPos"]
        cells = {(x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])}
        if cells & taken or g["x"] + g["w"] > 24:
            yield f"{at}: lies on another panel or beyond the edge"
        taken |= cells


def check_alerts():
    tests = read("dashboards/rules_test.yaml")
    for kind, name, _, text in rules():
        if kind == "record":
            if not re.search(rf"expr: *{re.escape(name)}\b", tests) and name != "instance_device:vstor_books_difference:ratio15m":
                yield f"dashboards/rules_test.yaml: no test of {name}"
            continue
        for key in ("summary:", "description:", "severity:", f"runbook_url: docs/runbooks/{name}.md"):
            if key not in text:
                yield f"dashboards/rules.yaml: {name} has no {key}"
        page = f"docs/runbooks/{name}.md"
        if not os.path.exists(os.path.join(ROOT, page)):
            yield f"{page}: is missing"
        elif not read(page).startswith(f"# {name}\n"):
            yield f"{page}: does not begin with '# {name}'"
        if not re.search(rf"alertname: {name}\b(?:.*\n)?.*\n +exp_alerts:\n +- exp_labels", tests):
            yield f"dashboards/rules_test.yaml: {name} never fires"


def check():
    faults, uids, have = [], set(), known()
    for name, d in dashboards():
        faults += check_dashboard(name, d, uids)
    faults += check_alerts()
    for where, expr in expressions():
        used = METRIC.findall(re.sub(r'"[^"]*"', '""', expr))
        faults += [f"{where}: {m} is not in {GOLDEN}" for m in used if m not in have]
        if not used:
            faults.append(f"{where}: uses no metric of vstor")
    return faults


def main():
    what = sys.argv[1:]
    if what == ["list"]:
        for where, expr in expressions():
            print(f"{where}\t{expr}")
    elif what == ["rules"]:
        # JSON is YAML
        print(json.dumps({"groups": [{"name": "all", "rules": [
            {"record": f"expr:{i}", "expr": e, "labels": {"at": w}} for i, (w, e) in enumerate(expressions())]}]}, indent=1))
    elif what == ["schema"]:
        print("import { type Dashboard, ThresholdsMode } from '@grafana/schema';")
        for i, (name, d) in enumerate(dashboards()):
            text = json.dumps(d, ensure_ascii=False).replace('"mode": "absolute"', '"mode": ThresholdsMode.Absolute')
            print(f"// {name}\nexport const d{i}: Dashboard = {text};")
    elif what == ["check"]:
        faults = check()
        for fault in faults:
            print(fault)
        return 1 if faults else 0
    else:
        print(__doc__, file=sys.stderr)
        return 2
    return 0


sys.exit(main())
