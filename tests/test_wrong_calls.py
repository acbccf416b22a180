"""Wrong calls over all verbs: each ends with status 2 and a sentence that names the value and what helps."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app

CASE = "nn_rnn/cpu/inference/T4-B1-I4-H4-L1-tanh-float32"
LONG = "x" * 300
MANY = ",".join(map(str, range(1, 1001)))

Call = tuple[list[str], str]

SWEEP: list[Call] = [
    (["quik"], "sweep is 'quik'; did you mean quick"),
    ([""], "sweep is ''; Known: quick"),
    (["QUICKEST"], "did you mean quick"),
    (["nothing-like-it"], "Known: quick, default"),
    ([LONG], "Known: quick, default"),
    (["missing.toml"], "sweep file missing.toml cannot be read: No such file or directory"),
    (["folder.toml"], "sweep file folder.toml cannot be read: Is a directory"),
    (["pipe.toml"], "sweep file pipe.toml cannot be read: Is a directory or a special file"),
    (["quick", "more"], "unexpected extra argument(s) (more)"),
    (["quick", "--hiden", "4"], "No such option: --hiden"),
    (["quick", "--impl", "torch_lop"], "implementation is 'torch_lop'; did you mean torch_loop"),
    (["quick", "--impl", ""], "implementation is ''; expected NAME, module:Class, or LABEL=either"),
    (["quick", "--impl", "="], "implementation is '='; expected NAME"),
    (["quick", "--impl", "=nn_rnn"], "implementation is '=nn_rnn'; expected NAME"),
    (["quick", "--impl", "mine="], "implementation is ''; Known: "),
    (["quick", "--impl", "a=b=nn_rnn"], "implementation is 'b=nn_rnn'; did you mean nn_rnn"),
    (["quick", "--impl", "a/b=nn_rnn"], "implementation is 'a/b=nn_rnn'; expected NAME"),
    (["quick", "--impl", "../up=nn_rnn"], "without a slash"),
    (
        ["quick", "--impl", f"{LONG}=nn_rnn"],
        "a name of 300 bytes; expected at most 120: give it a shorter one by LABEL=",
    ),
    (["quick", "--impl", "\N{SNOWMAN}" * 41 + "=nn_rnn"], "a name of 123 bytes; expected at most 120"),
    (["quick", "--impl", "a\nb=nn_rnn"], "expected a name of printable letters"),
    (["quick", "--impl", "a\x1b[31mb=nn_rnn"], "implementation is 'a\\x1b[31mb'; expected a name of printable letters"),
    (["quick", "--impl", "\udcff=nn_rnn"], "expected a name of printable letters"),
    (
        ["quick", "--impl", "nn_rnn", "--impl", "nn_rnn"],
        "implementation nn_rnn is given twice; give one a name of its own",
    ),
    (["quick", "--impl", "a=nn_rnn", "--impl", "a=torch_loop"], "implementation a is given twice"),
    (["quick", "--impl", "all", "--impl", "nn_rnn"], "implementation nn_rnn is given twice"),
    (["quick", "--impl", "no.such:Class"], "there is no module 'no'"),
    (["quick", "--impl", "no/such.py:Class"], "expected NAME, module:Class, or LABEL=either, without a slash"),
    (["quick", "--impl", "json:"], "expected package.module:Class"),
    (["quick", "--impl", ":Class"], "expected package.module:Class"),
    (["quick", "--impl", "json:Missing"], "json has no 'Missing'"),
    (["quick", "--impl", "json:JSONDecoder"], "expected a subclass of rnnimpl.Rnn"),
    (["quick", "--impl", "leaves:Class"], "importing leaves ends with SystemExit: 0"),
    (["quick", "--impl", "broken:Class"], "broken.py, line 1, is no Python"),
    (["quick", "--device", "tpu"], "--device is 'tpu'; expected one or more of cpu, cuda"),
    (["quick", "--device", ""], "--device is '', which is empty; expected one or more of cpu, cuda"),
    (["quick", "--mode", "train"], "--mode is 'train'; expected one or more of inference, training"),
    (["quick", "--dtype", "float8"], "--dtype is 'float8'; expected one or more of float16"),
    (["quick", "--dtype", "float32,,int8"], "--dtype is 'int8'; expected one or more of float16"),
    (["quick", "--hidden", ""], "--hidden is '', which is empty"),
    (["quick", "--hidden", ","], "--hidden is ',', which is empty"),
    (["quick", "--hidden", "0"], "--hidden is '0'; expected whole numbers from 1 to 2147483647"),
    (["quick", "--hidden", "99999999999"], "--hidden is '99999999999'; expected whole numbers from 1 to 2147483647"),
    (["quick", "--hidden", "9" * 5000], "expected whole numbers from 1 to 2147483647"),
    (["quick", "--hidden", "2000000"], "GiB of memory"),
    (["quick", "--hidden", "16;32"], "--hidden is '16;32'; expected whole numbers from 1"),
    (["quick", "--hidden", "1e3"], "--hidden is '1e3'; expected whole numbers from 1"),
    (["quick", "--batch", "-4"], "--batch is '-4'; expected whole numbers from 1"),
    (["quick", "--batch", "nan"], "--batch is 'nan'; expected whole numbers from 1"),
    (["quick", "--batch", "1.5"], "--batch is '1.5'; expected whole numbers from 1"),
    (["quick", "--seq-len", "many"], "--seq-len is 'many'; expected whole numbers from 1"),
    (["quick", "--seq-len", "64\x1b]0;t\x07"], "--seq-len is '64\\x1b]0;t\\x07'; expected whole numbers from 1"),
    (["quick", "--input", "x"], "--input is 'x'; expected whole numbers from 1"),
    (["quick", "--layers", "0"], "--layers is '0'; expected whole numbers from 1"),
    (["quick", "--layers", "1001"], "L is 1001; expected a whole number from 1 to 1000"),
    (["quick", "--layers", "2147483647"], "L is 2147483647; expected a whole number from 1 to 1000"),
    (["quick", "--threads", "0"], "--threads is '0'; expected whole numbers from 1"),
    (["quick", "--threads", "100000"], "threads is 100000; expected at most"),
    (["quick", "--hidden", MANY, "--batch", MANY, "--seq-len", MANY], "2000000000 workloads; expected at most 20000"),
    (["quick", "--hidden", ",".join(["1"] * 10_001)], "--hidden has 10001 values; expected at most 10000"),
    (["quick", "--budget", "0"], "--budget is '0'; expected a time like 90s, 5m or 1h30m"),
    (
        ["quick", "--budget", "5"],
        "--budget is '5', a number without a unit; expected a time like 90s, 5m or 1h30m: did",
    ),
    (["quick", "--budget", "0s"], "--budget is '0s'; expected a time like 90s, 5m or 1h30m, more than 0s"),
    (["quick", "--budget", "-1m"], "--budget is '-1m'; expected a time like 90s, 5m or 1h30m"),
    (["quick", "--budget", "nan"], "--budget is 'nan'; expected a time like 90s"),
    (["quick", "--budget", "inf"], "--budget is 'inf'; expected a time like 90s"),
    (["quick", "--budget", "1e999h"], "--budget is '1e999h'; expected a time like 90s"),
    (["quick", "--budget", "9" * 400 + "h"], "at most 1000h"),
    (["quick", "--budget", "1001h"], "at most 1000h"),
    (["quick", "--budget", ""], "--budget is ''; expected a time like 90s"),
    (["quick", "--budget", "5 minutes"], "--budget is '5 minutes'; expected a time like 90s"),
    (["quick", "--budget", "5m 30x"], "--budget is '5m 30x'; expected a time like 90s"),
    (["quick", "--out", ""], "''; expected a folder's name, or . for the current folder"),
    (["quick", "--out", " "], "' '; expected a folder's name"),
    (["quick", "--out", "file"], "cannot create file: File exists"),
    (["quick", "--out", LONG], "File name too long"),
    (["quick", "--resume", ""], "''; expected a folder's name"),
    (["quick", "--resume", "nowhere"], "nowhere does not exist; expected a run folder"),
    (["quick", "--resume", "file"], "file is a file; expected a run folder"),
    (["quick", "--resume", "."], "holds no run.json, so it is no run folder"),
    (["quick", "--resume", LONG], "File name too long"),
]

TOML = [
    ("", "there is neither a [[grid]] table nor a base"),
    ("[[grid]]\nhiden = 4", "did you mean H"),
    ("grids = 3\n[[grid]]\nT = 1", "key 'grids' is not known; did you mean grid"),
    ("[grid]\nT = 1", "a line [[grid]] with two brackets"),
    ("grid = [1]", "grid is [1]; expected tables"),
    ("base = 3", "base is 3; expected text in quotes"),
    ("base = 'quik'", "did you mean quick"),
    ("base = 'mine.toml'", "sweep is 'mine.toml'"),
    ("base = 'quick'\nname = ['a']", "name is ['a']; expected text in quotes"),
    ("base = 'quick'\nname = '../up'", "name is '../up'; expected up to 80 letters"),
    ("base = 'quick'\nname = ''", "name is ''; expected up to 80 letters"),
    ("base = 'quick'\nsummary = 1", "summary is 1; expected text"),
    ("base = 'quick'\nbudget = true", "budget is True; expected a duration"),
    ("base = 'quick'\nbudget = 'soon'", "budget is 'soon'; expected a time like 90s"),
    ("base = 'quick'\nbudget = '5'", "budget is '5', a number without a unit"),
    ("base = 'quick'\nbudget = -1", "budget is -1; expected more than 0"),
    ("base = 'quick'\nbudget = nan", "budget is nan; expected more than 0"),
    ("base = 'quick'\nbudget = inf", "budget is inf; expected more than 0"),
    ("base = 'quick'\nbudget = " + "9" * 400, "expected more than 0 and at most 3600000 seconds"),
    ("base = 'quick'\nbudget = " + "9" * 5000, "mine.toml: Exceeds the limit"),
    ("base = 'quick'\ntimeout = 1e9", "timeout is 1000000000.0; expected more than 0 and at most"),
    ("base = 'quick'\ntarget_interval = 2", "target_interval is 2; expected a share"),
    ("base = 'quick'\nstop_interval = 'narrow'", "stop_interval is 'narrow'; expected a share"),
    ("base = 'quick'\noverride = 4", "override is 4; expected a table"),
    ("base = 'quick'\n[override]\nhiden = 4", "axis 'hiden' is not known; did you mean H"),
    ("[[grid]]\nT = 'long'", "T is 'long'; expected a whole number from 1"),
    ("[[grid]]\nT = []", "T is empty; expected one or more values"),
    ("[[grid]]\nT = [[1]]", "T is [1]; expected a whole number from 1"),
    ("[[grid]]\nT = true", "T is True; expected a whole number from 1"),
    ("[[grid]]\nT = 1.0", "T is 1.0; expected a whole number from 1"),
    ("[[grid]]\nT = 9223372036854775807", "T is 9223372036854775807; expected a whole number from 1 to 2147483647"),
    ("[[grid]]\nL = 1001", "L is 1001; expected a whole number from 1 to 1000"),
    ("[[grid]]\nbias = 'no'", "bias is 'no'; expected true or false"),
    ("[[grid]]\nmode = 'train'", "mode is 'train'; expected one of inference, training"),
    ("[[grid]]\nT = {a = 1}", "T is {'a': 1}; expected a whole number from 1"),
    ("a = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
    ("[a." + ".".join("b" * 2000) + "]", "key 'a' is not known"),
    ("base = 'quick'\nbase = 'quick'", "Cannot overwrite a value"),
    ("base = ", "Invalid value"),
    ("\0", "mine.toml: "),
    ("base = 'quick'\nname = '\x1b[31m'", "Found invalid character '\\x1b'"),
    ("x" * (2**20 + 1), "has more than 1048576 bytes"),
]

OTHERS: list[Call] = [
    ([], "Show the implementations"),
    (["swep"], "No such command 'swep'"),
    (["--versions"], "No such option: --versions"),
    (["list", "all"], "unexpected extra argument(s) (all)"),
    (["list", "--jsn"], "No such option: --jsn"),
    (["report"], "Missing argument 'RUN...'"),
    (["report", ""], "''; expected a folder's name"),
    (["report", "nowhere"], "nowhere does not exist; expected a run folder"),
    (["report", "file"], "file is a file; expected a run folder"),
    (["report", "."], "holds no run.json"),
    (["report", LONG], "File name too long"),
    (["report", "a\x1b[31mb"], "a [31mb does not exist; expected a run folder"),
    (["report", "nowhere", "--out", ""], "''; expected a folder's name"),
    (["report", "nowhere", "--subject"], "requires an argument"),
    (["compare", "nowhere"], "Missing argument 'NEW'"),
    (["compare", "nowhere", "elsewhere"], "nowhere does not exist; expected a run folder"),
    (["compare", "", ""], "''; expected a folder's name"),
    (["compare", "file", "file"], "file is a file; expected a run folder"),
    (["train", "--impl", "torch_lop"], "did you mean torch_loop"),
    (["train", "--impl", "nn_rnn", "--impl", "nn_rnn"], "nn_rnn more than once; name each once"),
    (["train", "--impl", "leaves:Class"], "importing leaves ends with SystemExit: 0"),
    (["train", "--impl", "leaves_at_once:Class"], "importing leaves_at_once ends with Exited: 0"),
    (["train", "--device", "gpu"], "device is 'gpu'; expected cpu, cuda or cuda:N"),
    (["train", "--device", ""], "device is ''; expected cpu, cuda or cuda:N"),
    (["train", "--dtype", "float16"], "dtype is 'float16': plain gradient descent loses small updates"),
    (["train", "--dtype", "double"], "dtype is 'double'; expected one of float32, float64"),
    (["train", "--steps", "0"], "steps is 0; expected 1 or more"),
    (
        ["train", "--steps", "99999999999"],
        "steps is 99999999999; expected 1 or more, 200 or more to see it learn, and at most",
    ),
    (["train", "--steps", "ten"], "Invalid value for '--steps': 'ten'; expected a whole number"),
    (["train", "--out", ""], "''; expected a folder's name"),
    (["train", "--impl", "numpy_loop", "--out", "file"], "--out is file, where nothing can be written: File exists"),
    (["train", "--impl", "numpy_loop", "--out", "full"], "--out is full, which holds mine.txt; expected a new folder"),
    (["profile"], "Missing argument 'CASE...'"),
    (["profile", "torch_loop"], "case is 'torch_loop'; expected a form like"),
    (["profile", ""], "case is ''; expected a form like"),
    (["profile", CASE.replace("nn_rnn", "torch_lop")], "did you mean torch_loop/cpu/inference/T4"),
    (["profile", CASE.replace("nn_rnn", "no.such:Class")], "there is no module 'no'"),
    (["profile", CASE.replace("nn_rnn", LONG + ":Class")], "a name of 306 bytes; expected at most 120"),
    (["profile", CASE.replace("cpu", "cuda")], "this machine has no NVIDIA GPU: expected device cpu"),
    (["profile", CASE.replace("cpu", "tpu")], "expected a form like"),
    (["profile", CASE.replace("T4", "T0")], "T is 0; expected 1 or more"),
    (["profile", CASE.replace("T4", "T" + "9" * 5000)], "expected a form like"),
    (["profile", CASE.replace("L1", "L1001")], "L is 1001; expected at most 1000"),
    (["profile", CASE.replace("H4", "H2000000")], "GiB of memory"),
    (
        ["profile", CASE.replace("tanh", "gelu")],
        "cell is 'gelu'; did you mean relu? Expected one of tanh, relu, lstm, gru",
    ),
    (["profile", CASE.replace("float32", "int4")], "dtype is 'int4'; expected one of"),
    (["profile", CASE + "-threads1000"], "expected at most"),
    (["profile", CASE, "--impl", "torch_lop"], "did you mean torch_loop/cpu"),
    (["profile", CASE, "--impl", "leaves:Class"], "importing leaves ends with SystemExit: 0"),
    (["profile", CASE, "--batch", ","], "--batch is ',', which is empty"),
    (["profile", CASE, "--hidden", "-8"], "--hidden is '-8'; expected whole numbers from 1"),
    (["profile", CASE, "--hidden", MANY, "--batch", MANY], "1000000 cases are to be profiled; expected at most 1000"),
    (["profile", CASE, "--seconds", "0"], "--seconds is 0.0; expected more than 0 and at most 60"),
    (["profile", CASE, "--seconds", "nan"], "--seconds is nan; expected more than 0 and at most 60"),
    (["profile", CASE, "--seconds", "long"], "Invalid value for '--seconds': 'long'; expected a number"),
    (["profile", CASE, "--repeats", "2.5"], "Invalid value for '--repeats': '2.5'; expected a whole number"),
    (["profile", CASE, "--repeats", "0"], "--repeats is 0; expected 1 to 100"),
    (["profile", CASE, "--out", ""], "''; expected a folder's name"),
    (["profile", CASE, "--out", "file"], "--out is file, where nothing can be written: File exists"),
    (["calibrate"], "Missing option '--out'"),
    (["calibrate", "--out", "nowhere", "--budget", "0s"], "nowhere holds no calibration"),
    (["calibrate", "--out", "nowhere", "--budget", "5"], "--budget is '5', a number without a unit"),
    (["calibrate", "--out", "file"], "--out is file, where nothing can be written: File exists"),
    (["regress"], "--base is missing, and nothing else sets the sides apart"),
    (["regress", "--base", "HEAD", "--tolerance", "wide"], "Input should be a valid number"),
    (["regress", "--base", "HEAD", "--budget", "5"], "--budget is '5', a number without a unit"),
    (["track", "--processes", "many"], "Input should be a valid integer"),
    (["track"], "is not in a git checkout"),
    (["history", "--nowhere"], "No such option"),
    (["history"], "is not in a git checkout"),
]


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """A shell in a folder with what wrong calls name, and nothing to measure with."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    Path("file").touch()
    for folder in ("folder.toml", "full"):
        Path(folder).mkdir()
    Path("full/mine.txt").touch()
    os.mkfifo("pipe.toml")
    Path("leaves.py").write_text("import sys\nsys.exit(0)\n")
    Path("leaves_at_once.py").write_text("import os\nos._exit(0)\n")
    Path("broken.py").write_text("class\n")
    return CliRunner(env={"COLUMNS": "400", "TERM": "dumb"})


def refused(runner: CliRunner, words: list[str], message: str) -> None:
    """Check that a call is refused in a sentence and leaves nothing behind."""
    before = sorted(Path().rglob("*"))
    result = runner.invoke(app, words)
    said = " ".join(result.output.replace("│", " ").split())
    assert result.exit_code == 2, said
    assert message in said
    assert "Traceback" not in said
    assert len(said) < 6000
    assert said.isprintable()
    assert [path for path in sorted(Path().rglob("*")) if "__pycache__" not in path.parts] == before


@pytest.mark.parametrize(("words", "message"), SWEEP)
def test_a_wrong_sweep_is_refused(runner: CliRunner, words: list[str], message: str) -> None:
    """By its option, the value and what was expected."""
    refused(runner, ["sweep", *words], message)


@pytest.mark.parametrize(("content", "message"), TOML)
def test_a_wrong_sweep_file_is_refused(runner: CliRunner, content: str, message: str) -> None:
    """By the file, the key, the value and what was expected."""
    Path("mine.toml").write_text(content, encoding="utf-8")
    refused(runner, ["sweep", "mine.toml"], message)


@pytest.mark.parametrize(("words", "message"), OTHERS)
def test_a_wrong_call_of_another_verb_is_refused(runner: CliRunner, words: list[str], message: str) -> None:
    """As of a sweep."""
    refused(runner, words, message)
