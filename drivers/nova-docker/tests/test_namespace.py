"""Interfaces inside a namespace, on the kernel that runs the tests. Needs root."""

import concurrent.futures
import ctypes
import dataclasses
import fcntl
import ipaddress
import os
import socket
import struct
import unittest

from nova.virt.docker import namespace

import nodes

MAC = 'fa:16:3e:00:00:01'


def add_pair(ip, name, mac):
    ip.link('add', kind='veth', ifname=name, address=mac, peer={'ifname': f'{name}-peer'})
    ip.link('set', index=ip.link_lookup(ifname=f'{name}-peer')[0], state='up')


def state(opened, name='eth0'):
    """The addresses and routes of an interface, but for what the kernel adds to each."""
    def look(ip):
        [index] = ip.link_lookup(ifname=name)
        addresses = {
            f'{message.get_attr("IFA_ADDRESS")}/{message["prefixlen"]}'
            for message in ip.get_addr(index=index)}
        routes = {
            (f'{message.get_attr("RTA_DST") or "default"}/{message["dst_len"]}',
             message.get_attr('RTA_GATEWAY'))
            for message in ip.get_routes(table=254)
            if message.get_attr('RTA_OIF') == index and message['proto'] == 4}
        return addresses, routes
    return opened.run(look)


def ethtool_value(name, command):
    value = ctypes.create_string_buffer(struct.pack('II', command, 0))
    request = struct.pack('16sP', name.encode(), ctypes.addressof(value))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8946, request.ljust(40, b'\0'))
    return struct.unpack('II', value.raw[:8])[1]


class NamespaceTestCase(unittest.TestCase):

    def setUp(self):
        """An open namespace with eth0, whose other end is in it too, and up."""
        self.inside = self.enterContext(namespace.Namespace(self.enterContext(nodes.holder())))
        self.inside.run(add_pair, 'eth0', MAC)

    def test_an_interface_gets_all_of_its_settings(self):
        self.inside.configure('eth0', namespace.Interface(
            mac=MAC, mtu=1400,
            addresses=('10.1.0.11/24', '10.2.0.11/24', 'fd00::11/64'),
            routes=(namespace.Route('169.254.169.254/32', '10.1.0.2'),
                    namespace.Route('10.9.0.0/16'),
                    namespace.Route('fd09::/64', 'fd00::9')),
            default_gateways=('10.1.0.1', 'fd00::1')))
        addresses, routes = state(self.inside)
        self.assertEqual({'10.1.0.11/24', '10.2.0.11/24', 'fd00::11/64',
                          f'{namespace.link_local_address(MAC)}/64'}, addresses)
        self.assertEqual({
            ('default/0', '10.1.0.1'), ('default/0', 'fd00::1'), ('169.254.169.254/32', '10.1.0.2'),
            ('10.9.0.0/16', None), ('fd09::/64', 'fd00::9')}, routes)

        def look(ip):
            return ip.link('get', ifname='lo')[0], ip.link('get', ifname='eth0')[0], ip.get_addr(
                index=ip.link_lookup(ifname='eth0')[0])
        lo, eth0, found = self.inside.run(look)
        self.assertTrue(lo['flags'] & 1 and eth0['flags'] & 1)
        self.assertEqual(1400, eth0.get_attr('IFLA_MTU'))
        # Usable at once: no address waits for a search for duplicates.
        self.assertFalse(any(message.get_attr('IFA_FLAGS') & 0x40 for message in found))

    def test_once_more_changes_nothing(self):
        wanted = namespace.Interface(
            mac=MAC, addresses=('10.1.0.11/24', 'fd00::11/64'),
            routes=(namespace.Route('10.9.0.0/16', '10.1.0.9'),), default_gateways=('10.1.0.1',))
        self.inside.configure('eth0', wanted)
        before = state(self.inside)
        self.inside.configure('eth0', wanted)
        self.assertEqual(before, state(self.inside))

    def test_what_is_no_longer_wanted_goes(self):
        self.inside.configure('eth0', namespace.Interface(
            mac=MAC, addresses=('10.1.0.11/24', 'fd00::11/64'),
            routes=(namespace.Route('10.9.0.0/16', '10.1.0.9'),), default_gateways=('10.1.0.1',)))
        self.inside.configure('eth0', namespace.Interface(mac=MAC, addresses=('10.1.0.12/24',)))
        self.assertEqual(({'10.1.0.12/24'}, set()), state(self.inside))

    def test_a_gateway_outside_of_the_subnet_is_reached_on_the_link(self):
        self.inside.configure('eth0', namespace.Interface(
            mac=MAC, addresses=('10.1.0.11/32', 'fd00::11/64'),
            default_gateways=('192.0.2.1', 'fe80::1')))
        self.assertEqual(
            {('default/0', '192.0.2.1'), ('default/0', 'fe80::1')}, state(self.inside)[1])

    def test_only_the_first_interface_leads_out(self):
        self.inside.run(add_pair, 'eth1', 'fa:16:3e:00:00:02')
        first = namespace.Interface(
            mac=MAC, addresses=('10.1.0.11/24',), default_gateways=('10.1.0.1',))
        second = namespace.Interface(
            mac='fa:16:3e:00:00:02', addresses=('10.2.0.11/24',), default_gateways=('10.2.0.1',))
        for _round in range(2):
            self.inside.configure('eth0', first)
            self.inside.configure('eth1', second)
            self.assertEqual({('default/0', '10.1.0.1')}, state(self.inside, 'eth0')[1])
            self.assertEqual(set(), state(self.inside, 'eth1')[1])
        # When the first is gone the next one takes over.
        self.inside.run(lambda ip: ip.link('del', ifname='eth0'))
        self.inside.configure('eth1', second)
        self.assertEqual({('default/0', '10.2.0.1')}, state(self.inside, 'eth1')[1])

    def test_metadata_is_reached_by_one_interface(self):
        self.inside.run(add_pair, 'eth1', 'fa:16:3e:00:00:02')
        first = namespace.Interface(mac=MAC, addresses=('10.1.0.11/24',), metadata_on_link=True)
        second = namespace.Interface(
            mac='fa:16:3e:00:00:02', addresses=('10.2.0.11/24',), metadata_on_link=True)
        for _round in range(2):
            self.inside.configure('eth0', first)
            self.inside.configure('eth1', second)
            self.assertEqual({('169.254.169.254/32', None)}, state(self.inside, 'eth0')[1])
            self.assertEqual(set(), state(self.inside, 'eth1')[1])
        # What the subnet itself says comes first.
        said = namespace.Route('169.254.169.254/32', '10.1.0.2')
        self.inside.configure('eth0', dataclasses.replace(first, routes=(said,)))
        self.assertEqual({('169.254.169.254/32', '10.1.0.2')}, state(self.inside, 'eth0')[1])

    def test_disabled_ipv6_is_enabled_where_it_is_needed(self):
        def disable(_ip):
            with open('/proc/sys/net/ipv6/conf/eth0/disable_ipv6', 'w') as file:
                file.write('1')
        if os.statvfs('/proc/sys').f_flag & os.ST_RDONLY:
            self.skipTest('/proc/sys is read-only')
        self.inside.run(disable)
        self.inside.configure('eth0', namespace.Interface(mac=MAC, addresses=('fd00::11/64',)))
        self.assertIn('fd00::11/64', state(self.inside)[0])

    def test_checksums_are_left_to_the_kernel_where_asked(self):
        def offload():
            return self.inside.run(lambda _ip: ethtool_value('eth0', 0x16))
        self.assertEqual(1, offload())
        self.inside.configure('eth0', namespace.Interface(mac=MAC, transmit_checksum_offload=False))
        self.assertEqual(0, offload())

    def test_no_thread_stays_in_a_foreign_namespace(self):
        ours = os.stat('/proc/thread-self/ns/net')

        def work(_number):
            with nodes.holder() as pid, namespace.Namespace(pid) as opened:
                for _round in range(20):
                    self.assertNotIn('eth0', [link.name for link in opened.links()])
                    self.assertTrue(
                        os.path.samestat(os.stat('/proc/thread-self/ns/net'), ours))

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))

    def test_errors_inside_are_raised_outside(self):
        with self.assertRaises(ZeroDivisionError):
            self.inside.run(lambda _ip: 1 / 0)

    def test_the_node_itself_is_never_taken_for_an_instance(self):
        with self.assertRaises(ProcessLookupError):
            namespace.Namespace(os.getpid())
        with self.assertRaises(ProcessLookupError):
            namespace.Namespace(0)

    def test_names_fill_gaps(self):
        def link(name):
            return namespace.Link(name=name, index=1, mac=MAC, peer=None)
        self.assertEqual('eth0', namespace.free_name([]))
        self.assertEqual('eth1', namespace.free_name([link('eth0'), link('eth2'), link('wg0')]))

    def test_a_link_local_address_is_made_from_the_mac(self):
        made = ipaddress.ip_address(namespace.link_local_address('fa:16:3e:12:34:56'))
        self.assertEqual(ipaddress.ip_address('fe80::f816:3eff:fe12:3456'), made)
