"""A journal with a line for each scrape that was done."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager


class Journal:
    """A file of JSON lines, each a result and, in it, the scrape's id. As one line is both, neither can be there without the
    other. Processes on one machine may share it. Where a consumer's results are rows of a database, a unique key over the id
    does the same.
    """

    def __init__(self, path: str):
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._size = 0  # how much of it was read
        self._done: set[tuple] = set()
        # The first time also makes the file's name durable, and the lines that a member has left without a sync.
        sync_directory(os.path.dirname(os.path.abspath(path)))
        with self._locked():
            self._catch_up()
        os.fsync(self._file)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_) -> None:
        os.close(self._file)  # all is synced

    def has(self, result: dict) -> bool:
        """Whether a scrape was done, as far as this process has read."""
        return id_of(result) in self._done

    def add(self, results: list[dict]) -> list[dict]:
        """Appends the results that nobody has appended before and returns them. All results are durable then, those that
        another member has appended too."""
        with self._locked():
            self._catch_up()
            added = self._append(results)
        os.fsync(self._file)
        return added

    @contextmanager
    def _locked(self):
        """No other process has the lock, which ends with the process that has it."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _catch_up(self) -> None:
        """Reads what other members have appended. A last line without an end is of one that died while it wrote: it is cut
        off."""
        tail = self._tail()
        whole = tail.rfind(b"\n") + 1
        for line in tail[:whole].splitlines():
            self._done.add(id_of(json.loads(line)))
        self._size += whole
        if whole < len(tail):
            os.ftruncate(self._file, self._size)

    def _tail(self) -> bytes:
        parts, offset = [], self._size
        while part := os.pread(self._file, 1 << 20, offset):
            parts.append(part)
            offset += len(part)
        return b"".join(parts)

    def _append(self, results: list[dict]) -> list[dict]:
        added = []
        for result in results:
            if id_of(result) not in self._done:
                self._done.add(id_of(result))
                added.append(result)
        text = "".join(json.dumps(result) + "\n" for result in added).encode()
        while text:
            n = os.pwrite(self._file, text, self._size)
            self._size += n
            text = text[n:]
        return added


def id_of(result: dict) -> tuple:
    return result["account"], result["source"], result["target"], result["epoch"]


def sync_directory(path: str) -> None:
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
