"""What is asked of a running guest: its password, its statistics."""

import contextlib
import socket

from oslo_utils import timeutils

from nova import exception
from nova import objects
from nova.virt.docker import specification

_COMMAND_NOT_FOUND = frozenset([126, 127])
_ANSWER_BYTES = 4096


def set_password(client, instance, container_id, password):
    """Set the password of the guest's administrator.

    It goes through the standard input of ``chpasswd``, since arguments are
    seen by every process and kept by the engine.
    """
    if any(character in password for character in '\n\r\0'):
        raise exception.InstancePasswordSetFailed(
            instance=instance.uuid, reason='it has a line break')
    user = specification.image_property(instance, 'os_admin_user', 'root')
    started = client.exec_create(
        container_id, ['chpasswd'], stdin=True, stdout=True, stderr=True,
        user='0')
    stream = client.exec_start(started['Id'], socket=True)
    connection = getattr(stream, '_sock', stream)
    with contextlib.closing(stream):
        connection.settimeout(client.timeout)
        connection.sendall(('%s:%s\n' % (user, password)).encode())
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(_ANSWER_BYTES):
            pass
    code = client.exec_inspect(started['Id'])['ExitCode']
    if code in _COMMAND_NOT_FOUND:
        raise exception.SetAdminPasswdNotSupported()
    if code:
        raise exception.InstancePasswordSetFailed(
            instance=instance.uuid, reason='chpasswd ended with %s' % code)


def _statistics(client, container_id):
    return client.stats(container_id, stream=False, one_shot=True)


def diagnostics_dictionary(client, container_id):
    """The statistics of a guest as the older interface wants them."""
    now = _statistics(client, container_id)
    result = {
        'cpu0_time': now['cpu_stats']['cpu_usage']['total_usage'],
        'memory': now['memory_stats'].get('limit', 0) // 1024,
        'memory-actual': now['memory_stats'].get('usage', 0) // 1024,
        'processes': now['pids_stats'].get('current', 0),
    }
    for operation, amount in _disk(now).items():
        result['disk_%s' % operation] = amount
    return result


def _disk(statistics):
    """Bytes read and written by the guest on all block devices."""
    amounts = {'read': 0, 'write': 0}
    entries = statistics['blkio_stats'].get('io_service_bytes_recursive')
    for entry in entries or []:
        operation = entry['op'].lower()
        if operation in amounts:
            amounts[operation] += entry['value']
    return amounts


def diagnostics(client, container, instance, state):
    """The statistics of a guest as Nova's object.

    Nova keeps a list of the drivers that may be named in it, and leaves the
    name out for all others.
    """
    now = _statistics(client, container['Id'])
    usage = now['cpu_stats']['cpu_usage']
    amounts = _disk(now)
    started = timeutils.parse_isotime(container['State']['StartedAt'])
    result = objects.Diagnostics(
        state=state, hypervisor='docker', hypervisor_os='linux',
        uptime=int(timeutils.delta_seconds(
            timeutils.normalize_time(started), timeutils.utcnow())),
        config_drive=bool(instance.config_drive))
    for index, used in enumerate(
            usage.get('percpu_usage') or [usage['total_usage']]):
        result.add_cpu(id=index, time=used)
    result.add_disk(read_bytes=amounts['read'],
                    write_bytes=amounts['write'])
    mebibyte = 1024 * 1024
    result.memory_details = objects.MemoryDiagnostics(
        maximum=now['memory_stats'].get('limit', 0) // mebibyte,
        used=now['memory_stats'].get('usage', 0) // mebibyte)
    return result
