"""The one place through which files are written and removed, so that only this tool's own files are changed.

The rules:

- A folder that the user names is the user's choice, and a link that leads to it is followed. Below it no link is
  followed, whoever made it: it is refused in a sentence that names it (`writing`).
- A command replaces or removes only files whose bytes it wrote itself, by the record that it keeps there; any other
  file under such a name is refused before anything is computed (`outputs`).
- A file that is only added to (trials, histories, logs) has to be a regular file with one name (`writing`).
- Part of a tree is copied into another tree without leaving either (`copying`).
- Temporary files are in folders that belong to one run and are removed when it ends (`scratch`).

A test reads the source of the project and finds every call that writes or removes elsewhere.
"""

from benchmarks.files.copying import copy_across
from benchmarks.files.outputs import CommandFiles, check_outputs, replacing
from benchmarks.files.scratch import remove_abandoned, scratch_folder
from benchmarks.files.writing import (
    StoreError,
    append,
    append_to_named,
    check_no_link,
    check_writable,
    explained,
    folder_for,
    make_folder,
    make_named,
    open_to_append,
    open_to_read,
    remove,
    write,
)

__all__ = [
    "CommandFiles",
    "StoreError",
    "append",
    "append_to_named",
    "check_no_link",
    "check_outputs",
    "check_writable",
    "copy_across",
    "explained",
    "folder_for",
    "make_folder",
    "make_named",
    "open_to_append",
    "open_to_read",
    "remove",
    "remove_abandoned",
    "replacing",
    "scratch_folder",
    "write",
]
