"""What a campaign shows: numbers for people, and one JSON line for the table of docs/assurance.md."""

import json
import resource
import subprocess
from datetime import UTC, datetime
from typing import Any

from support.places import ROOT

from .running import Campaign


def shown(campaign: Campaign) -> str:
    """Return the numbers of a campaign, in lines."""
    count = max(1, campaign.executions)
    seen, there = campaign.lines.count
    rate = campaign.executions / campaign.seconds if campaign.seconds else 0.0
    lines = [
        f"{campaign.target.name}: {campaign.executions} executions in {campaign.seconds:.0f} s ({rate:.0f}/s), "
        f"{_share(campaign.accepted, count)} accepted, {_share(seen, there)} of {there} lines, "
        f"{campaign.found} with a finding",
    ]
    for what, found in (("passed", campaign.passed), ("refused", campaign.refusals)):
        parts = [f"{name} {_share(number, count)}" for name, number in found.most_common()]
        if parts:
            lines.append(f"  {what}: {', '.join(parts)}")
    lines += [f"  FINDING {finding.what}\n    {finding.path}" for finding in campaign.findings.values()]
    return "\n".join(lines)


def record(campaign: Campaign) -> str:
    """Return the same as one line of JSON."""
    seen, there = campaign.lines.count
    value: dict[str, Any] = {
        "target": campaign.target.name,
        "executions": campaign.executions,
        "seconds": round(campaign.seconds, 1),
        "accepted": campaign.accepted,
        "passed": {stage: campaign.passed[stage] for stage in campaign.target.gates},
        "refused": dict(campaign.refusals),
        "lines": [seen, there],
        "findings": [finding.what for finding in campaign.findings.values()],
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "seed": campaign.seed,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": _commit(),
    }
    return json.dumps(value)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "0 %"


def _commit() -> str:
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"
