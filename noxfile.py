"""The ways this project is used, each in an environment of its own: `nox -l` lists them."""

from __future__ import annotations

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "tests"]

PROJECT = nox.project.load_toml("pyproject.toml")


def install(session: nox.Session, *groups: str) -> None:
    """Install the project and dependency groups at the versions that constraints.txt pins."""
    packages = nox.project.dependency_groups(PROJECT, *groups)
    session.install("--constraint", "constraints.txt", "--editable", ".", *packages)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests; what follows -- goes to pytest."""
    install(session, "tests")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check formatting, style and types."""
    install(session, "tests", "lint")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("mypy")


@nox.session
def sweep(session: nox.Session) -> None:
    """Measure all implementations on this machine; what follows -- goes to `python -m benchmarks sweep`."""
    install(session)
    session.run("python", "-m", "benchmarks", "sweep", *session.posargs)


@nox.session
def train(session: nox.Session) -> None:
    """Train every implementation on the same task; what follows -- goes to `python -m benchmarks train`."""
    install(session)
    session.run("python", "-m", "benchmarks", "train", *session.posargs)
