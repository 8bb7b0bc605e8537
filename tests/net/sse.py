# SPDX-License-Identifier: GPL-2.0-only
"""Reading server-sent events from an agent's socket: one reader, or very many at once."""
import collections
import contextlib
import json
import selectors
import socket
import threading
import time
import zlib

from netns import at_last, patience, until

Event = collections.namedtuple("Event", "id type data")


class Body:
    """What a chunked answer carries, as it comes in pieces."""

    def __init__(self):
        self.head, self._rest, self._left = None, b"", 0

    def feed(self, data):
        """Bytes of the connection in, bytes of the body out."""
        data = self._rest + data
        if self.head is None:
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self._rest = head
                return b""
            self.head = head.decode()
            assert self.head.startswith("HTTP/1.1 200"), self.head + data.decode()
        out, at = [], 0
        while at < len(data):
            if not self._left:
                end = data.find(b"\r\n", at)
                if end < 0:
                    break
                self._left = int(data[at:end], 16) + 2  # with the line's end behind it
                at = end + 2
                continue
            part = data[at:at + self._left]
            at += len(part)
            out.append(part[:max(0, len(part) - max(0, 2 - self._left + len(part)))])
            self._left -= len(part)
        self._rest = data[at:]
        return b"".join(out)


def parse(text):
    """(events, what is not complete yet): [Event] of the bytes of a stream.

    An event without data changes the id only, as in a browser: it is an Event of type None."""
    *blocks, rest = text.split(b"\n\n")
    events = []
    for block in blocks:
        fields = {}
        for line in block.split(b"\n"):
            name, _, value = line.partition(b": ")
            fields[name.decode()] = value.decode()
        if "data" in fields or "id" in fields:
            events.append(Event(fields.get("id"), fields.get("event"),
                                json.loads(fields["data"]) if "data" in fields else None))
    return events, rest


def number(event_id):
    """N of EPOCH-N."""
    return int(event_id.partition("-")[2])


class Reader:
    """A subscriber. Without `keep` it only counts what comes, and sums it up."""

    def __init__(self, lab, path="/v1/events", last=None, keep=True):
        self.events, self.keep = [], keep
        self.length = self.crc = 0  # of the body behind the first id, which says where it begins
        self.first = None
        self._body, self._rest = Body(), b""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(f"/run/synstile/ns-{lab.server.name}.sock")
        self.socket.settimeout(patience(10))
        more = f"Last-Event-ID: {last}\r\n" if last else ""
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
                            f"{more}\r\n".encode())

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.socket.close()

    @property
    def head(self):
        return self._body.head

    def take(self, data):
        """Bytes that came."""
        self._take(self._body.feed(data))

    def _take(self, body):
        if self.keep or self.first is None:
            events, self._rest = parse(self._rest + body)
            if self.keep:
                self.events += events
            elif events:
                assert len(events) == 1 and not self._rest, "it began while something happened"
            if self.first is None and events:
                self.first = events[0].id
            return
        self.length += len(body)
        self.crc = zlib.crc32(body, self.crc)

    def more(self):
        """Read what is there, at least something."""
        data = self.socket.recv(1 << 20)
        assert data, "the agent has closed the connection"
        self.take(data)

    def until(self, want, seconds, what):
        """Read on until want(events) is true; its value."""
        end = time.monotonic() + at_last(seconds)
        while not (found := want(self.events)):
            assert time.monotonic() < end, f"not within {at_last(seconds):g} s: {what}: {self.events[-3:]}"
            self.socket.settimeout(max(0.01, end - time.monotonic()))
            with contextlib.suppress(TimeoutError):
                self.more()
        return found

    def until_id(self, wanted, seconds=10):
        """Read on until this id, which need not be that of an event that is wanted."""
        return self.until(lambda events: any(e.id and number(e.id) >= number(wanted)
                                             for e in events[-200:]), seconds, f"id {wanted}")


def last_id(lab):
    """The id of the agent's last event."""
    with Reader(lab, "/v1/events?type=keepalive") as reader:
        return reader.until(lambda events: events, 5, "the id to begin with")[-1].id


def ids(events):
    """Numbers of the events that have data."""
    return [number(e.id) for e in events if e.id and e.data]


class Crowd:
    """Reads many Readers in one thread while the block runs."""

    def __init__(self, readers):
        self.readers, self.broken, self._stop = readers, None, False
        self._selector = selectors.DefaultSelector()
        for reader in readers:
            reader.socket.setblocking(False)
            self._selector.register(reader.socket, selectors.EVENT_READ, reader)
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._stop = True
        self._thread.join()
        self._selector.close()

    def _run(self):
        try:
            while not self._stop:
                for key, _ in self._selector.select(0.1):
                    with contextlib.suppress(BlockingIOError):
                        key.data.more()
        except Exception as error:  # of this thread; told to who waits
            self.broken = error

    def until(self, condition, seconds, what):
        def look():
            if self.broken:
                raise AssertionError(f"a reader: {self.broken!r}")
            return condition()
        return until(look, seconds, what, every=0.1)
