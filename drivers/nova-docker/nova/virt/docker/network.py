"""Virtual interfaces: a veth pair from the integration bridge into the instance's namespace.

The host's end is ``tap`` and the begin of the port's id, a port of Open vSwitch as os-vif
makes it; the other end is ``ethN`` in the namespace that the instance's holder keeps open.

nova-compute has CAP_NET_ADMIN itself, since it makes the pairs. So os-vif's privileged
functions are called in this process: a daemon of oslo.privsep would hold the same capability,
inherited from here, and only add a Python process and the time to start it.
"""

import contextlib
import errno
import ipaddress
import math
import threading
import time

import os_vif.exception
import os_vif.objects
import ovsdbapp.exceptions
from oslo_concurrency import lockutils
from oslo_log import log
from ovsdbapp.backend.ovs_idl import idlutils
from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError
from vif_plug_ovs import ovs
from vif_plug_ovs import privsep

from nova import exception
from nova.network import model
from nova.network import os_vif_util
from nova.virt.docker import namespace
import nova.conf

os_vif.objects.register_all()

CONF = nova.conf.CONF
LOG = log.getLogger(__name__)

#: Marks the host's ends of our pairs, from the moment they exist: other agents of the node
#: name theirs in the same way.
DEVICE_GROUP = 0x6F63746F

#: Marks our ports in Open vSwitch: other drivers may have theirs on the same bridge.
OWNER = {'octo-driver': 'nova-docker'}

#: While Open vSwitch starts.
_RETRY_SECONDS = 0.2

_FAILURES = (NetlinkError, OSError, os_vif.exception.ExceptionBase,
             ovsdbapp.exceptions.OvsdbAppException, idlutils.RowNotFound)


class _Switch:
    """Open vSwitch on this node."""

    def __init__(self):
        privsep.vif_plug.set_client_mode(False)
        self._plugin = ovs.OvsPlugin.load('ovs')
        self._connecting = threading.Lock()

    @property
    def database(self):
        # The plugin connects when it is first asked, and would do so once for each thread.
        with self._connecting:
            try:
                return self._plugin.ovsdb.ovsdb
            # ovsdbapp raises a bare Exception when nothing answers.
            except Exception as error:
                raise ovsdbapp.exceptions.OvsdbConnectionUnavailable(
                    db_schema='Open_vSwitch', error=error) from error

    def wait(self, bridge):
        """Wait until the bridge exists, which is when OVN's controller has started."""
        # Zero means without end, as for os-vif.
        deadline = time.monotonic() + (CONF.os_vif_ovs.ovs_vsctl_timeout or math.inf)
        while True:
            try:
                self.datapath_type(bridge)
                return
            except _FAILURES as error:
                if time.monotonic() > deadline:
                    raise exception.InternalError(
                        f'Open vSwitch has no bridge {bridge}: {error}') from error
                LOG.debug('Waiting for bridge %s: %s', bridge, error)
            time.sleep(_RETRY_SECONDS)

    def datapath_type(self, bridge):
        return self.database.db_get('Bridge', bridge, 'datapath_type').execute(
            check_error=True, log_errors=False)

    def add_port(self, vif, instance_info):
        bridge = vif.network.bridge
        with self.database.transaction(check_error=True) as transaction:
            transaction.add(self.database.add_port(bridge, vif.vif_name, may_exist=True))
            transaction.add(self.database.db_set(
                'Interface', vif.vif_name, ('external_ids', OWNER)))
        self._plugin.plug(vif, instance_info)

    def remove_port(self, name):
        self.database.del_port(name, if_exists=True).execute(check_error=True)

    def our_ports(self):
        rows = self.database.db_list(
            'Interface', columns=['name', 'external_ids']).execute(check_error=True)
        return {row['name'] for row in rows if OWNER.items() <= row['external_ids'].items()}


_switch = None
_switch_lock = threading.Lock()

# Devices of the ports that this process plugged, and the instances they are for: a list of
# known ports that was made before is not aware of them.
_plugged = {}


def initialize():
    """Prepare os-vif, and wait for the integration bridge: without it no instance can start.

    Raises InternalError when Open vSwitch is not there in ``[os_vif_ovs] ovs_vsctl_timeout``.
    """
    _open_vswitch().wait(CONF.neutron.ovs_bridge)


def plug(instance, vif, pid):
    """Connect the namespace of process ``pid`` to the port, or repair the connection.

    Raises VirtualInterfacePlugException; what is half done then is finished by another call,
    or removed by ``unplug``.
    """
    wanted = _os_vif(vif)
    name = device_name(vif['id'])
    _plugged[name] = instance.uuid
    # Interfaces of one instance are numbered one after the other.
    with lockutils.lock(f'docker-network-{instance.uuid}'):
        try:
            switch = _open_vswitch()
            # os-vif would change the bridge to its own default where Neutron names no type.
            datapath_type = switch.datapath_type(wanted.network.bridge)
            wanted.port_profile.datapath_type = datapath_type or 'system'
            with namespace.Namespace(pid) as inside:
                interface = _interface(vif, checksum_offload=datapath_type != 'netdev')
                inner_name = _connected(name, inside, interface.mac)
                if inner_name is None:
                    # Also the port: a userspace datapath would keep the vanished device open.
                    _remove(name)
                    inner_name = _create(name, inside, interface)
                _start(name)
                inside.configure(inner_name, interface)
            switch.add_port(wanted, os_vif_util.nova_to_osvif_instance(instance))
        except _FAILURES as error:
            raise exception.VirtualInterfacePlugException(
                f'Cannot connect port {vif["id"]}: {error}') from error
    LOG.info('Port %s is %s', vif['id'], inner_name, instance=instance)


def unplug(instance, vif):
    """Disconnect the port and remove its devices, as far as they exist.

    Raises VirtualInterfaceUnplugException when something could not be removed.
    """
    name = device_name(vif['id'])
    _plugged.pop(name, None)
    with lockutils.lock(f'docker-network-{instance.uuid}'):
        try:
            _remove(name)
        except _FAILURES as error:
            raise exception.VirtualInterfaceUnplugException(
                reason=f'port {vif["id"]}: {error}') from error
    LOG.info('Port %s is disconnected', vif['id'], instance=instance)


def remove_leftovers(known_port_ids, gone_instances):
    """Remove what this driver made for ports that are not among the known ones.

    What this process has plugged stays, unless it was for an instance that is gone: one that
    Nova deleted without a word to this node is never unplugged.

    Raises VirtualInterfaceUnplugException when something could not be removed.
    """
    try:
        found = _open_vswitch().our_ports() | _our_devices()
        kept = {device_name(port_id) for port_id in known_port_ids}
        kept |= {name for name, instance in list(_plugged.items())
                 if instance not in gone_instances}
        for name in sorted(found - kept):
            LOG.warning('Removing %s, which belongs to no port of an instance here', name)
            _remove(name)
            _plugged.pop(name, None)
    except _FAILURES as error:
        raise exception.VirtualInterfaceUnplugException(reason=str(error)) from error


def device_name(port_id):
    """What the host's end of a port is called."""
    return ('tap' + port_id)[:model.NIC_NAME_LEN]


def _open_vswitch():
    global _switch
    with _switch_lock:
        if _switch is None:
            _switch = _Switch()
        return _switch


def _os_vif(vif):
    """The VIF as os-vif knows it. Only ports of Open vSwitch itself can lead into a container."""
    converted = None
    # A port that could not be bound has no kind at all.
    if vif['type'] == model.VIF_TYPE_OVS and vif['vnic_type'] == model.VNIC_TYPE_NORMAL:
        converted = os_vif_util.nova_to_osvif_vif(vif)
    if not isinstance(converted, os_vif.objects.vif.VIFOpenVSwitch):
        raise exception.VirtualInterfacePlugException(
            f'Port {vif["id"]} is of type {vif["type"]} ({vif["vnic_type"]}); containers can be '
            f'connected to normal ports of Open vSwitch only')
    converted.vif_name = device_name(vif['id'])
    # Neutron leaves the making of ports to Nova's driver in some cases; here it is always us.
    converted.port_profile.create_port = True
    converted.port_profile.create_tap = False
    return converted


def _interface(vif, checksum_offload):
    addresses, routes, gateways = [], [], {}
    for subnet in vif['network']['subnets']:
        prefix = ipaddress.ip_network(subnet['cidr']).prefixlen
        addresses += [f'{address["address"]}/{prefix}' for address in subnet['ips']]
        for route in subnet['routes']:
            gateway = _address(route['gateway'])
            routes.append(namespace.Route(route['cidr'], gateway))
        gateway = _address(subnet['gateway'])
        if gateway and subnet['ips']:
            gateways.setdefault(ipaddress.ip_address(gateway).version, gateway)
    return namespace.Interface(
        mac=vif['address'].lower(), mtu=vif['network'].get_meta('mtu'),
        addresses=tuple(addresses), routes=tuple(routes),
        default_gateways=tuple(gateways.values()),
        # OVN gives each network a port that answers there; only its DHCP would say so.
        metadata_on_link=any(ipaddress.ip_interface(address).version == 4 for address in addresses),
        transmit_checksum_offload=checksum_offload)


def _address(gateway):
    """The address of a model's gateway; None if there is none or it means "on the link"."""
    address = gateway and gateway['address']
    if not address or ipaddress.ip_address(address).is_unspecified:
        return None
    return address


def _connected(name, inside, mac):
    """What the other end of our device is called in the namespace, if it is there."""
    outer = _device(name)
    if outer is None:
        return None
    for link in inside.links():
        if (link.peer, link.index, link.mac) == (outer['index'], outer['peer'], mac):
            return link.name
    return None


def _device(name):
    with IPRoute() as ip:
        try:
            message = ip.link('get', ifname=name)[0]
        except NetlinkError as error:
            if error.code == errno.ENODEV:
                return None
            raise
    return {'index': message['index'], 'peer': message.get_attr('IFLA_LINK')}


def _create(name, inside, interface):
    mtu = {'mtu': interface.mtu} if interface.mtu else {}
    inner_name = namespace.free_name(inside.links())
    with IPRoute() as ip:
        ip.link('add', kind='veth', ifname=name, group=DEVICE_GROUP, **mtu, peer={
            'ifname': inner_name, 'address': interface.mac,
            'net_ns_fd': inside.descriptor, **mtu})
    return inner_name


def _start(name):
    with IPRoute() as ip:
        index = ip.link('get', ifname=name)[0]['index']
        # The node must not speak on the instance's network.
        namespace.silence(ip, index)
        ip.link('set', index=index, state='up')


def _remove(name):
    with contextlib.ExitStack() as both:
        # Also when Open vSwitch does not answer.
        both.callback(_remove_device, name)
        _open_vswitch().remove_port(name)


def _remove_device(name):
    with IPRoute() as ip:
        try:
            ip.link('del', ifname=name)
        except NetlinkError as error:
            if error.code != errno.ENODEV:
                raise


def _our_devices():
    with IPRoute() as ip:
        return {message.get_attr('IFLA_IFNAME') for message in ip.get_links()
                if message.get_attr('IFLA_GROUP') == DEVICE_GROUP}
