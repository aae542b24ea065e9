"""Run the steps of one command and measure them; a small process of its own, started for every run.

Reads a JSON object from stdin and writes one to stdout. It is small because Linux counts the memory of
the process that starts a program into that program's peak: a driver that had imported much would put a
floor under every figure. So it imports only what it needs, runs with `python -I -S`, and its own 10 MiB
are the least that can be seen.
"""

import json
import os
import sys
import time


def cpu_ticks() -> tuple[int, int]:
    """Return (busy, stolen) CPU ticks of the whole machine since it started."""
    with open("/proc/stat") as file:
        user, nice, system, _idle, _iowait, irq, softirq, steal = (int(x) for x in file.readline().split()[1:9])
    return user + nice + system + irq + softirq, steal


def spawn_and_wait(step: dict, log_fd: int) -> tuple[int, float, int]:
    """Run one program; return its exit status, CPU seconds and peak RSS in bytes."""
    out = step.get("stdout")
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        if out
        else (os.POSIX_SPAWN_DUP2, log_fd, 1),
        (os.POSIX_SPAWN_DUP2, log_fd, 2),
    ]
    pid = os.posix_spawnp(step["argv"][0], step["argv"], os.environ, file_actions=actions)
    _, status, usage = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def main() -> None:
    order = json.load(sys.stdin)
    if order.get("cwd"):
        os.chdir(order["cwd"])
    os.environ.update(order.get("env", {}))
    log_fd = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    busy, steal = cpu_ticks()
    started = time.perf_counter()
    cpu_s, peak, status = 0.0, 0, 0
    for step in order["steps"]:
        status, step_cpu_s, step_peak = spawn_and_wait(step, log_fd)
        cpu_s += step_cpu_s
        peak = max(peak, step_peak)
        if status:
            break
    wall_s = time.perf_counter() - started
    busy_after, steal_after = cpu_ticks()
    others_s = (busy_after - busy + steal_after - steal) / ticks_per_s - cpu_s
    json.dump(
        {
            "status": status,
            "wall_s": wall_s,
            "cpu_s": cpu_s,
            "peak_rss_bytes": peak,
            "others_cpu_s": max(0.0, others_s),
        },
        sys.stdout,
    )


main()
