"""What the tests of networks share: namespaces, and Open vSwitch in one of them."""

import contextlib
import ctypes
import os
import pathlib
import shutil
import subprocess
import time

from pyroute2 import IPRoute
from pyroute2 import netns

import nova.conf
from nova.virt.docker import network

CONF = nova.conf.CONF

#: How long anything may take that needs no time.
PATIENCE = 20

_CLONE_NEWNET = 0x40000000


def wait_for(condition):
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError('waited in vain')
        time.sleep(0.01)


@contextlib.contextmanager
def own_network():
    """This thread, and those that it starts, in a network of their own, like a node's."""
    library = ctypes.CDLL(None, use_errno=True)
    with open('/proc/thread-self/ns/net') as before:
        if library.unshare(_CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), 'A test of networks needs root')
        try:
            yield
        finally:
            netns.setns(before.fileno())


@contextlib.contextmanager
def holder():
    """A process in a network of its own; its pid."""
    node = os.stat('/proc/thread-self/ns/net')
    with subprocess.Popen(['unshare', '--net', 'sleep', 'infinity']) as process:
        try:
            wait_for(lambda: process.poll() is not None or not os.path.samestat(
                os.stat(f'/proc/{process.pid}/ns/net'), node))
            yield process.pid
        finally:
            process.kill()


def taps():
    """The devices of this network that are called like ports, with their indices."""
    with IPRoute() as ip:
        return {message.get_attr('IFLA_IFNAME'): message['index'] for message in ip.get_links()
                if message.get_attr('IFLA_IFNAME').startswith('tap')}


class Switch:
    """Stands in for Open vSwitch: what it was told."""

    def __init__(self):
        self.ports = {}
        self.failure = None

    def datapath_type(self, bridge):
        if bridge != 'br-int':
            raise LookupError(bridge)
        return 'system'

    def add_port(self, vif, instance_info):
        if self.failure:
            raise self.failure
        self.ports[vif.vif_name] = (
            vif.port_profile.interface_id, vif.port_profile.datapath_type, instance_info.uuid)

    def remove_port(self, name):
        if self.failure:
            raise self.failure
        self.ports.pop(name, None)

    def our_ports(self):
        return set(self.ports)


class OpenVSwitch:
    """Open vSwitch itself, with its files in a directory."""

    def __init__(self, directory):
        self._directory = directory
        self._connection = f'unix:{directory}/db.sock'
        self._environment = {**os.environ, **{
            name: directory for name in ('OVS_RUNDIR', 'OVS_LOGDIR', 'OVS_DBDIR')}}
        self._processes = {}

    @staticmethod
    def missing():
        """What keeps it from running here; None if nothing does."""
        for program in ('ovsdb-server', 'ovs-vswitchd', 'ovs-vsctl', 'ovsdb-tool'):
            if not shutil.which(program):
                return f'{program} is not installed'
        if not os.path.exists('/dev/net/tun'):
            return 'a bridge in user space needs /dev/net/tun'
        return None

    @contextlib.contextmanager
    def running(self):
        """It runs, and the driver is configured to use it."""
        network._open_vswitch()
        CONF.set_override('ovsdb_connection', self._connection, group='os_vif_ovs')
        CONF.set_override('ovs_vsctl_timeout', 2, group='os_vif_ovs')
        network._switch = None
        # Wherever the packages were unpacked.
        root = pathlib.Path(shutil.which('ovsdb-tool')).parents[1]
        self._run('ovsdb-tool', 'create', f'{self._directory}/conf.db',
                  root / 'share/openvswitch/vswitch.ovsschema')
        try:
            self.start_database()
            self.configure('--no-wait', 'init')
            self.start_daemon()
            yield
        finally:
            for name in list(self._processes):
                self._stop(name)
            self._forget_connection()
            CONF.clear_override('ovsdb_connection', group='os_vif_ovs')
            CONF.clear_override('ovs_vsctl_timeout', group='os_vif_ovs')

    def configure(self, *arguments):
        """What ovs-vsctl prints. It waits until the daemon has done what is asked."""
        return self._run('ovs-vsctl', f'--db={self._connection}', f'--timeout={PATIENCE}',
                         *arguments)

    def add_bridge(self):
        self.configure('add-br', 'br-int', '--', 'set', 'bridge', 'br-int',
                       'datapath_type=netdev')

    def start_database(self):
        self._start('ovsdb-server', f'{self._directory}/conf.db',
                    f'--remote=p{self._connection}', f'--unixctl={self._directory}/db.ctl')
        wait_for(lambda: os.path.exists(f'{self._directory}/db.sock'))

    def stop_database(self):
        self._stop('ovsdb-server')

    def start_daemon(self):
        self._start('ovs-vswitchd', self._connection)

    def stop_daemon(self):
        self._stop('ovs-vswitchd')

    def _run(self, *command):
        return subprocess.run(command, env=self._environment, check=True, timeout=PATIENCE,
                              stdout=subprocess.PIPE, text=True).stdout

    def _start(self, name, *arguments):
        with open(f'{self._directory}/{name}.log', 'a') as log:
            self._processes[name] = subprocess.Popen(
                [name, *arguments], env=self._environment, stdout=log, stderr=log)

    def _stop(self, name):
        process = self._processes.pop(name)
        process.terminate()
        process.wait(PATIENCE)

    @staticmethod
    def _forget_connection():
        """ovsdbapp keeps one for the whole process, whatever database is asked for next."""
        from vif_plug_ovs.ovsdb import impl_idl
        connection = impl_idl.NeutronOvsdbIdl._ovsdb_connection
        if connection:
            connection.stop(PATIENCE)
            impl_idl.NeutronOvsdbIdl._ovsdb_connection = None
        network._switch = None
