"""The ways this project is used, each in an environment of its own: `nox -l` lists them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "tests"]

PROJECT = nox.project.load_toml("pyproject.toml")


def install(session: nox.Session, *groups: str, project: str = ".") -> None:
    """Install the project and dependency groups at the versions that constraints.txt pins."""
    packages = nox.project.dependency_groups(PROJECT, *groups)
    session.install("--constraint", "constraints.txt", "--editable", project, *packages)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests, a process a core; what follows -- goes to pytest."""
    install(session, "tests")
    # Without bytecode files each process that a test starts compiles all that it imports.
    may_write_bytecode = {"PYTHONDONTWRITEBYTECODE": None}
    spread = ("--numprocesses", "logical", "--dist", "loadscope")
    session.run("python", "-m", "pytest", *spread, *session.posargs, env=may_write_bytecode)


@nox.session
def engines(session: nox.Session) -> None:
    """Install every engine and put each through the conformance suite: `-- -k jax_scan` for one of them."""
    install(session, "tests", project=".[engines]")
    tests_of_engines = tuple(
        f"tests/test_{name}.py"
        for name in ("conformance", "engines", "engines_cells", "fused_cuda", "torch_compile_module")
    )
    spread = ("--numprocesses", "logical", "--dist", "loadgroup")
    session.run("python", "-m", "pytest", "-m", "engines", *spread, *tests_of_engines, *session.posargs)


@nox.session
def page(session: nox.Session) -> None:
    """Test the page of a report in Chromium, which the system has to have: `apt-get install chromium`."""
    install(session, "tests", "browser")
    session.run("python", "-m", "pytest", "tests/test_page_browser.py", "--require-browser", *session.posargs)


@nox.session(name="tests-of-torch")
def tests_of_torch(session: nox.Session) -> None:
    """Put the modules of `rnnimpl.torch` through PyTorch's own tests of modules."""
    install(session, "tests")
    session.run("python", "-m", "pytest", "--tests-of-torch", "tests/test_torch_own_tests.py", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check formatting, style, types, and the workflows against GitHub's schema, which the checker brings with it."""
    install(session, "tests", "lint")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("mypy")
    workflows = sorted(str(path) for path in Path(".github/workflows").glob("*.yml"))
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows)
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-actions", "action.yml")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation as a site into build/site, with warnings as errors; `-- serve` shows it at once."""
    install(session, "docs")
    verb, *options = session.posargs or ("build", "--strict")
    session.run("mkdocs", verb, *options)


@nox.session(name="list")
def list_(session: nox.Session) -> None:
    """Show the implementations, where each runs or why it cannot, and the sweeps that have a name."""
    install(session)
    session.run("python", "-m", "benchmarks", "list", *session.posargs)


@nox.session
def sweep(session: nox.Session) -> None:
    """Measure all implementations on this machine; what follows -- goes to `python -m benchmarks sweep`."""
    install(session)
    session.run("python", "-m", "benchmarks", "sweep", *session.posargs)


@nox.session(name="sweep-engines")
def sweep_engines(session: nox.Session) -> None:
    """Install every engine and measure all on one thread and on two: an hour; what follows -- goes to `sweep`."""
    install(session, project=".[engines]")
    options = ("--impl", "all", "--threads", "1,2", "--budget", "1h")
    session.run("python", "-m", "benchmarks", "sweep", *options, *session.posargs)


@nox.session
def profile(session: nox.Session) -> None:
    """Say where the time of cases goes; what follows -- goes to `python -m benchmarks profile`."""
    install(session)
    session.run("python", "-m", "benchmarks", "profile", *session.posargs)


@nox.session
def train(session: nox.Session) -> None:
    """Train every implementation on the same task; what follows -- goes to `python -m benchmarks train`."""
    install(session)
    session.run("python", "-m", "benchmarks", "train", *session.posargs)


@nox.session
def selfcheck(session: nox.Session) -> None:
    """Measure one implementation under two names on one thread, to see how far two equal things differ: 20 minutes."""
    install(session)
    names = ("--impl", "nn_rnn", "--impl", "nn_rnn_again=nn_rnn")
    options = ("--threads", "1", "--cell", "tanh", "--budget", "20m")
    session.run("python", "-m", "benchmarks", "sweep", *names, *options, *session.posargs)


@nox.session
def regress(session: nox.Session) -> None:
    """Judge whether the checkout is slower than another revision: `-- --base REV`."""
    install(session, "tests")
    # 3: nothing can be told, which the output says. A confirmed slowdown, a broken case and wrong use fail.
    session.run("python", "-m", "benchmarks", "regress", *session.posargs, success_codes=[0, 3])


@nox.session
def track(session: nox.Session) -> None:
    """Measure revisions and add them to this machine's history; `-- --range A..B` for those of a range."""
    install(session, "tests")
    session.run("python", "-m", "benchmarks", "track", *session.posargs)


@nox.session
def history(session: nox.Session) -> None:
    """Find the steps in the history; what follows -- goes to `python -m benchmarks history`."""
    install(session, project=".[history]")
    session.run("python", "-m", "benchmarks", "history", *session.posargs)


@nox.session
def calibrate(session: nox.Session) -> None:
    """Measure how often `regress` is wrong on this machine: half an hour; it goes on where it was stopped."""
    install(session, "tests")
    session.run("python", "-m", "benchmarks", "calibrate", "--out", "results/calibration", *session.posargs)


@nox.session
def kills(session: nox.Session) -> None:
    """Kill sweeps and workers 20 times each at random moments; nothing may be lost."""
    install(session, "tests")
    session.run("python", "-m", "pytest", "tests/test_kills.py", "--kills", "20", *session.posargs)


@nox.session
def cluster(session: nox.Session) -> None:
    """Measure by jobs of a cluster: `-- FILE.toml PRESET`; without these, try it on a Slurm of this machine's own."""
    install(session, "tests", project=".[cluster]")
    if session.posargs:
        session.run("python", "-m", "benchmarks", "sweep", "--cluster", *session.posargs)
    else:
        on_slurm = ("-m", "slurm", "--kills", "5", "--capture", "no", "tests/test_cluster_on_slurm.py")
        session.run("python", "-m", "pytest", *on_slurm)


@nox.session(name="real-suites")
def real_suites(session: nox.Session) -> None:
    """Try `regress` between releases of public projects, by their own suites: two hours; `-- pluggy` for one."""
    install(session, "tests")
    session.run("python", "-m", "benchmarks.regression.real_suites", *session.posargs)


@nox.session
def mutations(session: nox.Session) -> None:
    """Name the small changes to the code of verdicts that no test notices: hours; `-- '*.verdicts.*'` for a module."""
    install(session, "tests", "mutation", project=".[history]")
    session.run("mutmut", "run", "--max-children", "1", *session.posargs)
    by_module: dict[str, Counter[str]] = {}
    for line in str(session.run("mutmut", "results", "--all", "true", silent=True)).splitlines():
        name, _, status = line.strip().rpartition(": ")
        by_module.setdefault(name.rpartition(".")[0], Counter())[status] += 1
        if status not in ("killed", "not checked"):
            session.log(f"{name}: {status}")
    for module, statuses in by_module.items():
        session.log(f"{module}: " + ", ".join(f"{number} {status}" for status, number in statuses.most_common()))
