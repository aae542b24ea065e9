"""The same targets steered by coverage: libFuzzer's bytes are the decisions that a case is drawn from."""

import argparse
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import NoReturn

from .choices import Choices
from .running import Campaign


def run_guided(
    atheris: ModuleType, campaign: Campaign, options: argparse.Namespace, finish: Callable[[], int]
) -> NoReturn:
    """Fuzz until there were enough executions or the time is over, and end the process."""
    campaign.begin()

    def execute(data: bytes) -> None:
        campaign.step(campaign.target.make(Choices(data)))
        if campaign.executions == options.executions or (options.seconds and campaign.seconds >= options.seconds):
            found = finish()
            sys.stdout.flush()
            os._exit(1 if found else 0)  # libFuzzer knows no other end

    # 512 decisions; memory and time are watched by the campaign, and leaks are none of Python's.
    flags = ["-max_len=1024", "-len_control=0", "-rss_limit_mb=0", "-detect_leaks=0", "-print_final_stats=0"]
    with campaign.guarded():
        atheris.Setup([sys.argv[0], *flags, f"-seed={campaign.seed % (1 << 31) or 1}"], execute)
        atheris.Fuzz()
    raise SystemExit(1)
