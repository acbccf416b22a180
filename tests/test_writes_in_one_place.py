"""The source of the project writes and removes files in one place, and executes nothing that it reads."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
THE_PLACE = "benchmarks/files/"
ALLOWED = {
    ("benchmarks/commands/app.py", "TemporaryFile"): "whether the temporary folder can be written",
    ("benchmarks/commands/endings.py", "mkstemp"): "the traceback of a fault of ours, in the temporary folder",
    ("benchmarks/commands/endings.py", "open"): "the null device, in place of a broken pipe",
    ("benchmarks/measuring/conditions/lock.py", "mkstemp"): "who holds the machine's lock, beside the lock",
    ("benchmarks/measuring/conditions/lock.py", "open"): "the machine's lock, for reading",
    ("benchmarks/measuring/sweeping/first_use.py", "mkdir"): "an empty cache, in a scratch folder",
    ("benchmarks/measuring/conditions/lock.py", "replace"): "who holds the machine's lock, beside the lock",
    ("benchmarks/measuring/conditions/lock.py", "unlink"): "who holds the machine's lock, beside the lock",
    ("benchmarks/measuring/calls/memory.py", "write_text"): "a switch of the kernel's in /proc",
    ("benchmarks/measuring/processes/worker.py", "write_text"): "a switch of the kernel's in /proc",
    (
        "benchmarks/measuring/processes/worker.py",
        "savez",
    ): "results, where the parent asks for them: a scratch folder",
    ("benchmarks/profiling/tracing/gpu_profile.py", "export_chrome_trace"): "PyTorch writes it, into a scratch folder",
    ("benchmarks/profiling/tracing/torch_trace.py", "export_chrome_trace"): "PyTorch writes it, into a scratch folder",
    (
        "benchmarks/regression/environments/kept_environments.py",
        "rmtree",
    ): "an environment of the cache, which is built anew",
    ("benchmarks/regression/environments/kept_environments.py", "touch"): "the cache of environments",
    ("benchmarks/reading.py", "open"): "for reading",
    ("benchmarks/regression/plugins/rnnbench_turns.py", "open"): "runs without the project, into a scratch folder",
    ("rnnimpl/cache.py", "mkdir"): "the cache of compiled code",
    ("rnnimpl/cache.py", "open"): "for reading",
    ("rnnimpl/conformance/worker.py", "open"): "its own descriptors",
    ("benchmarks/regression/environments/kept_environments.py", "write_text"): "the cache of environments",
    ("benchmarks/regression/real_suites.py", "extractall"): "a source distribution, into a scratch folder",
    ("benchmarks/regression/environments/revisions.py", "rmtree"): "a worktree of its own, in a scratch folder",
    ("benchmarks/regression/environments/revisions.py", "unlink"): "in a worktree of its own, in a scratch folder",
    ("benchmarks/regression/plugins/rnnbench_origins.py", "replace"): "runs without the project, into a scratch folder",
    (
        "benchmarks/regression/plugins/rnnbench_origins.py",
        "write_text",
    ): "runs without the project, into a scratch folder",
    ("rnnimpl/onednn.py", "TemporaryFile"): "what oneDNN writes to standard output",
    ("rnnimpl/torch_inductor.py", "rmtree"): "the folder of what PyTorch compiled",
    ("rnnimpl/native/build.py", "chmod"): "the cache of compiled code",
    ("rnnimpl/native/build.py", "hardlink_to"): "the cache of compiled code",
    ("rnnimpl/native/build.py", "mkstemp"): "the cache of compiled code",
    ("rnnimpl/native/build.py", "replace"): "the cache of compiled code",
    ("rnnimpl/native/build.py", "unlink"): "the cache of compiled code",
    ("rnnimpl/native/compiling.py", "unlink"): "what is being compiled, for the program that shows it",
    ("rnnimpl/native/compiling.py", "write_text"): "what is being compiled, for the program that shows it",
}
"""{(file, call): why it may}; each is there."""
LOADERS = {
    "benchmarks/models/state_dict_files.py": "state dicts that the user names, by weights_only, which executes nothing",
    "benchmarks/models/worker.py": "a model's code that the user names, in a process of its own",
    "rnnimpl/cells/__init__.py": "the files of its own folder",
    "rnnimpl/conformance/copies.py": "pickle, of what the check itself has just made",
    "rnnimpl/registry.py": "implementations, by a name that the user gave or the registry has",
}

_OF_A_PATH = {
    *("write_text", "write_bytes", "unlink", "rmdir", "mkdir", "touch", "symlink_to", "hardlink_to", "chmod"),
    *("rmtree", "copyfile", "copytree", "copy2", "copymode", "move", "makedirs", "removedirs", "truncate", "mkfifo"),
    *("mkdtemp", "mkstemp", "NamedTemporaryFile", "TemporaryDirectory", "TemporaryFile"),
    *("savez", "savez_compressed", "savetxt", "tofile", "to_pickle", "to_parquet", "to_excel", "to_hdf"),
    *("export_chrome_trace", "imsave", "extractall"),
}
_OF_A_MODULE = {
    "os": {"remove", "replace", "rename", "renames", "link", "symlink", "open", "mknod"},
    "shutil": {"copy"},
}
_UNLESS_INTO_A_BUFFER = {"savefig", "save", "to_csv", "to_html", "to_string", "dump"}


@functools.cache
def nodes(source: str) -> tuple[ast.AST, ...]:
    """All of a source's syntax tree."""
    return tuple(ast.walk(ast.parse(source)))


def calls(source: str) -> Iterator[tuple[ast.Call, str, str]]:
    """Every call, with the last name of what is called and the name that it is called on."""
    for node in nodes(source):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                on = node.func.value
                yield node, node.func.attr, on.id if isinstance(on, ast.Name) else ""
            elif isinstance(node.func, ast.Name):
                yield node, node.func.id, ""


def writes(source: str) -> list[str]:
    """The names of calls that write, make or remove files."""
    buffers = {
        target.id
        for node in nodes(source)
        if isinstance(node, ast.Assign) and "BytesIO" in ast.unparse(node.value)
        for targets in node.targets
        for target in ast.walk(targets)
        if isinstance(target, ast.Name)
    }
    return [name for call, name, on in calls(source) if _writes(call, name, on, buffers)]


def _writes(call: ast.Call, name: str, on: str, buffers: set[str]) -> bool:
    first = call.args[0] if call.args else None
    if name in _UNLESS_INTO_A_BUFFER and isinstance(call.func, ast.Attribute):
        written = [*call.args[:1], *(word.value for word in call.keywords if word.arg in ("path_or_buf", "fname"))]
        return bool(written) and not (isinstance(first, ast.Name) and first.id in buffers)
    if name in _OF_A_PATH or (name, on) == ("save", "np") or name in _OF_A_MODULE.get(on, ()):
        return True
    if name in ("replace", "rename", "link_to"):
        # Of a path: one argument. Of a text two; of a frame or a record, named ones.
        return len(call.args) == 1 and not call.keywords
    if name == "open":
        mode = [*call.args[0 if isinstance(call.func, ast.Attribute) else 1 :], *(word.value for word in call.keywords)]
        modes = [each.value for each in mode if isinstance(each, ast.Constant) and isinstance(each.value, str)]
        return any(set(text) & set("wax+") and set(text) <= set("rwaxbt+") for text in modes)
    return False


def executes(source: str) -> list[str]:
    """The names of calls and modules that execute what they read."""
    found = [
        name for _, name, on in calls(source) if name in ("eval", "exec", "import_module", "__import__") and not on
    ]
    found += [
        name for _, name, on in calls(source) if on == "importlib" or (name == "load" and on in ("torch", "yaml"))
    ]
    found += [
        "np.load"
        for call, name, on in calls(source)
        if (name, on) == ("load", "np")
        and not any(word.arg == "allow_pickle" and ast.unparse(word.value) == "False" for word in call.keywords)
    ]
    for node in nodes(source):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names]
            found += [name for name in names if name.split(".")[0] in ("pickle", "marshal", "shelve", "dill", "joblib")]
    return found


def sources() -> dict[str, str]:
    """{path: source} of all that is installed."""
    found = [path for room in ("benchmarks", "rnnimpl") for path in sorted((ROOT / room).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in found}


def test_files_are_written_and_removed_in_one_place() -> None:
    """`benchmarks/files`: it follows no link and knows what is ours. What else writes has its reason here."""
    found = {
        (path, name) for path, source in sources().items() if not path.startswith(THE_PLACE) for name in writes(source)
    }
    assert found == set(ALLOWED)


def test_nothing_that_is_read_is_executed() -> None:
    """Runs, histories and calibrations of strangers are data; code is loaded where the user names it alone."""
    found = {path: executes(source) for path, source in sources().items()}
    assert [path for path, names in found.items() if names] == list(LOADERS)


@pytest.mark.parametrize(
    "line",
    [
        *(
            "path.write_text('x')",
            "path.unlink()",
            "(a / b).unlink(missing_ok=True)",
            "shutil.rmtree(x)",
            "os.remove(x)",
        ),
        *("open(path, 'w')", "open(path, mode='ab')", "path.open('a')", "(a / b).open(mode='x')", "os.open(x, flags)"),
        *("os.replace(a, b)", "path.replace(b)", "path.rename(b)", "shutil.copy(a, b)", "shutil.move(a, b)"),
        *("figure.savefig(path)", "frame.to_csv(path, index=False)", "frame.to_csv(path_or_buf=path)", "np.save(p, x)"),
        *("image.save(folder / 'x')", "json.dump(x, file)", "path.mkdir()", "os.makedirs(x)", "tempfile.mkdtemp()"),
        "path.symlink_to(x)",
    ],
)
def test_a_write_is_found(line: str) -> None:
    """Every way to write of Python and the libraries in use is found."""
    assert writes(line)


@pytest.mark.parametrize(
    "line",
    [
        *("text.replace('a', 'b')", "dataclasses.replace(x, a=1)", "frame.rename(columns={})", "path.open('rb')"),
        *("open(path)", "path.open()", "frame.to_csv(index=False)", "json.dumps(x)", "path.read_text()"),
        *("png = io.BytesIO(); figure.savefig(png, format='png')", "table.open('mine')"),
    ],
)
def test_what_only_reads_is_no_write(line: str) -> None:
    """Reading, and a function that only shares the name of a writing one, are no writes."""
    assert not writes(line)


@pytest.mark.parametrize(
    "line",
    [
        *("eval(x)", "exec(x)", "importlib.import_module(x)", "np.load(path)", "np.load(path, allow_pickle=True)"),
        *("torch.load(path)", "yaml.load(text)", "import pickle", "from pickle import loads", "__import__(x)"),
    ],
)
def test_what_executes_is_found(line: str) -> None:
    """Every way in which reading may run code is found."""
    assert executes(line)
