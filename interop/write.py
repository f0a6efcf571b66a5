"""Writes the expected.yaml and unjudged.txt of a server from the NDJSON report of a run, for its author to read: write.py FOLDER REPORT.
What a run chooses by chance is left out."""
import json
import re
import sys

CHANCE = [
    (r"([?&](?:code|state|iss|session_state)=)[^&\s,;:)]+", r"\1..."),
    (r"(/\.well-known/[\w-]+/)[\w-]{16}\b", r"\1..."),
    (r"\b[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d UTC( \d{2,4})?", "..."),
    (r"‹[\w#-]{12,}›", "‹...›"),
    (r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "..."),
    (r"(mcpauth conformance) \w+", r"\1 ..."),
    (r"\s+", " "),
]


def steady(text):
    for pattern, to in CHANCE:
        text = re.sub(pattern, to, text)
    return text


def reason(findings):
    """The first finding that is no mere advice, with the row in which it was seen, and how many there are."""
    first = next((f for f in findings if not f.get("advice")), findings[0])
    text = steady(first["observed"])[:200]
    if first.get("about"):
        text += f" ({steady(first['about'])})"
    return text + (f"; {len(findings)} findings" if len(findings) > 1 else "")


def main(folder, report):
    accepted, unjudged = {}, set()
    for line in open(report, encoding="utf-8"):
        result = json.loads(line)
        if result.get("type") != "result":
            continue
        if result["verdict"] in ("WARN", "FAIL"):
            known = accepted.setdefault(result["id"], [])  # a result has each revision of the protocol
            known += [f for f in result["findings"] if all((f["observed"], f.get("about")) != (k["observed"], k.get("about")) for k in known)]
        elif result["verdict"] != "PASS":
            why = json.dumps(result.get("reason", ""), ensure_ascii=False)[1:-1]
            unjudged.add(f"{result['verdict']} {result['id']}   {why}"[:220])
    name = folder.rstrip("/").rsplit("/", 1)[-1]
    with open(f"{folder}/expected.yaml", "w", encoding="utf-8") as out:
        out.write(f"# What a run finds on this server, in the words of its own answers: interop/run.sh {name}\nversion: 1\naccepted:\n")
        out.writelines(f"  - {{id: {key}, reason: {json.dumps(reason(found), ensure_ascii=False)}}}\n" for key, found in accepted.items())
    with open(f"{folder}/unjudged.txt", "w", encoding="utf-8") as out:
        out.writelines(line + "\n" for line in sorted(unjudged))


main(*sys.argv[1:])
