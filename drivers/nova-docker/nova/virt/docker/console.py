"""Interactive consoles: a guest's terminal behind a TCP port, for nova-serialproxy.

Whoever reaches the port has the console, as with other drivers: it is opened on
``[serial_console] proxyclient_address``, where only the proxy should get.
"""

import contextlib
import errno
import itertools
import socket
import threading

import docker.errors
import requests.exceptions
from oslo_log import log

from nova import exception
import nova.conf

CONF = nova.conf.CONF
LOG = log.getLogger(__name__)

_CHUNK = 64 * 1024

# The engine reacts to a sequence of keys by ending the connection, and holds back its first key
# until the next one. By default that is ctrl-p, which people use in shells.
_DETACH_KEYS = 'ctrl-@,ctrl-^,ctrl-_,ctrl-@'

_ACCEPT_PAUSE_SECONDS = 1


class SerialConsoles:
    """The consoles of this node that are open."""

    def __init__(self, docker_client):
        self._docker_client = docker_client
        self._consoles = {}
        self._lock = threading.Lock()
        # A port is given again as late as possible: somebody may still hold a token for it.
        self._ports = itertools.count()

    def open(self, container_id):
        """Where the container's console listens: host and port."""
        with self._lock:
            if container_id not in self._consoles:
                self._consoles[container_id] = _Console(
                    self._docker_client, container_id, self._listen())
            return self._consoles[container_id].address

    def close(self, container_id):
        """End the container's console, if it is open, and whoever uses it."""
        with self._lock:
            console = self._consoles.pop(container_id, None)
        if console:
            console.close()

    def _listen(self):
        host = CONF.serial_console.proxyclient_address
        start, stop = (int(part) for part in CONF.serial_console.port_range.split(':'))
        family = socket.getaddrinfo(host, None)[0][0]
        for _attempt in range(start, stop):
            port = start + next(self._ports) % (stop - start)
            try:
                return socket.create_server((host, port), family=family, backlog=1)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
        raise exception.SocketPortRangeExhaustedException(host=host)


class _Console:
    """One listening port. It outlives the runs of the container."""

    def __init__(self, docker_client, container_id, listener):
        self._docker_client = docker_client
        self._container_id = container_id
        self._listener = listener
        self.address = listener.getsockname()[:2]
        self._closing = threading.Event()
        self._session = None
        self._thread = threading.Thread(
            target=self._serve, name=f'console-{container_id[:12]}', daemon=True)
        self._thread.start()

    def close(self):
        self._closing.set()
        _shut_down(self._listener)
        self._thread.join()

    def _serve(self):
        with self._listener:
            while not self._closing.is_set():
                try:
                    client, _peer = self._listener.accept()
                except OSError as error:
                    if not self._closing.is_set():
                        LOG.warning('Console of container %s: %s', self._container_id, error)
                    self._closing.wait(_ACCEPT_PAUSE_SECONDS)
                    continue
                # Two people on one terminal would read half of it each.
                if self._session and self._session.is_alive():
                    client.close()
                    continue
                self._session = _Session(self._docker_client, self._container_id, client)
        if self._session:
            self._session.close()


class _Session:
    """One client on the terminal."""

    def __init__(self, docker_client, container_id, client):
        self._docker_client = docker_client
        self._container_id = container_id
        self._client = client
        self._ended = threading.Event()
        self._engine_socket = None
        # So that a client whose node vanished does not hold the console for ever.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._thread = threading.Thread(
            target=self._run, name=f'console-session-{container_id[:12]}', daemon=True)
        self._thread.start()

    def is_alive(self):
        return self._thread.is_alive()

    def close(self):
        self._end()
        self._thread.join()

    def _run(self):
        with self._client:
            try:
                container = self._docker_client.inspect_container(self._container_id)
                attached = self._docker_client.attach_socket(self._container_id, {
                    'stdin': 1, 'stdout': 1, 'stderr': 1, 'stream': 1,
                    'detachKeys': _DETACH_KEYS})
            except (docker.errors.DockerException,
                    requests.exceptions.RequestException) as error:
                LOG.warning('Console of container %s: %s', self._container_id, error)
                with contextlib.suppress(OSError):
                    self._client.sendall(b'\r\nThe console is not available now.\r\n')
                return
            # The library hands out the bare socket. Its buffered reader may have read the
            # terminal's first bytes together with the response's head.
            response = attached._response
            output = response.raw._fp.fp
            if not container['Config']['Tty']:
                output = _Demultiplexed(output)
            with contextlib.closing(response):
                self._bridge(getattr(attached, '_sock', attached), output)

    def _bridge(self, engine_socket, output):
        """Copy both ways until one side ends."""
        engine_socket.settimeout(None)
        self._engine_socket = engine_socket
        if self._ended.is_set():
            return
        typing = threading.Thread(
            target=self._copy, args=(self._client.recv, engine_socket.sendall),
            name=f'console-input-{self._container_id[:12]}', daemon=True)
        typing.start()
        self._copy(output.read1, self._client.sendall)
        typing.join()

    def _copy(self, receive, send):
        try:
            while data := receive(_CHUNK):
                send(data)
        except OSError as error:
            # Each side may go away at any time; what was typed or shown then has no reader.
            LOG.debug('Console of container %s: %s', self._container_id, error)
        finally:
            self._end()

    def _end(self):
        self._ended.set()
        _shut_down(self._client)
        if self._engine_socket:
            _shut_down(self._engine_socket)


class _Demultiplexed:
    """What a container without a terminal writes: frames of its two outputs, taken apart."""

    _HEAD = 8

    def __init__(self, output):
        self._output = output
        self._left = 0

    def read1(self, size):
        while not self._left:
            head = self._output.read(self._HEAD)
            if len(head) < self._HEAD:
                return b''
            self._left = int.from_bytes(head[4:])
        data = self._output.read1(min(size, self._left))
        self._left -= len(data)
        return data


def _shut_down(connection):
    """Wake every thread that waits for the socket."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
