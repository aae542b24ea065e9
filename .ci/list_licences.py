"""Write docs/third-party.md: what the wheel's environment has beside capseal, under which licence, and who asks for it.

    python .ci/list_licences.py SBOM

`SBOM` is what `.ci/describe` made of an environment with all extras, from what the packages say of themselves.
"""

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

SAID_ELSEWHERE = {"partd": "BSD-3-Clause"}
"""Licences of packages whose metadata names none: partd's is in its LICENSE.txt."""

HEAD = """# Third parties

A wheel of capseal has no Python and no C of others: what stands in `engine/` and `csrc/` is its own. What a compiler
adds to the compiled module is its run-time alone, whose licences (GCC's with its exception; Apache-2.0 with LLVM's)
ask for nothing here. The JavaScript reader has one file of others, `web/src/zstd.wasm`: Zstandard, under the BSD
licence in `web/src/zstd.wasm.LICENSE` beside it. It is in the source distribution and in the npm package, and not in
a wheel.

pip installs the following beside capseal, from its makers, under its own licence; capseal alters and ships none of
it. *Asked for by* names an extra, *capseal* where every installation has it, or the packages that need it or have an
extra that does. Versions
are in the CycloneDX SBOM of a release and in `.ci/requirements.txt`. `.ci/list_licences.py` writes this page
([releasing.md](releasing.md)) from what the packages say of themselves; a test says when the project asks for
something that is not here.

| package | licence | asked for by |
|---|---|---|
"""
CLASSIFIER = "License :: OSI Approved :: "


def licence(component: dict[str, Any]) -> str:
    """Return what the package says of its licence: as SPDX names it where it does so, else by its classifier."""
    entries = component.get("licenses", [])
    said = [one.get("expression") or one["license"].get("id") or one["license"]["name"] for one in entries]
    exact = [one for one in said if not one.startswith("License ::")]
    chosen = SAID_ELSEWHERE.get(component["name"]) or " AND ".join(dict.fromkeys(exact or said))
    if not chosen:
        sys.exit(f"{component['name']}: names no licence; look at its files, then say here what they say")
    return chosen.replace(CLASSIFIER, "")


def direct(project: dict[str, Any]) -> dict[str, list[str]]:
    """Return who asks for what capseal itself asks for: `capseal`, or the names of extras."""
    lists = {"capseal": project["dependencies"]} | project["optional-dependencies"]
    askers: dict[str, list[str]] = {}
    for asker, requirements in lists.items():
        for one in requirements:
            name = re.match(r"[\w.-]+", one)[0].lower().replace("_", "-")
            if name != "capseal" and asker not in ("bench", "dev", "docs"):
                askers.setdefault(name, []).append(asker)
    return askers


def page(bill: dict[str, Any], project: dict[str, Any]) -> str:
    """Return the page for the SBOM `bill`."""
    names = {one["bom-ref"]: one["name"] for one in bill["components"]}
    parents: dict[str, list[str]] = {}
    for edge in bill["dependencies"]:
        for needed in edge.get("dependsOn", []):
            if edge["ref"] in names:
                parents.setdefault(needed, []).append(names[edge["ref"]])
    askers = direct(project)
    rows = []
    for one in sorted(bill["components"], key=lambda one: one["name"].lower()):
        by = askers.get(one["name"].lower().replace("_", "-")) or sorted(parents.get(one["bom-ref"], []), key=str.lower)
        rows.append(f"| {one['name']} | {licence(one)} | {', '.join(by)} |\n")
    return HEAD + "".join(rows)


if __name__ == "__main__":
    bill = json.loads(Path(sys.argv[1]).read_text())
    root = Path(__file__).resolve().parent.parent
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    (root / "docs" / "third-party.md").write_text(page(bill, project))
