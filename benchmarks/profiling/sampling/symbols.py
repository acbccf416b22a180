"""From the address of an instruction to its library and function, by the symbol tables of this process's libraries.

Only the names of functions are read, no debugging information. A library without a full symbol table has the names that
it exports; of a function with no name only the library is known.
"""

from __future__ import annotations

import ctypes
import platform
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

_SECTION_SYMBOLS, _SECTION_EXPORTS = 2, 11
_FUNCTION_TYPES = (2, 10)
"""STT_FUNC and STT_GNU_IFUNC (ELF specification)."""
_SYMBOL = np.dtype(
    [("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2"), ("value", "<u8"), ("size", "<u8")]
)
_LONGEST_NAME = 600
_CHOSEN_AT_LOAD = ("memcpy", "memmove", "memset")
"""Functions of which libc has one for each kind of processor, and no name for the one in use."""
_CHOSEN_BYTES = 2048
"""The approximate size of such a function."""
_SPINS = {"x86_64": b"\xf3\x90", "aarch64": b"\x3f\x20\x03\xd5"}
"""The instructions `pause` and `yield`, with which a loop polls a variable."""
_NEAR_BYTES = 24
SPINS = " (spins)"
"""The end of a place's function where it polls."""
NO_FILE = "code without a file"
"""The library's name for code that was compiled in this process."""


class Place(NamedTuple):
    """Library and function of an instruction; `function` is the linker's name, empty where there is none."""

    library: str
    function: str


ASLEEP = Place("the kernel", "asleep")
"""The place of a thread that waits in a system call."""


class _Mapping(NamedTuple):
    begin: int
    end: int
    offset: int
    path: str


class SymbolTable:
    """The function symbols of one ELF file of 64 bits, by address."""

    def __init__(self, path: Path) -> None:
        content = np.memmap(path, dtype="u1", mode="r")
        header = content[:64].tobytes()
        if header[:5] != b"\x7fELF\x02":
            raise ValueError(f"{path} is no ELF file of 64 bits")
        segments, sections = struct.unpack_from("<QQ", header, 32)
        segment_count, _, section_count = struct.unpack_from("<HHH", header, 56)
        self._segments = [
            struct.unpack("<IIQQQQQQ", content[at : at + 56].tobytes())[2:6]
            for at in range(segments, segments + 56 * segment_count, 56)
            if struct.unpack("<I", content[at : at + 4].tobytes())[0] == 1
        ]
        tables = [
            struct.unpack("<IIQQQQIIQQ", content[at : at + 64].tobytes())
            for at in range(sections, sections + 64 * section_count, 64)
        ]
        found = [each for each in tables if each[1] == _SECTION_SYMBOLS] or [
            each for each in tables if each[1] == _SECTION_EXPORTS
        ]
        self._content = content
        self._symbols = np.zeros(0, _SYMBOL)
        self._names = 0
        if found:
            _, _, _, _, offset, size, link, *_ = found[0]
            symbols = np.frombuffer(content[offset : offset + size].tobytes(), _SYMBOL)
            symbols = symbols[np.isin(symbols["info"] & 15, _FUNCTION_TYPES) & (symbols["value"] > 0)]
            self._symbols = symbols[np.argsort(symbols["value"], kind="stable")]
            self._names = tables[link][4]

    def function(self, offset: int) -> str:
        """The function at an offset into the file; empty where none covers it."""
        for start, address, _, size in self._segments:
            if start <= offset < start + size:
                return self._covering(offset - start + address)
        return ""

    def spins(self, offset: int) -> bool:
        """Whether the code around an offset into the file polls a variable."""
        around = self._content[max(0, offset - _NEAR_BYTES) : offset + _NEAR_BYTES].tobytes()
        return _SPINS.get(platform.machine(), b"?") in around

    def named(self) -> Iterator[tuple[str, int, int]]:
        """Each function's name, and where it begins and ends as an offset into the file."""
        for symbol in self._symbols:
            value, size = int(symbol["value"]), int(symbol["size"])
            for start, address, _, length in self._segments:
                if address <= value < address + length:
                    yield self._name(symbol), value - address + start, value - address + start + size

    def _covering(self, address: int) -> str:
        last = int(np.searchsorted(self._symbols["value"], address, side="right"))
        for symbol in self._symbols[max(0, last - 8) : last][::-1]:
            if address < symbol["value"] + max(int(symbol["size"]), 1):
                return self._name(symbol)
        return ""

    def _name(self, symbol: Any) -> str:
        at = self._names + int(symbol["name"])
        return self._content[at : at + _LONGEST_NAME].tobytes().partition(b"\0")[0].decode("ascii", "replace")


def places(addresses: Iterable[int]) -> dict[int, Place]:
    """The place of each address, by the current mappings of this process."""
    mappings = _mappings()
    chosen = _chosen_at_load()
    tables: dict[str, SymbolTable | None] = {}
    found: dict[int, Place] = {}
    for address in addresses:
        mapping = next((each for each in mappings if each.begin <= address < each.end), None)
        if mapping is None or not mapping.path.startswith("/"):
            found[address] = Place(mapping.path if mapping and mapping.path else NO_FILE, "")
            continue
        if mapping.path not in tables:
            tables[mapping.path] = _table(mapping.path)
        table = tables[mapping.path]
        offset = address - mapping.begin + mapping.offset
        function = "" if table is None else table.function(offset)
        if not function:
            near = (name for start, name in chosen.items() if start <= address < start + _CHOSEN_BYTES)
            function = next(near, "")
        if table is not None and table.spins(offset):
            function += SPINS
        found[address] = Place(Path(mapping.path).name, function)
    return found


def functions(library: Path) -> Iterator[tuple[str, int, int]]:
    """The name of each function of a loaded library, and the addresses in this process where it begins and ends."""
    table = _table(str(library))
    for mapping in _mappings():
        if table is None or mapping.path != str(library):
            continue
        for name, begin, end in table.named():
            if mapping.offset <= begin < mapping.offset + mapping.end - mapping.begin:
                moved = mapping.begin - mapping.offset
                yield name, begin + moved, end + moved


def _table(path: str) -> SymbolTable | None:
    """The symbols of a library; None where its file is gone, is no library any more, or is not readable."""
    try:
        return SymbolTable(Path(path))
    except (OSError, ValueError, struct.error):
        return None


def _mappings() -> list[_Mapping]:
    """The mappings of this process that hold code (proc_pid_maps(5))."""
    found = []
    for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines():
        addresses, rights, offset, _, _, *path = line.split(maxsplit=5)
        if "x" in rights:
            begin, end = (int(part, 16) for part in addresses.split("-"))
            found.append(_Mapping(begin, end, int(offset, 16), path[0] if path else ""))
    return found


def _chosen_at_load() -> dict[int, str]:
    """{address: name} of the functions that libc chose for this processor."""
    libc = ctypes.CDLL(None)
    return {
        ctypes.cast(getattr(libc, name), ctypes.c_void_p).value or 0: name
        for name in _CHOSEN_AT_LOAD
        if hasattr(libc, name)
    }
