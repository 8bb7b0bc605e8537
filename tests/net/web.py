# SPDX-License-Identifier: GPL-2.0-only
"""`synstile web` at work, and questions to it."""
import contextlib
import http.client
import re
import signal
import subprocess
import tempfile

import lab as labs
from netns import patience


class Web:
    """Use as a context manager.

    name: the network namespace whose agent is asked. inside: the namespace to run in, asked_from:
    the one to connect from (None: the host's). prefix: a command that starts it.
    """

    def __init__(self, name, *args, listen="127.0.0.1:0", inside=None, asked_from=None, prefix=()):
        self.socket = f"/run/synstile/ns-{name}.sock"
        self._inside, self._from = inside, asked_from
        self._words = [*prefix, labs.SYNSTILE, "-n", name, "web", "--listen", listen, *args]

    def __enter__(self):
        self._stderr = tempfile.TemporaryFile("w+")
        with self._inside.inside() if self._inside else contextlib.nullcontext():
            self._process = subprocess.Popen([str(w) for w in self._words], text=True,
                                             stdout=subprocess.PIPE, stderr=self._stderr)
        line = self._process.stdout.readline()
        found = re.search(r"http://(.+):(\d+)/", line)
        if not found:
            self._process.wait()
            raise AssertionError(f"synstile web: {line} {self.errors()}")
        self.host, self.port = found[1].strip("[]"), int(found[2])
        self.pid = self._process.pid
        return self

    def __exit__(self, *exc):
        status = self.end(signal.SIGTERM)
        assert status == 0, f"synstile web ends with {status}: {self.errors()}"

    def end(self, sign):
        """Its exit status."""
        if self._process.poll() is None:
            self._process.send_signal(sign)
        try:
            return self._process.wait(patience(5))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self._process.stdout.close()

    def errors(self):
        self._stderr.seek(0)
        return self._stderr.read()

    @property
    def url(self):
        return f"http://{self.host}:{self.port}/"

    # --- asking

    def _connect(self):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=patience(5))
        with self._from.inside() if self._from else contextlib.nullcontext():
            connection.connect()
        return connection

    def _send(self, connection, method, path, fields):
        connection.putrequest(method, path, skip_host="Host" in fields, skip_accept_encoding=True)
        for name, value in fields.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse()

    def ask(self, method, path, fields=()):
        """(status, {field, in lower case: value}, body)"""
        with contextlib.closing(self._connect()) as connection:
            answer = self._send(connection, method, path, dict(fields))
            named = {k.lower(): v for k, v in answer.getheaders()}
            return answer.status, named, answer.read()

    def get(self, path, fields=()):
        return self.ask("GET", path, fields)

    @contextlib.contextmanager
    def stream(self, path, fields):
        """The answer (http.client's), whose body is still to be read."""
        with contextlib.closing(self._connect()) as connection:
            answer = self._send(connection, "GET", path, fields)
            with answer:
                yield answer

    @staticmethod
    def event(answer):
        """The next of a stream of server-sent events: {"event":, "data":, "id":}"""
        found = {}
        while line := answer.fp.readline().decode().rstrip("\n"):
            name, _, value = line.partition(": ")
            found[name] = value
        return found if "data" in found else Web.event(answer)

    def raw(self, data, seconds=5):
        """Send bytes; what comes until the other side closes, or nothing came in time."""
        with contextlib.closing(self._connect()) as connection:
            s, got = connection.sock, b""
            s.settimeout(patience(seconds))
            with contextlib.suppress(TimeoutError, ConnectionError):
                s.sendall(data)
                while part := s.recv(65536):
                    got += part
            return got
