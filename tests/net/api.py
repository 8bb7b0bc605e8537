# SPDX-License-Identifier: GPL-2.0-only
"""The agent's API: questions on its socket, and what docs/api.schema.json says of the answers."""
import collections
import functools
import http.client
import json
import socket

import jsonschema

import lab as labs
from netns import patience

DOCS = labs.ROOT / "docs"
Answer = collections.namedtuple("Answer", "status headers text")


@functools.lru_cache
def schema():
    with open(DOCS / "api.schema.json", encoding="utf-8") as f:
        return json.load(f)


@functools.lru_cache
def validator(name):
    return jsonschema.Draft7Validator({"$ref": f"#/$defs/{name}", "$defs": schema()["$defs"]})


def check(name, value):
    """Fails if the value is not what the schema's definition says."""
    wrong = [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:300]}"
             for e in validator(name).iter_errors(value)]
    assert not wrong, f"{name}: {wrong[:5]}"
    return value


class Connection(http.client.HTTPConnection):
    def __init__(self, path, timeout=10):
        super().__init__("localhost", timeout=patience(timeout))
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Api:
    def __init__(self, lab):
        self.path = f"/run/synstile/ns-{lab.server.name}.sock"

    def ask(self, path, method="GET", body=None, timeout=10, **headers):
        connection = Connection(self.path, timeout)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read().decode())
        finally:
            connection.close()

    def get(self, path, name=None):
        """The JSON of an answer, checked against a definition of the schema."""
        answer = self.ask(path)
        assert answer.status == 200, answer
        assert answer.headers["Content-Type"] == "application/json", answer.headers
        value = json.loads(answer.text)
        return check(name, value) if name else value

    def lines(self, path, name):
        """Those of a stream that ends."""
        answer = self.ask(path)
        assert answer.status == 200, answer
        return [check(name, json.loads(line)) for line in answer.text.splitlines()]

    def error(self, status, path, method="GET", body=None, **headers):
        """An error with what to do."""
        answer = self.ask(path, method, body, **headers)
        assert answer.status == status, answer
        assert answer.headers["Content-Type"] == "application/json", answer.headers
        return check("error", json.loads(answer.text))

    def raw(self, data, timeout=5):
        """Everything that comes back for these bytes until the connection is closed."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(patience(timeout))
            s.connect(self.path)
            try:
                s.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it has heard enough
            return receive(s)


def receive(s):
    got = b""
    while True:
        try:
            data = s.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            return got
        got += data
