"""Serial consoles, over a stand-in for the engine and over the engine itself."""

import contextlib
import socket
import threading
import time
import unittest

import docker
import docker.errors

from nova import exception
from nova.virt.docker import console
import nova.conf

import world

CONF = nova.conf.CONF
PATIENCE = 10


class Engine:
    """Stands in for the engine's attach: each attachment is a socket that a test plays."""

    def __init__(self, tty=True):
        self.tty = tty
        self.attachments = []
        self.failure = None
        self.arrived = threading.Condition()

    def inspect_container(self, _container_id):
        return {'Config': {'Tty': self.tty}}

    def attach_socket(self, container_id, params):
        assert params['stdin'] and params['stdout'] and params['stream']
        if self.failure:
            raise self.failure
        ours, theirs = socket.socketpair()
        with self.arrived:
            self.attachments.append((container_id, theirs))
            self.arrived.notify_all()
        return Attached(ours)

    def attachment(self, number=0):
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.attachments) > number, PATIENCE)
            theirs = self.attachments[number][1]
        theirs.settimeout(PATIENCE)
        return theirs


class Attached:
    """What the library returns: a raw stream, with the buffered reader behind its response."""

    def __init__(self, connection):
        self._sock = connection
        reader = connection.makefile('rb')
        raw = type('Raw', (), {'_fp': type('Inner', (), {'fp': reader})})

        class Response:
            def __init__(self):
                self.raw = raw

            def close(self):
                reader.close()
                connection.close()

        self._response = Response()


@contextlib.contextmanager
def configured(**options):
    for name, value in options.items():
        CONF.set_override(name, value, group='serial_console')
    yield
    for name in options:
        CONF.clear_override(name, group='serial_console')


def threads_end(before):
    return wait_for(lambda: set(threading.enumerate()) <= before)


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def connect(address):
    client = socket.create_connection(address, PATIENCE)
    client.settimeout(PATIENCE)
    return client


def read(connection, size):
    data = b''
    while len(data) < size and (more := connection.recv(size - len(data))):
        data += more
    return data


class ConsoleTestCase(unittest.TestCase):

    def setUp(self):
        self.engine = Engine()
        self.consoles = console.SerialConsoles(self.engine)
        self.enterContext(configured(proxyclient_address='127.0.0.1', port_range='21000:21100'))
        self.addCleanup(self.close_all, set(threading.enumerate()))

    def close_all(self, before):
        for container_id in list(self.consoles._consoles):
            self.consoles.close(container_id)
        self.assertTrue(threads_end(before))

    def test_bytes_pass_unchanged_both_ways(self):
        everything = bytes(range(256)) * 1024
        with connect(self.consoles.open('one')) as client:
            terminal = self.engine.attachment()
            for sender, receiver in ((client, terminal), (terminal, client)):
                sending = threading.Thread(target=sender.sendall, args=(everything,))
                sending.start()
                self.assertEqual(everything, read(receiver, len(everything)))
                sending.join()

    def test_an_open_console_keeps_its_port_and_others_get_another(self):
        self.assertEqual(self.consoles.open('one'), self.consoles.open('one'))
        self.assertNotEqual(self.consoles.open('two'), self.consoles.open('one'))

    def test_a_port_is_not_given_again_soon(self):
        first = self.consoles.open('one')
        self.consoles.close('one')
        self.assertNotEqual(first, self.consoles.open('one'))

    def test_a_second_client_is_turned_away(self):
        address = self.consoles.open('one')
        with connect(address) as first:
            terminal = self.engine.attachment()
            with connect(address) as second:
                self.assertEqual(b'', second.recv(1))
            terminal.sendall(b'still here')
            self.assertEqual(b'still here', read(first, 10))
        self.assertEqual(1, len(self.engine.attachments))

    def test_the_next_client_attaches_again(self):
        address = self.consoles.open('one')
        with connect(address) as client:
            # The container stops: its end of the attachment goes away.
            self.engine.attachment(0).close()
            self.assertEqual(b'', client.recv(1))
        session = self.consoles._consoles['one']._session
        self.assertTrue(wait_for(lambda: not session.is_alive()))
        with connect(address) as client:
            self.engine.attachment(1).sendall(b'again')
            self.assertEqual(b'again', read(client, 5))

    def test_a_client_that_leaves_ends_the_attachment(self):
        connect(self.consoles.open('one')).close()
        self.assertEqual(b'', self.engine.attachment().recv(1))

    def test_closing_ends_the_client_and_the_listener(self):
        address = self.consoles.open('one')
        with connect(address) as client:
            self.engine.attachment()
            self.consoles.close('one')
            self.assertEqual(b'', client.recv(1))
        with self.assertRaises(ConnectionRefusedError):
            connect(address)
        self.consoles.close('one')

    def test_a_container_that_cannot_be_attached_to_is_told(self):
        self.engine.failure = docker.errors.APIError('container is paused')
        with connect(self.consoles.open('one')) as client:
            self.assertIn(b'not available', read(client, 1000))
        self.engine.failure = None
        with connect(self.consoles.open('one')) as client:
            self.engine.attachment().sendall(b'back')
            self.assertEqual(b'back', read(client, 4))

    def test_frames_of_a_container_without_terminal_are_taken_apart(self):
        self.engine.tty = False
        with connect(self.consoles.open('one')) as client:
            terminal = self.engine.attachment()
            for stream, text in ((1, b'output, '), (2, b'error, '), (1, b''), (1, b'output')):
                terminal.sendall(bytes([stream, 0, 0, 0]) + len(text).to_bytes(4) + text)
            self.assertEqual(b'output, error, output', read(client, 21))

    def test_a_used_up_range_is_an_error(self):
        with configured(port_range='21200:21201'):
            consoles = console.SerialConsoles(self.engine)
            consoles.open('one')
            with self.assertRaises(exception.SocketPortRangeExhaustedException):
                consoles.open('two')
            consoles.close('one')

    def test_a_taken_port_is_passed_over(self):
        with socket.create_server(('127.0.0.1', 21000)):
            self.assertEqual(('127.0.0.1', 21001), self.consoles.open('one'))


class EngineConsoleTestCase(unittest.TestCase):
    """A shell on the real engine."""

    def test_a_shell_is_there_again_after_a_restart(self):
        client = docker.APIClient(version='auto')
        self.addCleanup(client.close)
        world.EngineImages.ensure_base(client)
        container_id = client.create_container(
            world.IMAGE, ['/bin/sh'], name=world.PREFIX + '-console', tty=True, stdin_open=True,
            host_config=client.create_host_config(network_mode='none'))['Id']
        self.addCleanup(client.remove_container, container_id, force=True)
        client.start(container_id)
        before = set(threading.enumerate())
        with configured(proxyclient_address='127.0.0.1', port_range='21300:21400'):
            consoles = console.SerialConsoles(client)
            address = consoles.open(container_id)
            for word in (b'first', b'second'):
                self.assertTrue(wait_for(lambda: says(address, word)))
                client.restart(container_id, timeout=0)
            consoles.close(container_id)
        self.assertTrue(threads_end(before))


def says(address, word):
    """Whether the shell answers with a word that it was not given as such."""
    with connect(address) as shell:
        shell.sendall(b'echo "%s""-word"\n' % word)
        seen = b''
        while word + b'-word' not in seen:
            more = shell.recv(4096)
            if not more:
                return False
            seen += more
    return True
