"""Prints the tables of docs/interop.md from NDJSON reports: table.py REPORT..., each named after its server. A run with INTEROP_WRITE=1 and
INTEROP_REPORTS=FOLDER leaves such reports. A cell is: requirements passed / with a MUST unmet / with a warning."""
import glob
import json
import os
import re
import sys

AREAS = """discovery challenge metadata keys registration cimd authorization login consent proxy pkce token refresh revocation introspection
userinfo extension audience scope tokenvalidation credentials passthrough ratelimit abuse session transport""".split()


def areas():
    """The area of each requirement: the catalogue has a file for each."""
    out = {}
    for path in glob.glob(os.path.join(os.path.dirname(__file__), "../fixtures/requirements/catalogue/*.yaml")):
        for found in re.findall(r"^- id: (\S+)", open(path, encoding="utf-8").read(), re.M):
            out[found] = os.path.basename(path).removesuffix(".yaml")
    return out


def worst(report):
    """The worst verdict of each requirement that was judged."""
    order, out = ["PASS", "WARN", "FAIL"], {}
    for line in open(report, encoding="utf-8"):
        result = json.loads(line)
        if result.get("type") == "result" and result["verdict"] in order:
            out[result["id"]] = max(out.get(result["id"], "PASS"), result["verdict"], key=order.index)
    return out


def cell(verdicts):
    passed, failed, warned = (verdicts.count(v) for v in ("PASS", "FAIL", "WARN"))
    parts = [str(passed), f"**{failed}**" if failed else "0"] + ([str(warned)] if warned else [])
    return "" if not verdicts else str(passed) if not failed and not warned else " / ".join(parts)


def main(*reports):
    area = areas()
    servers = {os.path.basename(path).removesuffix(".ndjson"): worst(path) for path in reports}
    print("| area | " + " | ".join(servers) + " |\n|---" + "|---" * len(servers) + "|")
    for a in AREAS:
        print(f"| {a} | " + " | ".join(cell([v for i, v in verdicts.items() if area.get(i) == a]) for verdicts in servers.values()) + " |")


main(*sys.argv[1:])
