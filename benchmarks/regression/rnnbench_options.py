"""A pytest plugin for the process that is measured: take back what the project's own options ask for its tests.

What spoils or forbids a measurement goes, and what writes files beside the suite. It runs in the environment of the
project that is judged, so it imports nothing but the standard library and pytest, and has a name of its own.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_FLAGS = frozenset(
    [
        # fewer tests, by what the cache tells of earlier runs
        *("--sw", "--stepwise", "--sw-skip", "--stepwise-skip", "--lf", "--last-failed", "--ff", "--failed-first"),
        *("--nf", "--new-first", "--cache-clear"),
        # none at all, or none without somebody at the keyboard
        *("--collect-only", "--co", "--setup-only", "--setup-plan", "--pdb", "--trace"),
        # in another process, or measured by another plugin
        *("--forked", "--boxed", "--codspeed"),
    ]
)
"""Options without an opposite that could be given after them."""
_FILES: dict[str, object] = {
    "xmlpath": None,
    "benchmark_save": None,
    "benchmark_autosave": None,
    "benchmark_json": None,
    "benchmark_compare": None,
    "benchmark_compare_fail": [],
    "benchmark_histogram": None,
    "benchmark_cprofile": None,
}
"""Options that read or write files, by their names in pytest's configuration, and their values without effect."""

if importlib.util.find_spec("pytest_benchmark") is None:
    raise pytest.UsageError(
        f"{sys.executable} has no pytest-benchmark; expected it beside pytest, since it measures the suite"
    )


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> Iterator[None]:
    """Change the words of the command line, of which the project's options are the first."""
    args[:] = [word for word in args if word not in _FLAGS]
    for plugin, option in (("xdist", "-n0"), ("timeout", "--timeout=0")):
        if early_config.pluginmanager.hasplugin(plugin):
            args += [option]
    if early_config.pluginmanager.hasplugin("pytest_cov"):
        args += ["--no-cov"]
        early_config.known_args_namespace.no_cov = True
    return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Set what no word of the command line can; --ignore goes where it would ignore the whole suite."""
    for name, value in _FILES.items():
        if hasattr(config.option, name):
            setattr(config.option, name, value)
    suite = [Path(word.partition("::")[0]).resolve() for word in config.args]
    ignored = config.option.ignore or ()
    config.option.ignore = [
        path for path in ignored if not any(each.is_relative_to(Path(path).resolve()) for each in suite)
    ]
