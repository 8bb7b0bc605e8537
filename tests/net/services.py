# SPDX-License-Identifier: GPL-2.0-only
"""Small servers that nginx cannot play."""
import contextlib
import select
import socket
import threading

from netns import patience


class Service:
    """A TCP listener in the server namespace, one thread for each connection.

    It is one IPv6 socket that takes IPv4 too, as many servers have (nginx has one of each).
    accept: False leaves connections in the accept queue until `accepting.set()`.
    `connections` lists the accepted sockets (the tests may drive them directly).
    """

    def __init__(self, port, backlog=128, accept=True, address="", protocol=0):
        self.port, self.backlog, self.address, self.protocol = port, backlog, address, protocol
        self.accepting, self.connections, self._stop = threading.Event(), [], False
        if accept:
            self.accepting.set()

    def start(self, ns):
        self.listener = ns.socket(socket.AF_INET6, proto=self.protocol)
        self.listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((self.address, self.port))
        self.listener.listen(self.backlog)
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def _loop(self):
        while not self._stop:
            if not self.accepting.wait(0.1):
                continue
            if not select.select([self.listener], [], [], 0.1)[0]:
                continue
            with contextlib.suppress(OSError):
                connection, _ = self.listener.accept()
                self.connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError):
            self.talk(connection)

    def talk(self, connection):
        """What to do with a connection; by default nothing."""

    def stop(self):
        self._stop = True
        self._thread.join(patience(5))
        for connection in [self.listener, *self.connections]:
            connection.close()


class Banner(Service):
    """Speaks first, as SSH and SMTP do; then echoes lines."""
    TEXT = b"SSH-2.0-lab\r\n"

    def talk(self, connection):
        connection.sendall(self.TEXT)
        while data := connection.recv(65536):
            connection.sendall(data)
        connection.close()


class Echo(Service):
    """Sends back what it gets; closes when the client does."""

    def talk(self, connection):
        while data := connection.recv(65536):
            connection.sendall(data)
        connection.close()
