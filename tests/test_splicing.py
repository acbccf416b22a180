"""The answer of runs in a file of Markdown, and README's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.reporting.splicing import END, splice_file, spliced
from tests.synthetic_runs import measured, record, run_of, typed, workload

ROOT = Path(__file__).parent.parent
TEXT = f"""# Mine

<!-- rnnbench: terminal -->
old
{END}
between
<!-- rnnbench: picture -->
{END}
<!-- rnnbench: results -->
{END}
after
"""


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Two runs with different answers; the first one is the earlier."""
    for name, seconds, day in (("one", 1.0, 1), ("two", 4.0, 2)):
        trials = measured(workload(), {"nn_rnn": 2.0, "mine": seconds})
        variables = {"OPENBLAS_CORETYPE": "Haswell"} if name == "two" else {}
        machine = record(trials)["machine"] | {"thread_environment": variables}
        run_of(tmp_path / "results" / name, trials, started_at=f"2026-01-0{day}T00:00:00+00:00", machine=machine)
    return [tmp_path / "results" / name for name in ("one", "two")]


def test_blocks_hold_the_answers_and_nothing_else_changes(runs: list[Path], tmp_path: Path) -> None:
    """The run that is named first in full, the other in sentences, the doubts included, with links from the file."""
    text = typed(spliced(TEXT, runs, tmp_path))
    assert text.startswith("# Mine\n\n<!-- rnnbench: terminal -->\n```text\nUse mine.")
    assert "old" not in text
    assert "\nbetween\n" in text
    assert text.endswith("\nafter\n")
    assert "report: results/one/report.md" in text
    assert "(results/one/plots/ranking.png)" in text
    assert "| inference | 2.00x (2.00-2.00) | 2.00x (2.00-2.00) |" in text
    assert "- [Synthetic CPU" in text
    assert "(results/two/report.md): Use `nn_rnn`." in text
    assert text.count("OPENBLAS_CORETYPE") == 1


def test_a_text_that_is_filled_again_is_the_same(runs: list[Path], tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(TEXT, encoding="utf-8")
    splice_file(path, runs)
    once = path.read_text(encoding="utf-8")
    splice_file(path, runs)
    assert path.read_text(encoding="utf-8") == once != TEXT


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nothing", "the text has no block to fill"),
        (f"<!-- rnnbench: x -->\n{END}", "the block is 'x'; expected one of"),
        (
            f"<!-- rnnbench: results -->\nmine\n<!-- rnnbench: terminal -->\n{END}\n",
            "the block results has no end before the next block",
        ),
        (f"<!-- rnnbench: results -->\n{END}\n<!-- rnnbench: terminal -->\nmine\n", "the block terminal has no end"),
    ],
)
def test_a_text_without_a_known_block_is_refused(text: str, words: str, runs: list[Path], tmp_path: Path) -> None:
    """Where an end is missing, the user's text after it is no block's."""
    with pytest.raises(ValueError, match=re.escape(words)):
        spliced(text, runs, tmp_path)


def test_the_readme_says_what_the_committed_runs_say() -> None:
    """Every number between its marks follows from the runs, by the command of CONTRIBUTING.md."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    committed = [ROOT / "results" / f"reference-cpu-{machine}" for machine in ("zen5", "xeon", "zen4", "zen3")]
    assert sorted(committed) == sorted((ROOT / "results").glob("reference-cpu-*"))
    assert spliced(text, committed, ROOT) == text


def test_the_links_of_the_readme_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith("http")]
    assert [link for link in links if not (ROOT / link).exists()] == []
    assert len(links) > 10
