"""A pytest plugin that takes back those options of a project that would spoil or forbid a measurement, or write files.

It runs in the environment of the project under test, so it imports nothing but the standard library and pytest, and its
name is one that no module of the project has.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_FLAGS = frozenset(
    [
        # a choice of tests by the cache of earlier runs
        *("--sw", "--stepwise", "--sw-skip", "--stepwise-skip", "--lf", "--last-failed", "--ff", "--failed-first"),
        *("--nf", "--new-first", "--cache-clear"),
        # no test, or none without a person at the keyboard
        *("--collect-only", "--co", "--setup-only", "--setup-plan", "--pdb", "--trace"),
        # tests in another process, or measured by another plugin
        *("--forked", "--boxed", "--codspeed"),
    ]
)
"""Options that are removed from the command line, since no later option turns them off."""
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
"""The options that read or write files, by their names in pytest's configuration, and values that turn them off."""

if importlib.util.find_spec("pytest_benchmark") is None:
    raise pytest.UsageError(
        f"{sys.executable} has no pytest-benchmark; expected it beside pytest, since it measures the suite"
    )


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> Iterator[None]:
    """Change the words of the command line, which begin with the project's options."""
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
    """Turn off the options that write files, and an --ignore of the whole suite."""
    for name, value in _FILES.items():
        if hasattr(config.option, name):
            setattr(config.option, name, value)
    if hasattr(config.option, "randomly_seed"):
        # pytest-randomly: the two processes of a pair draw the same numbers, in the order of the suite.
        config.option.randomly_seed = int(os.environ.get("PYTHONHASHSEED", "0"))
        config.option.randomly_reorganize = False
    suite = [Path(word.partition("::")[0]).resolve() for word in config.args]
    ignored = config.option.ignore or ()
    config.option.ignore = [
        path for path in ignored if not any(each.is_relative_to(Path(path).resolve()) for each in suite)
    ]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take back the limits of pytest-timeout by marks: they count the time in which the other side has its turn."""
    if config.pluginmanager.hasplugin("timeout"):
        for item in items:
            if item.get_closest_marker("timeout") is not None:
                item.add_marker(pytest.mark.timeout(0), append=False)
