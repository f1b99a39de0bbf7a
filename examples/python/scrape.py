"""Reads the two files of a scrape; docs/file-format.md says what is in them."""

from __future__ import annotations

import gzip
import json
import os
import re
from typing import NamedTuple

QUOTED = r'"(?:[^"\\]|\\.)*"'
# A sample: a name, or none; labels in braces, or none; a value; a time, or none.
SAMPLE = re.compile(rf"([^\s{{]*)(?:\{{((?:[^\"}}]|{QUOTED})*)\}})?\s+(\S+)(?:\s+(-?\d+))?\s*")
# What is in the braces: a label with its value, or a quoted metric name alone.
LABEL = re.compile(rf'\s*(?:({QUOTED}|[^\s=",]+)\s*=\s*)?({QUOTED})\s*,?')
ESCAPE = re.compile(r"\\(.)")


class Sample(NamedTuple):
    labels: dict[str, str]  # the metric's name is __name__
    value: float
    time_ms: int  # since the Unix epoch


def read_scrape(files: str, metadata_path: str, data_path: str) -> list[Sample]:
    """Returns all samples of a scrape, with all their labels and their times."""
    with open(os.path.join(files, metadata_path), encoding="utf-8") as file:
        about = json.load(file)
    # These every sample has; the data leaves them out.
    common = {label["key"]: label["value"] for label in about["kvs"]}
    # To its end, where gzip has a checksum. Lines end with \n and nothing else: a label's value may have other ends in it.
    with gzip.open(os.path.join(files, data_path), "rt", encoding="utf-8", newline="\n") as file:
        return [parse(line, common, about["dts"]) for line in file if line.strip() and not line.startswith("#")]


def parse(line: str, common: dict[str, str], time_ms: int) -> Sample:
    """Returns the sample of a line that has no time of its own at time_ms."""
    match = SAMPLE.fullmatch(line)
    if not match:
        raise ValueError(f"this is no sample: {line!r}")
    name, braces, value, time = match.groups()
    labels = {**common, "__name__": name}
    for key, text in LABEL.findall(braces or ""):
        labels[unquote(key) or "__name__"] = unquote(text)
    return Sample(labels, float(value), int(time) if time else time_ms)


def unquote(text: str) -> str:
    if not text.startswith('"'):
        return text
    return ESCAPE.sub(lambda escape: {"n": "\n"}.get(escape[1], escape[1]), text[1:-1])
