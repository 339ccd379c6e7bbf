"""What the node offers, and how much of it is used."""

import os
import platform
import re

import os_resource_classes as orc
from oslo_serialization import jsonutils
from oslo_utils import versionutils

import nova.conf
from nova.objects import fields

CONF = nova.conf.CONF

_GIBIBYTE = 1024 ** 3
_MEBIBYTE = 1024 ** 2


def _memory_used_mb():
    """Memory of the node that is not available, in MiB."""
    amounts = {}
    with open('/proc/meminfo', encoding='ascii') as lines:
        for line in lines:
            name, value = line.split(':')
            amounts[name] = int(value.split()[0])
    return (amounts['MemTotal'] - amounts['MemAvailable']) // 1024


def _version(text):
    """The engine's version as Nova's number, without what packagers add."""
    return versionutils.convert_version_to_int(
        re.match(r'\d+(\.\d+)*', text).group())


class Inventory:
    """The resources of the node, as the engine and the kernel tell them."""

    def __init__(self, engine):
        self._engine = engine

    def resources(self, nodename):
        """The dictionary that Nova's resource tracker asks for.

        The tracker itself counts what instances use; the used amounts here
        are those of the whole node.
        """
        info = self._engine.client.info()
        disk = os.statvfs(CONF.docker.data_path)
        free_gb = disk.f_bavail * disk.f_frsize // _GIBIBYTE
        total_gb = disk.f_blocks * disk.f_frsize // _GIBIBYTE
        architecture = fields.Architecture.canonicalize(
            info['Architecture'])
        return {
            'vcpus': info['NCPU'],
            'memory_mb': info['MemTotal'] // _MEBIBYTE,
            'local_gb': total_gb,
            'vcpus_used': 0,
            'memory_mb_used': _memory_used_mb(),
            'local_gb_used': total_gb - free_gb,
            'disk_available_least': free_gb,
            'hypervisor_type': fields.HVType.DOCKER,
            'hypervisor_version': _version(info['ServerVersion']),
            'hypervisor_hostname': nodename,
            'cpu_info': jsonutils.dumps({
                'arch': architecture,
                'topology': {'cores': info['NCPU'], 'sockets': 1,
                             'threads': 1}}),
            'supported_instances': [(
                architecture, fields.HVType.DOCKER, fields.VMMode.EXE)],
            'numa_topology': None,
        }

    def placement(self, current, ratios, reserved_disk_gb):
        """The inventory for Placement.

        :param current: resources of this node
        :param ratios: allocation ratios by resource class
        """
        amounts = {
            orc.VCPU: (current['vcpus'], CONF.reserved_host_cpus),
            orc.MEMORY_MB: (current['memory_mb'],
                            CONF.reserved_host_memory_mb),
            orc.DISK_GB: (current['local_gb'], reserved_disk_gb),
        }
        return {
            resource_class: {
                'total': total, 'reserved': min(reserved, total),
                'min_unit': 1, 'max_unit': total, 'step_size': 1,
                'allocation_ratio': ratios[resource_class],
            }
            for resource_class, (total, reserved) in amounts.items()
            if total
        }


def uptime():
    """How long the node has been up, in the words of uptime(1)."""
    with open('/proc/uptime', encoding='ascii') as file:
        seconds = int(float(file.read().split()[0]))
    with open('/proc/loadavg', encoding='ascii') as file:
        load = file.read().split()[:3]
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    return 'up %d days, %2d:%02d, load average: %s on %s' % (
        days, hours, rest // 60, ', '.join(load), platform.release())
