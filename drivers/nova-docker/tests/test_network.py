"""Virtual interfaces, in a network namespace that plays the node. Needs root."""

import concurrent.futures
import contextlib
import hashlib
import os
import socket
import tempfile
import threading
import unittest
from unittest import mock

from pyroute2 import IPRoute

from nova import exception
from nova import objects
from nova.network import model
from nova.virt.docker import namespace
from nova.virt.docker import network

import nodes
from nodes import holder
from nodes import taps

objects.register_all()


def instance(number=1):
    return objects.Instance(
        id=number, uuid=f'b0000000-0000-4000-8000-{number:012}', project_id='project')


def vif(number=1, addresses=('10.1.0.{}/24', 'fd00::{}/64'), **attributes):
    subnets = []
    for address in addresses:
        address, cidr = address.format(number).split('/')[0], address.format(0)
        subnets.append(model.Subnet(
            cidr=cidr, ips=[model.FixedIP(address=address)], routes=[],
            gateway=model.IP(address=cidr.split('/')[0].removesuffix('0') + '254')))
    return model.VIF(**{
        'id': f'c{number:07}-0000-4000-8000-000000000001',
        'address': f'fa:16:3e:00:00:{number:02x}',
        'type': 'ovs', 'delegate_create': True, 'network': model.Network(
            id='a0000000-0000-4000-8000-000000000001', bridge='br-int', label='net',
            subnets=subnets, mtu=1442), **attributes})


def inner_names(pid):
    with namespace.Namespace(pid) as inside:
        # A kernel may add tunnels of its own to each namespace.
        return {link.mac: link.name for link in inside.links() if link.name.startswith('eth')}


def transfers(pids, address, size=8 * 1024 * 1024):
    """Whether bytes reach the second holder from the first one unchanged, over TCP."""
    content = os.urandom(size)
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    with contextlib.ExitStack() as stack:
        spaces = [stack.enter_context(namespace.Namespace(pid)) for pid in pids]
        # A socket belongs to the namespace that it was made in, whoever uses it.
        server, client = (space.run(lambda _ip: socket.socket(family)) for space in spaces[::-1])
        with server, client:
            for end in (server, client):
                end.settimeout(nodes.PATIENCE)
            server.bind((address, 0))
            server.listen()
            client.connect(server.getsockname()[:2])
            accepted, _peer = server.accept()
            with accepted:
                accepted.settimeout(nodes.PATIENCE)
                sending = threading.Thread(target=lambda: (
                    client.sendall(content), client.shutdown(socket.SHUT_WR)))
                sending.start()
                digest, expected = hashlib.sha256(), hashlib.sha256(content)
                while data := accepted.recv(65536):
                    digest.update(data)
                sending.join()
    return digest.digest() == expected.digest()


def succeeds(function, *arguments):
    try:
        function(*arguments)
    except exception.NovaException:
        return False
    return True


class StandInTestCase(unittest.TestCase):
    """What happens on the kernel, whatever the switch is."""

    def setUp(self):
        self.enterContext(nodes.own_network())
        self.switch = nodes.Switch()
        self.enterContext(mock.patch.object(network, '_switch', self.switch))
        self.enterContext(mock.patch.object(network, '_plugged', {}))

    def test_a_plugged_port_is_not_touched_by_plugging_again(self):
        with holder() as pid:
            network.plug(instance(), vif(), pid)
            before = taps()
            self.assertEqual(['tapc0000001-00'], list(before))
            self.assertEqual({'fa:16:3e:00:00:01': 'eth0'}, inner_names(pid))
            self.assertEqual(
                {'tapc0000001-00': (vif()['id'], 'system', instance().uuid)}, self.switch.ports)
            network.plug(instance(), vif(), pid)
            self.assertEqual(before, taps())

    def test_interfaces_are_numbered_in_order_and_gaps_are_filled(self):
        with holder() as pid:
            for number in (1, 2, 3):
                network.plug(instance(), vif(number), pid)
            self.assertEqual(
                {f'fa:16:3e:00:00:0{number}': f'eth{number - 1}' for number in (1, 2, 3)},
                inner_names(pid))
            network.unplug(instance(), vif(2))
            network.plug(instance(), vif(4), pid)
            self.assertEqual('eth1', inner_names(pid)['fa:16:3e:00:00:04'])

    def test_a_new_namespace_gets_the_port(self):
        with holder() as pid:
            network.plug(instance(), vif(), pid)
            with holder() as next_pid:
                network.plug(instance(), vif(), next_pid)
                self.assertEqual({}, inner_names(pid))
                self.assertEqual({'fa:16:3e:00:00:01': 'eth0'}, inner_names(next_pid))

    def test_a_half_done_plug_is_finished(self):
        self.switch.failure = OSError('broken off')
        with holder() as pid:
            with self.assertRaisesRegex(exception.VirtualInterfacePlugException, 'broken off'):
                network.plug(instance(), vif(), pid)
            with IPRoute() as ip:
                # Something else that has the name.
                ip.link('add', kind='veth', ifname='tapc0000002-00', peer='other')
            self.switch.failure = None
            for number in (1, 2):
                network.plug(instance(), vif(number), pid)
            self.assertEqual(['eth0', 'eth1'], sorted(inner_names(pid).values()))
            both = ['tapc0000001-00', 'tapc0000002-00']
            self.assertEqual((both, both), (sorted(self.switch.ports), sorted(taps())))

    def test_unplugging_removes_what_exists(self):
        network.unplug(instance(), vif())
        with holder() as pid:
            network.plug(instance(), vif(), pid)
        nodes.wait_for(lambda: not taps())
        self.assertIn('tapc0000001-00', self.switch.ports)
        # The holder took the devices with it.
        network.unplug(instance(), vif())
        self.assertEqual({}, self.switch.ports)

    def test_unplugging_without_a_switch_removes_the_device_and_fails(self):
        with holder() as pid:
            network.plug(instance(), vif(), pid)
            self.switch.failure = OSError('silent')
            with self.assertRaisesRegex(exception.VirtualInterfaceUnplugException, 'silent'):
                network.unplug(instance(), vif())
            self.assertEqual({}, taps())
            self.assertIn('tapc0000001-00', self.switch.ports)

    def test_a_port_that_is_not_bound_can_be_unplugged_but_not_plugged(self):
        for kind in ('binding_failed', 'unbound', 'vhostuser', 'tap'):
            with holder() as pid, self.assertRaisesRegex(
                    exception.VirtualInterfacePlugException, 'can be connected'):
                network.plug(instance(), vif(type=kind), pid)
            network.unplug(instance(), vif(type=kind))
        with self.assertRaises(exception.VirtualInterfacePlugException):
            network.plug(instance(), vif(vnic_type='direct'), 1)

    def test_a_holder_that_does_not_run_is_an_error(self):
        for pid in (0, os.getpid()):
            with self.assertRaises(exception.VirtualInterfacePlugException):
                network.plug(instance(), vif(), pid)
        self.assertEqual({}, taps())

    def test_only_unknown_ports_of_this_driver_are_leftovers(self):
        with holder() as pid, IPRoute() as ip:
            # Of other agents on the node, with and without a port.
            ip.link('add', kind='veth', ifname='tapa0000000-00', peer='tapa0000000-01')
            for number in (1, 2, 3, 4):
                network.plug(instance(), vif(number), pid)
            self.switch.ports.pop('tapc0000002-00')
            ip.link('del', ifname='tapc0000003-00')
            # As if nova-compute had been started anew, and had plugged the fourth one since.
            network._plugged.clear()
            network._plugged['tapc0000004-00'] = instance().uuid
            network.remove_leftovers({vif(1)['id']}, set())
            self.assertEqual(['tapc0000001-00', 'tapc0000004-00'], sorted(self.switch.ports))
            self.assertEqual(
                ['tapa0000000-00', 'tapa0000000-01', 'tapc0000001-00', 'tapc0000004-00'],
                sorted(taps()))

    def test_ports_of_an_instance_that_nova_has_deleted_alone_are_leftovers(self):
        with holder() as pid:
            for number in (1, 2, 3):
                network.plug(instance(number), vif(number), pid)
            # Its namespace is gone, and with it the device.
            with IPRoute() as ip:
                ip.link('del', ifname='tapc0000002-00')
            network.remove_leftovers({vif(1)['id']}, {instance(2).uuid})
            self.assertEqual(['tapc0000001-00', 'tapc0000003-00'], sorted(self.switch.ports))
            self.assertEqual(['tapc0000001-00', 'tapc0000003-00'], sorted(taps()))

    def test_many_at_once(self):
        def plug(pid, number):
            network.plug(instance(number), vif(number), pid)

        with contextlib.ExitStack() as stack:
            pids = [stack.enter_context(holder()) for _number in range(12)]
            with concurrent.futures.ThreadPoolExecutor(6) as pool:
                list(pool.map(plug, pids, range(1, 13)))
            self.assertEqual(12, len(self.switch.ports))
            self.assertEqual({1}, {len(inner_names(pid)) for pid in pids})


class OpenVSwitchTestCase(unittest.TestCase):
    """What Open vSwitch makes of it, with a datapath in user space."""

    def setUp(self):
        if missing := nodes.OpenVSwitch.missing():
            self.skipTest(missing)
        self.enterContext(nodes.own_network())
        self.enterContext(mock.patch.object(network, '_plugged', {}))
        self.switch = nodes.OpenVSwitch(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(self.switch.running())

    def add_bridge(self):
        self.switch.add_bridge()
        network.initialize()

    def assert_connected(self, pids):
        for address in ('10.1.0.2', 'fd00::2'):
            self.assertTrue(transfers(pids, address))

    def test_instances_reach_each_other_whatever_restarts(self):
        self.add_bridge()
        with holder() as first, contextlib.ExitStack() as other:
            pids = [first, other.enter_context(holder())]
            for number, pid in enumerate(pids, 1):
                network.plug(instance(number), vif(number), pid)
            # os-vif would have made it "system", for which this kernel may have no module.
            self.assertEqual('netdev', self.switch.configure(
                'get', 'bridge', 'br-int', 'datapath_type').strip())
            identity = self.switch.configure('get', 'interface', 'tapc0000001-00', 'external_ids')
            for word in ('nova-docker', vif()['id'], vif()['address'], instance().uuid, 'active'):
                self.assertIn(word, identity)
            self.assert_connected(pids)

            # The switch.
            self.switch.stop_daemon()
            self.switch.start_daemon()
            self.switch.configure('set', 'open_vswitch', '.', 'external_ids:restarted=yes')
            self.assert_connected(pids)

            # A holder.
            other.close()
            pids[1] = other.enter_context(holder())
            network.plug(instance(2), vif(2), pids[1])
            self.switch.configure('set', 'open_vswitch', '.', 'external_ids:restarted=again')
            self.assert_connected(pids)

            # The database: its clients come back to it by themselves.
            self.switch.stop_database()
            self.switch.start_database()
            nodes.wait_for(lambda: succeeds(network.plug, instance(1), vif(1), first))
            self.assert_connected(pids)

            for number in (1, 2):
                network.unplug(instance(number), vif(number))
            self.assertEqual('', self.switch.configure('list-ports', 'br-int'))
            self.assertEqual({}, taps())

    def test_leftovers_are_found_in_the_database(self):
        self.add_bridge()
        with holder() as pid:
            for number in (1, 2):
                network.plug(instance(number), vif(number), pid)
            self.switch.configure(
                'add-port', 'br-int', 'other', '--', 'set', 'interface', 'other',
                'type=internal', 'external_ids:vm-uuid=b', 'external_ids:iface-id=c')
            network._plugged.clear()
            network.remove_leftovers({vif(1)['id']}, set())
            self.assertEqual(['other', 'tapc0000001-00'],
                             self.switch.configure('list-ports', 'br-int').split())
            self.assertEqual(['tapc0000001-00'], list(taps()))

    def test_initializing_waits_for_the_bridge(self):
        with self.assertRaisesRegex(exception.InternalError, 'br-int'):
            network.initialize()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(network.initialize)
            self.switch.add_bridge()
            waiting.result(nodes.PATIENCE)

    def test_a_silent_switch_is_an_error(self):
        self.add_bridge()
        self.switch.stop_database()
        with holder() as pid, self.assertRaises(exception.VirtualInterfacePlugException):
            network.plug(instance(), vif(), pid)
