"""Network interfaces inside the namespace of an instance.

A thread of its own enters the namespace and ends there, so that no thread of nova-compute
ever works in a foreign network.
"""

import ctypes
import dataclasses
import errno
import fcntl
import ipaddress
import os
import re
import socket
import struct
import threading

from pyroute2 import IPRoute
from pyroute2 import netns

#: System controls that the holder of an instance's namespace has to be created with. Docker
#: disables IPv6 where it attached no network itself, and nova-compute sees /proc/sys read-only.
HOLDER_SYSCTLS = {
    'net.ipv6.conf.all.disable_ipv6': '0',
    'net.ipv6.conf.default.disable_ipv6': '0',
}

_NAME = re.compile(r'eth(\d+)')

_IFA_F_NODAD = 0x02
_IFA_F_PERMANENT = 0x80
_RT_SCOPE_LINK = 253
_RT_TABLE_MAIN = 254
_RTNH_F_ONLINK = 4
# Routes of this driver. Those of the kernel and of router advertisements are not touched.
_RTPROT_STATIC = 4

_ADDRESS_GENERATION_NONE = 1

_SIOCETHTOOL = 0x8946
_ETHTOOL_STXCSUM = 0x17


_METADATA = ipaddress.ip_network('169.254.169.254/32')


@dataclasses.dataclass(frozen=True)
class Route:
    """A way to ``destination``: through ``gateway``, or on the link itself without one."""

    destination: str
    gateway: str | None = None


@dataclasses.dataclass(frozen=True)
class Interface:
    """How an interface of an instance has to be."""

    mac: str
    mtu: int | None = None
    #: With their prefix lengths.
    addresses: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    #: At most one of each IP version; used unless another interface leads out already.
    default_gateways: tuple[str, ...] = ()
    #: Whether the metadata service answers on the link; used unless another interface leads there.
    metadata_on_link: bool = False
    transmit_checksum_offload: bool = True


@dataclasses.dataclass(frozen=True)
class Link:
    """An interface as the kernel lists it. ``peer`` is the index of a veth's other end."""

    name: str
    index: int
    mac: str
    peer: int | None


class Namespace:
    """The network namespace of a running process.

    Stays the same namespace while it is open, whatever becomes of the process.
    """

    def __init__(self, pid):
        """Open it; OSError if there is no such process or it shares our own network."""
        if not pid:
            raise ProcessLookupError(errno.ESRCH, 'No process holds the namespace')
        self.descriptor = os.open(f'/proc/{pid}/ns/net', os.O_RDONLY | os.O_CLOEXEC)
        # A process id may have been given to another process, such as one of the node's own.
        if os.path.samestat(os.fstat(self.descriptor), os.stat('/proc/thread-self/ns/net')):
            self.close()
            raise ProcessLookupError(
                errno.ESRCH, f'Process {pid} is in the network namespace of the node itself')

    def close(self):
        """Forget the namespace."""
        os.close(self.descriptor)

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.close()

    def run(self, function, *arguments):
        """Call ``function(ip, *arguments)`` inside, with an open IPRoute; returns its result."""
        outcome = {}
        caller = threading.get_native_id()

        def enter():
            try:
                # With eventlet all "threads" are one, which would never come back.
                if threading.get_native_id() == caller:
                    raise RuntimeError('Nova runs on eventlet; this driver needs native threads')
                netns.setns(self.descriptor)
                with IPRoute() as ip:
                    outcome['result'] = function(ip, *arguments)
            # Handed to the waiting thread, which raises it.
            except BaseException as error:
                outcome['error'] = error

        thread = threading.Thread(target=enter, name='network-namespace', daemon=True)
        thread.start()
        thread.join()
        if 'error' in outcome:
            raise outcome['error']
        return outcome['result']

    def links(self):
        """All interfaces inside but the loopback."""
        return self.run(_links)

    def configure(self, name, interface):
        """Make interface ``name`` be as ``interface`` says; what is so already stays."""
        self.run(_configure, name, interface)


def free_name(links):
    """The first of eth0, eth1, ... that is not among ``links``."""
    taken = {link.name for link in links if _NAME.fullmatch(link.name)}
    number = 0
    while f'eth{number}' in taken:
        number += 1
    return f'eth{number}'


def silence(ip, index):
    """Keep an interface from giving itself an IPv6 address, and so from speaking unasked."""
    if not os.path.exists('/proc/sys/net/ipv6/conf'):
        return
    ip.link('set', index=index, IFLA_AF_SPEC={'attrs': [('AF_INET6', {'attrs': [
        ('IFLA_INET6_ADDR_GEN_MODE', _ADDRESS_GENERATION_NONE)]})]})


def link_local_address(mac):
    """The IPv6 address that belongs to a MAC address on every link."""
    octets = bytes.fromhex(mac.replace(':', ''))
    identifier = bytes([octets[0] ^ 2]) + octets[1:3] + b'\xff\xfe' + octets[3:]
    return str(ipaddress.IPv6Address(b'\xfe\x80' + bytes(6) + identifier))


def _links(ip):
    return [
        Link(name=message.get_attr('IFLA_IFNAME'), index=message['index'],
             mac=message.get_attr('IFLA_ADDRESS'), peer=message.get_attr('IFLA_LINK'))
        for message in ip.get_links()
        if message.get_attr('IFLA_IFNAME') != 'lo'
    ]


def _configure(ip, name, interface):
    loopback, index = (ip.link('get', ifname=each)[0]['index'] for each in ('lo', name))
    ip.link('set', index=loopback, state='up')
    wanted = [ipaddress.ip_interface(address) for address in interface.addresses]
    if any(address.version == 6 for address in wanted):
        _enable_ipv6(name)
        # Made by hand because the kernel's own is checked for duplicates for a second.
        wanted.append(ipaddress.ip_interface(link_local_address(interface.mac) + '/64'))
    silence(ip, index)
    if not interface.transmit_checksum_offload:
        _disable_transmit_checksums(name)
    settings = {'mtu': interface.mtu} if interface.mtu else {}
    ip.link('set', index=index, state='up', **settings)
    _set_addresses(ip, index, wanted)
    _set_routes(ip, index, interface, wanted)


def _enable_ipv6(name):
    path = f'/proc/sys/net/ipv6/conf/{name}/disable_ipv6'
    with open(path) as file:
        if file.read().strip() == '0':
            return
    with open(path, 'w') as file:
        file.write('0')


def _set_addresses(ip, index, wanted):
    present = {}
    for message in ip.get_addr(index=index):
        # What a router advertised is temporary and not ours.
        if message.get_attr('IFA_FLAGS') & _IFA_F_PERMANENT:
            address = message.get_attr('IFA_LOCAL') or message.get_attr('IFA_ADDRESS')
            present[ipaddress.ip_interface(f'{address}/{message["prefixlen"]}')] = message
    for address in present.keys() - set(wanted):
        ip.addr('del', index=index, address=str(address.ip), prefixlen=address.network.prefixlen)
    for address in wanted:
        if address not in present:
            flags = {'flags': _IFA_F_NODAD} if address.version == 6 else {}
            ip.addr('add', index=index, address=str(address.ip),
                    prefixlen=address.network.prefixlen, **flags)


def _set_routes(ip, index, interface, addresses):
    wanted = {}
    for route in interface.routes:
        wanted[ipaddress.ip_network(route.destination)] = route.gateway
    present = _static_routes(ip)

    def unless_elsewhere(wish, gateway):
        elsewhere = any(destination == wish and output != index
                        for destination, output in present)
        if wish not in wanted and not elsewhere:
            wanted[wish] = gateway

    for gateway in interface.default_gateways:
        version = ipaddress.ip_address(gateway).version
        unless_elsewhere(ipaddress.ip_network('0.0.0.0/0' if version == 4 else '::/0'), gateway)
    if interface.metadata_on_link:
        unless_elsewhere(_METADATA, None)
    for destination, output in present:
        if output == index and destination not in wanted:
            ip.route('del', dst=str(destination), oif=index, proto=_RTPROT_STATIC,
                     family=_family(destination))
    # Routes on the link first: gateways may lie behind them.
    for destination, gateway in sorted(wanted.items(), key=lambda item: bool(item[1])):
        attributes = {'dst': str(destination), 'oif': index, 'proto': _RTPROT_STATIC,
                      'family': _family(destination)}
        if gateway:
            attributes['gateway'] = gateway
            if not any(ipaddress.ip_address(gateway) in address.network
                       for address in addresses):
                attributes['flags'] = _RTNH_F_ONLINK
        elif destination.version == 4:
            attributes['scope'] = _RT_SCOPE_LINK
        ip.route('replace', **attributes)


def _static_routes(ip):
    found = []
    for family, everywhere in ((socket.AF_INET, '0.0.0.0'), (socket.AF_INET6, '::')):
        for message in ip.get_routes(family=family, table=_RT_TABLE_MAIN):
            if message['proto'] == _RTPROT_STATIC:
                address = message.get_attr('RTA_DST') or everywhere
                destination = ipaddress.ip_network(f'{address}/{message["dst_len"]}')
                found.append((destination, message.get_attr('RTA_OIF')))
    return found


def _family(network):
    return socket.AF_INET if network.version == 4 else socket.AF_INET6


def _disable_transmit_checksums(name):
    """Let the kernel compute checksums itself.

    A userspace datapath takes packets from the other end as they are, and would pass them on
    with the checksum that a network card was meant to fill in.
    """
    value = ctypes.create_string_buffer(struct.pack('II', _ETHTOOL_STXCSUM, 0))
    request = struct.pack('16sP', name.encode(), ctypes.addressof(value))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCETHTOOL, request.ljust(40, b'\0'))
