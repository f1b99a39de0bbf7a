"""What this consumer does with scrapes. Put your own work here."""

from __future__ import annotations

import argparse
import os
import time
from typing import Iterable

from journal import Journal
from scrape import read_scrape
from zstats.v1 import notifier_pb2 as pb


class Worker:
    def __init__(self, options: argparse.Namespace, journal: Journal):
        self._options = options
        self._journal = journal
        self._by = f"python-{os.getpid()}"

    def work(self, events: Iterable[pb.ScrapeWritten]) -> None:
        """Does what is to be done with scrapes, if it was not done before. When it returns, all of it is durable."""
        results = []
        for event in events:
            # This names a scrape for ever. An event's sequence does not: after a repair of the log the same scrape may have
            # another one. The epoch is in microseconds since the Unix epoch.
            result = {"account": event.account, "source": event.source, "target": event.target, "epoch": event.epoch_us}
            if not self._journal.has(result):
                results.append({**result, **self._look(event)})
        for result in self._journal.add(results):
            print(shown(result), flush=True)

    def _look(self, event: pb.ScrapeWritten) -> dict:
        """Reads a scrape's files. If that fails the event is not acknowledged: once the cause is mended, it comes again."""
        found = {"time_ms": event.default_timestamp_ms, "samples": 0, "metric": self._options.metric, "value": "", "by": self._by}
        try:
            samples = read_scrape(self._options.files, event.metadata_path, event.data_path)
        except FileNotFoundError:
            if not self._options.skip_missing:
                raise
            return {**found, "missing": True}
        found["samples"] = len(samples)
        for sample in samples:
            if sample.labels.get("__name__") == self._options.metric:
                found["value"] = repr(sample.value)  # text, since JSON has no NaN
                break
        return found


def shown(result: dict) -> str:
    at = time.strftime("%H:%M:%S", time.localtime(result["time_ms"] / 1000))
    head = f"{at}  {result['account']}  {result['target']}"
    if result.get("missing"):
        return f"{head}  its files were removed"
    value = f"{result['metric']}={result['value']}" if result["value"] else f"no {result['metric']}"
    return f"{head}  {result['samples']} samples  {value}"
