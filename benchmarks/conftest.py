"""Every benchmark of ours has a peer that does the same work in the same run; the ratio is the claim, not the time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import pytest

ROUND_S = 0.05
ROUNDS = 7


def _seconds(work: Callable[[], object], repetitions: int) -> float:
    begin = time.perf_counter()
    for _ in range(repetitions):
        work()
    return (time.perf_counter() - begin) / repetitions


def _in_turn(works: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """The median of rounds in which all take their turn: a busy neighbour then slows all of them."""
    repetitions = {name: max(1, int(ROUND_S / max(_seconds(work, 1), 1e-7))) for name, work in works.items()}
    rounds = [{name: _seconds(work, repetitions[name]) for name, work in works.items()} for _ in range(ROUNDS)]
    return {name: statistics.median(one[name] for one in rounds) for name in works}


@pytest.fixture
def against(benchmark):
    """Times ours with pytest-benchmark, and beside its peers in turn; keeps how many times longer each peer takes."""

    def measure(ours, **peers):
        benchmark(ours)
        if benchmark.disabled:
            for peer in peers.values():
                peer()
            return
        medians = _in_turn({"ours": ours, **peers})
        for name in peers:
            benchmark.extra_info[f"times faster than {name}"] = round(medians[name] / medians["ours"], 2)

    return measure


def pytest_terminal_summary(terminalreporter, config):
    session = getattr(config, "_benchmarksession", None)
    for one in getattr(session, "benchmarks", ()):
        ratios = ", ".join(f"{name}: {value}" for name, value in one.extra_info.items())
        if ratios:
            terminalreporter.write_line(f"{one.name}: {ratios}")
