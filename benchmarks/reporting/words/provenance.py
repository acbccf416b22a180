"""The measurement of a run as Markdown: machine, software, peaks, command, and activities of the sweep.

A run's record may be a stranger's: missing values and those of another type are left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from benchmarks.limits.peak import Settings, settings
from benchmarks.presentation.plain_text import NOTHING, clean, code, count, escape, seconds, share, significant, table
from benchmarks.reporting.answers.doubts import DISTURBED
from benchmarks.reporting.answers.findings import describe_conditions
from benchmarks.runs.loading import LoadedRun

MEASURING = ("warm-up", "sampling")
"""The activities of a sweep in which implementations are measured; the others prepare and check that."""
LONGEST_COMMAND = 2000
"""A command that is cut cannot be used again."""


def how_measured(run: LoadedRun, frame: pd.DataFrame) -> str:
    """The section on how a run was measured; `frame` holds its rows of `load_run`."""
    lines = [f"- {name}: {_marked(name, said)}" for name, said in facts(run, frame)]
    parts = ["\n".join(lines), _peaks(run), _activities(run.record), _paths(frame, _mapping(run.record, "packages"))]
    return "\n\n".join(part for part in parts if part)


def _marked(name: str, said: str) -> str:
    """The text of a fact as Markdown: commands and revisions are code."""
    if name == "commit":
        revision, space, more = said.partition(" ")
        return f"{code(revision)}{space}{escape(more)}"
    return code(said, LONGEST_COMMAND) if name == "command" else escape(said)


def facts(run: LoadedRun, frame: pd.DataFrame) -> list[tuple[str, str]]:
    """What a run was measured on and how, as names and plain text; `frame` holds its rows of `load_run`."""
    record = run.record
    lines = [
        ("machine", _machine(_mapping(record, "machine"))),
        ("software", _pairs(_mapping(record, "packages"))),
        ("thread settings", _pairs(_mapping(record, "machine", "thread_environment"))),
        ("allocator", _pairs(_mapping(record, "allocator"))),
        ("addresses", record["address_space"] if isinstance(record.get("address_space"), str) else ""),
        ("commit", describe_commit(record)),
        ("command", record["command"] if isinstance(record.get("command"), str) else ""),
        ("sweep", _sweep(_mapping(record, "sweep"))),
        ("started, finished", _span(record)),
        ("samples", _samples(frame)),
        ("disturbed from outside", _disturbed(frame)),
    ]
    return [(name, clean(said)) for name, said in lines if said]


def machine_words(record: Mapping[str, Any]) -> str:
    """The machine of a run in few words: AMD EPYC (family 26), AVX-512, 2 cores of a virtual machine."""
    cpu = _mapping(record, "machine", "cpu")
    cores = cpu.get("usable_cores") or cpu.get("logical_cores") or cpu.get("physical_cores")
    family = f" (family {cpu['family']})" if isinstance(cpu.get("family"), int) else ""
    said = [clean(cpu.get("model") or "an unnamed processor") + family]
    simd = cpu.get("simd")
    known = simd if isinstance(simd, list) else []
    said += [next((words for name, words in _SIMD.items() if name in known), "")]
    number = count(cores, "core") if isinstance(cores, int) else ""
    virtual = "a virtual machine" if cpu.get("virtualized") is True else ""
    said += [" of ".join(part for part in (number, virtual) if part)] if number or virtual else []
    return ", ".join(part for part in said if part)


_SIMD = {"avx512f": "AVX-512", "avx2": "AVX2", "sve": "SVE", "asimd": "NEON"}
"""Instruction sets from the widest, with their names."""


def _mapping(record: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    found: Any = record
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _pairs(mapping: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in mapping.items() if isinstance(value, str | int | float))


def _machine(machine: Mapping[str, Any]) -> str:
    cpu = _mapping(machine, "cpu")
    said = [str(cpu["model"])] if cpu.get("model") else []
    named = {"physical_cores": "physical cores", "logical_cores": "logical cores", "usable_cores": "usable cores"}
    said += [f"{cpu[name]} {words}" for name, words in named.items() if cpu.get(name)]
    said += ["a virtual machine"] if cpu.get("virtualized") is True else []
    said += [f"governor {cpu['governor']}"] if cpu.get("governor") else []
    memory = machine.get("memory_bytes", 0)
    said += [f"{_binary(memory)} memory"] if _is_positive(memory) else []
    caches = machine.get("caches")
    for cache in caches if isinstance(caches, list) else []:
        if isinstance(cache, Mapping) and _is_positive(cache.get("bytes")) and cache.get("type") != "instruction":
            said.append(f"L{cache.get('level')} {_binary(cache['bytes'])}")
    gpus = machine.get("gpus")
    for gpu in gpus if isinstance(gpus, list) else []:
        if isinstance(gpu, Mapping):
            said.append(f"{gpu.get('name')} (driver {gpu.get('driver')})")
    system = _mapping(machine, "system")
    said += [str(system[name]) for name in ("distribution", "kernel") if system.get(name)]
    return ", ".join(said)


def _binary(number: float) -> str:
    """Bytes in the unit that fits: 32.0 KiB, 1.00 MiB."""
    size, unit = next(((size, unit) for size, unit in _BINARY if number >= size), _BINARY[-1])
    return f"{significant(number / size)} {unit}"


_BINARY = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and 0 < value < math.inf


def describe_commit(record: Mapping[str, Any]) -> str:
    """The revision, and whether it had changes; empty where the record says none."""
    commit = _mapping(record, "commit")
    if not commit.get("revision"):
        return ""
    return f"{commit['revision']}" + (" with changes that are not committed" if commit.get("dirty") else "")


def _sweep(sweep: Mapping[str, Any]) -> str:
    said = [f"{sweep.get('name')}: {sweep.get('summary')}"] if sweep.get("name") else []
    budget, interval = sweep.get("budget_seconds"), sweep.get("target_interval")
    said += [f"budget {seconds(budget)}"] if isinstance(budget, int | float) and math.isfinite(budget) else []
    said += [f"interval asked for ±{share(interval)}"] if isinstance(interval, int | float) else []
    return "; ".join(said)


def _span(record: Mapping[str, Any]) -> str:
    ends = (record.get(name) for name in ("started_at", "finished_at"))
    return " to ".join(str(end) if isinstance(end, str) else "(not finished)" for end in ends)


def _samples(frame: pd.DataFrame) -> str:
    visits, samples = int(frame["rounds"].sum()), int(frame["samples"].sum())
    return f"{count(samples, 'sample')} of {count(len(frame), 'case')} in {count(visits, 'visit')}"


def _disturbed(frame: pd.DataFrame) -> str:
    known = frame["elsewhere_share"].dropna()
    if known.empty:
        return ""
    disturbed = int((known >= DISTURBED).sum())
    return (
        f"other programs took {share(DISTURBED)} or more of the cores' time in {disturbed} of "
        f"{count(len(known), 'case')}, at most {share(float(known.max()))}"
    )


def _peaks(run: LoadedRun) -> str:
    """The best rates for each setting, of any source."""
    by_setting: dict[Settings, list[Any]] = {}
    for peak in run.peaks:
        by_setting.setdefault(settings(peak), []).append(peak)
    rows = []
    for setting, peaks in by_setting.items():
        products = [peak for peak in peaks if peak.kind == "gemm"]
        best = max(products, key=lambda peak: peak.flops_per_second, default=None)
        bandwidth = max((peak.bytes_per_second for peak in peaks if peak.kind == "bandwidth"), default=None)
        calls = sorted({f"{seconds(peak.seconds)} ({clean(peak.source)})" for peak in peaks if peak.kind == "call"})
        shape = f" ({best.M} by {best.N} by {best.K}, {clean(best.source)})" if best else ""
        rate = f"{significant(best.flops_per_second / 1e9)} GFLOP/s{shape}" if best else NOTHING
        moved = f"{significant(bandwidth / 1e9)} GB/s" if bandwidth else NOTHING
        rows.append([describe_conditions(*setting), escape(rate), moved, escape(", ".join(calls)) or NOTHING])
    if not rows:
        return ""
    header = ["setting", "fastest matrix product", "memory bandwidth", "shortest call"]
    return f"Peaks, measured in the same run:\n\n{table(header, rows)}"


def activity_seconds(record: Mapping[str, Any]) -> dict[str, float]:
    """{activity: seconds}, the largest first; empty without any."""
    known = {
        clean(name): float(value) for name, value in _mapping(record, "activity_seconds").items() if _is_positive(value)
    }
    return {name: known[name] for name in sorted(known, key=lambda name: -known[name])}


def activity_shares(record: Mapping[str, Any]) -> dict[str, float]:
    """{activity: its share of all accounted seconds}."""
    known = activity_seconds(record)
    total = sum(known.values())
    return {name: value / total for name, value in known.items()}


def _activities(record: Mapping[str, Any]) -> str:
    shares = activity_shares(record)
    if not shares:
        return ""
    measuring = sum(shares.get(name, 0.0) for name in MEASURING)
    total = sum(activity_seconds(record).values())
    parts = ", ".join(f"{escape(name)} {share(part)}" for name, part in shares.items())
    return f"Of {seconds(total)} that the sweep took, {share(measuring)} was {' and '.join(MEASURING)}: {parts}."


def _paths(frame: pd.DataFrame, packages: Mapping[str, Any]) -> str:
    """The code paths that ran (kernels, formats, settings), as `describe` of each implementation names them.

    Implementations that share a path are listed together. Parts that only repeat `packages`, {library: version}, or are
    a number alone, such as `threads: 2`, are left out.
    """
    known = frame[frame["describe"].notna()]
    software = {f"library: {name} {version}" for name, version in packages.items()}
    paths: dict[str, dict[str, None]] = {}
    for name, path in zip(known["implementation"], known["describe"], strict=True):
        # Paths that differ by numbers alone, such as threads, count as one.
        parts = [_NUMBER.sub("n", part) for part in path.split("; ") if part not in software]
        paths.setdefault(str(name), {}).setdefault("; ".join(part for part in parts if not part.endswith(": n")), None)
    names: dict[str, list[str]] = {}
    for name, found in paths.items():
        names.setdefault(_shared_once(list(found)), []).append(name)
    lines = [f"- {', '.join(map(code, own))}: {escape(path)}" for path, own in names.items() if path]
    return "\n".join(["The code path of each, with n for numbers:", "", *lines[:_MOST_PATHS]]) if lines else ""


def _shared_once(paths: Sequence[str]) -> str:
    """The paths of one implementation as one text: the parts that all share, then the other parts of each."""
    split = [path.split("; ") for path in paths]
    shared = [part for part in split[0] if all(part in each for each in split)]
    own = ["; ".join(part for part in each if part not in shared) for each in split]
    return "; ".join([*shared, *([_alternatives(own)] if len(paths) > 1 else [])])


def _alternatives(texts: Sequence[str]) -> str:
    """Texts that differ, with the words that all begin or end with written once: `path: RNN | GRU operator`."""
    if any("; " in text for text in texts):
        return " | ".join(texts)
    split = [text.split() for text in texts]
    shortest = min(map(len, split))

    def same(at: int) -> bool:
        return len({words[at] for words in split}) == 1

    begin = next((at for at in range(shortest) if not same(at)), shortest)
    end = next((at for at in range(shortest - begin) if not same(-1 - at)), shortest - begin)
    if shortest == begin + end:
        # One has no words of its own, so it needs those that it shares but for the name.
        begin, end = (1 if begin and split[0][0].endswith(":") else 0), 0
    own = [" ".join(words[begin : len(words) - end]) for words in split]
    return " ".join([*split[0][:begin], " | ".join(own), *split[0][len(split[0]) - end :]])


_NUMBER = re.compile(r"(?<![\w.])\d+(?![\w.])")
_MOST_PATHS = 30
