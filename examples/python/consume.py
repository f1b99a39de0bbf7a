#!/usr/bin/env python3
"""An example of a consumer of zstats, to be copied and changed.

It is a member of a named position: it is told of every scrape that is written, reads the scrape's two files, and puts what it
finds into a journal, exactly once for each scrape. See README.md.
"""

from __future__ import annotations

import argparse
import logging
import os
import queue
import random
import signal
import sys
import threading

import grpc

from journal import Journal
from worker import Worker
from zstats.v1 import notifier_pb2 as pb
from zstats.v1 import notifier_pb2_grpc as rpc

MIN_BACKOFF, MAX_BACKOFF = 0.5, 30.0  # seconds
FAREWELL = 10.0  # seconds that the notifier may take for the last acknowledgements
MAX_BATCH = 100  # events that are journaled by one sync and acknowledged together

# Statuses that no other attempt cures.
FATAL = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNIMPLEMENTED,
}


class Ended(Exception):
    """The stream has ended; status and text say why."""

    def __init__(self, status: grpc.StatusCode, text: str):
        super().__init__(f"{status.name}: {text}")
        self.status = status


class Member:
    """One stream of the position."""

    def __init__(self, channel: grpc.Channel, token: str, inbox: queue.SimpleQueue):
        self._requests: queue.SimpleQueue = queue.SimpleQueue()
        self._inbox = inbox
        metadata = [("authorization", f"Bearer {token}")] if token else None
        # gRPC takes requests from the iterator as they come; None ends it.
        self._call = rpc.NotifierStub(channel).Consume(iter(self._requests.get, None), metadata=metadata)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        """Receives until the stream has ended; then None is in the inbox."""
        try:
            for response in self._call:
                self._inbox.put(response)
        except grpc.RpcError:
            pass  # ended() says what it was
        self._inbox.put(None)

    def open(self, request: pb.OpenPosition) -> None:
        self._requests.put(pb.ConsumeRequest(open=request))

    def ack(self, sequences: list[int]) -> None:
        self._requests.put(pb.ConsumeRequest(ack=pb.AckEvents(sequences=sequences)))

    def leave(self) -> None:
        """Tells the notifier that no more acknowledgements come, and waits until it has taken those before. What it has
        sent meanwhile is for other members."""
        self._requests.put(None)
        self._reader.join(FAREWELL)
        if self._reader.is_alive():
            self.cancel()

    def cancel(self) -> None:
        self._requests.put(None)
        self._call.cancel()
        self._reader.join()

    def ended(self) -> Ended:
        return Ended(self._call.code(), self._call.details())


class Consumer:
    def __init__(self, options: argparse.Namespace, worker: Worker):
        self._options = options
        self._worker = worker
        self._stop = threading.Event()
        self._inbox: queue.SimpleQueue = queue.SimpleQueue()

    def stop(self, *_) -> None:
        """Handles a signal. A second one ends the process at once."""
        if self._stop.is_set():
            os._exit(1)
        self._stop.set()
        self._inbox.put(None)  # whoever waits looks up

    def follow(self) -> None:
        """Consumes over one connection after the other until it is stopped or something is wrong that another attempt does
        not cure."""
        backoff = MIN_BACKOFF
        while not self._stop.is_set():
            try:
                self._connect()
            except Ended as end:
                if self._stop.is_set():
                    logging.warning("left without a farewell, what was not acknowledged comes again: %s", end)
                    return
                if end.status in FATAL:
                    raise
                if self._opened:
                    backoff = MIN_BACKOFF
                # Members that were cut off together should not come back together.
                wait = backoff * random.uniform(0.8, 1.2)
                backoff = min(2 * backoff, MAX_BACKOFF)
                logging.warning("cut off, next attempt in %.1f s: %s", wait, end)
                self._stop.wait(wait)

    def _connect(self) -> None:
        """Consumes over one connection until it breaks or the consumer is stopped. A new connection may lead to another
        notifier, which goes on with the position all the same."""
        self._opened = False
        self._inbox = queue.SimpleQueue()
        if self._stop.is_set():
            return
        with channel(self._options) as connection:
            member = Member(connection, self._options.token, self._inbox)
            try:
                member.open(open_request(self._options))
                self._run(member)
            except BaseException:
                member.cancel()
                raise

    def _run(self, member: Member) -> None:
        while True:
            batch, ended = self._next()
            if batch:
                self._handle(member, batch)
            if self._stop.is_set():
                member.leave()
                end = member.ended()
                if end.status is not grpc.StatusCode.OK:
                    raise end
                return
            if ended:
                raise member.ended()

    def _next(self) -> tuple[list[pb.ConsumeResponse], bool]:
        """Waits for a response and returns it with those that are there already, and whether there will be no more."""
        batch: list[pb.ConsumeResponse] = []
        response = self._inbox.get()
        while response is not None:
            batch.append(response)
            if len(batch) == MAX_BATCH:
                return batch, False
            try:
                response = self._inbox.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _handle(self, member: Member, batch: list[pb.ConsumeResponse]) -> None:
        """Works on a batch and acknowledges it. The order is what makes it safe: first durable, then acknowledged."""
        self._opened = True  # whatever comes first, it comes from an open position
        events, done = [], []
        for response in batch:
            kind = response.WhichOneof("message")
            if kind == "opened":
                logging.info("position opened, new: %s", response.opened.created)
            elif kind == "delivery":
                events.append(response.delivery.event)
                done.append(response.delivery.event.sequence)
            elif kind == "gap":
                # What to do is for each consumer to decide: the files may still be there, to be found by their paths.
                gap = response.gap
                logging.warning("events %d to %d may be missing: they were removed before they were acknowledged",
                                gap.first_sequence, gap.last_sequence)
                done.append(gap.last_sequence)
        self._worker.work(events)
        if done:
            member.ack(done)


def open_request(options: argparse.Namespace) -> pb.OpenPosition:
    request = pb.OpenPosition(name=options.name, account=options.account, target=options.target,
                              max_in_flight=options.max_in_flight)
    if options.from_start:
        request.from_sequence = 0  # set, if only to 0
    return request


def channel(options: argparse.Namespace) -> grpc.Channel:
    keepalive = [("grpc.keepalive_time_ms", 30_000), ("grpc.keepalive_timeout_ms", 10_000),
                 # Each connection is to be a new one, without the waits of the one before.
                 ("grpc.use_local_subchannel_pool", 1)]
    if not options.tls and not options.ca_file:
        return grpc.insecure_channel(options.notifier, keepalive)
    authorities = None
    if options.ca_file:
        with open(options.ca_file, "rb") as file:
            authorities = file.read()
    return grpc.secure_channel(options.notifier, grpc.ssl_channel_credentials(authorities), keepalive)


def parse(args: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Consumes a named position of zstats and journals each scrape once.")
    add = parser.add_argument
    add("--notifier", default="127.0.0.1:9906", metavar="HOST:PORT",
        help="a token that it asks for is taken from the variable ZSTATS_TOKEN (default %(default)s)")
    add("--tls", action="store_true", help="connect with TLS")
    add("--ca-file", default="", metavar="FILE", help="PEM file with the authorities to trust; implies --tls")
    add("--name", required=True, help="name of the position")
    add("--account", default="", help="only this account")
    add("--target", default="", metavar="PATTERN", help="only targets that match this pattern of '*' and '?'")
    add("--from-start", action="store_true",
        help="a new position begins with the oldest event that is kept, not with the next one")
    add("--max-in-flight", type=int, default=100, metavar="N",
        help="most events that may be unacknowledged, 1 to 1000 (default %(default)s)")
    add("--files", default="data/files", metavar="DIRECTORY", help="the writer's directory of files (default %(default)s)")
    add("--journal", default="journal.jsonl", metavar="FILE",
        help="results; members on one machine share it (default %(default)s)")
    add("--metric", default="go_goroutines", help="metric whose first value to note (default %(default)s)")
    add("--skip-missing", action="store_true",
        help="note scrapes whose files were removed, and go on; otherwise a missing file ends the program")
    options = parser.parse_args(args)
    if not 1 <= options.max_in_flight <= 1000:
        parser.error(f"--max-in-flight is {options.max_in_flight}: want 1 to 1000")
    if not os.path.isdir(options.files):
        parser.error(f"--files: there is no directory {options.files}")
    options.token = os.environ.get("ZSTATS_TOKEN", "")
    return options


def main() -> int:
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    options = parse(sys.argv[1:])
    try:
        with Journal(options.journal) as journal:
            consumer = Consumer(options, Worker(options, journal))
            signal.signal(signal.SIGINT, consumer.stop)
            signal.signal(signal.SIGTERM, consumer.stop)
            consumer.follow()
    except (Ended, OSError, ValueError) as error:
        print(f"consume.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
