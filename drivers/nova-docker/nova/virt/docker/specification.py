"""What the engine is asked to create: pure functions, no call is made here."""

import shlex

from oslo_utils import strutils

from nova import exception
from nova.virt.docker import configuration
from nova.virt.docker import namespace

CONF = configuration.CONF

LABEL_INSTANCE = 'octo.instance'
LABEL_CLOUD = 'octo.instance.cloud'
LABEL_ROLE = 'octo.instance.role'
LABEL_NAME = 'octo.instance.name'
LABELS = frozenset([LABEL_INSTANCE, LABEL_CLOUD, LABEL_ROLE, LABEL_NAME])

GUEST = 'guest'
HOLDER = 'holder'
CONFIG_DRIVE = 'config-drive'

CONFIG_DRIVE_PATH = '/config-drive'

EXTRA_SPEC_PREFIX = 'docker:'
#: Extra specs that anyone who may make flavors may use.
HARMLESS_EXTRA_SPECS = frozenset(['docker:tty', 'docker:init'])
#: Extra specs that only count where the node's configuration lists them.
RISKY_EXTRA_SPECS = frozenset(['docker:capabilities', 'docker:pids_limit'])

_CPU_PERIOD_MICROSECONDS = 100000
_MEBIBYTE = 1024 * 1024


def labels(instance, role):
    """The labels by which what belongs to an instance is found again."""
    return {
        LABEL_INSTANCE: instance.uuid,
        LABEL_CLOUD: CONF.docker.cloud,
        LABEL_ROLE: role,
        LABEL_NAME: instance.name,
    }


def guest_name(instance):
    return 'octo-instance-%s' % instance.uuid


def holder_name(instance):
    """Name of the network holder.

    Guests refer to their holder by name, not id, so that a lost holder can be
    replaced without making the guest anew.
    """
    return 'octo-instance-%s-network' % instance.uuid


def config_drive_name(instance):
    return 'octo-instance-%s-config-drive' % instance.uuid


def image_property(instance, name, default=None):
    """A property of the image from which the instance was made.

    Nova's image object drops properties that it does not know; the system
    metadata of the instance keeps them all.
    """
    return instance.system_metadata.get('image_' + name, default)


def _own_extra_specs(flavor):
    specs = {name: value for name, value in (flavor.extra_specs or {}).items()
             if name.startswith(EXTRA_SPEC_PREFIX)}
    for name in specs:
        if name in HARMLESS_EXTRA_SPECS:
            continue
        if name not in RISKY_EXTRA_SPECS:
            raise exception.InvalidInput(
                reason='the extra spec %s is unknown to this driver' % name)
        if name not in CONF.docker.allowed_extra_specs:
            raise exception.InvalidInput(
                reason='the extra spec %s is not allowed on this node' % name)
    return specs


def _switch(instance, specs, name, default):
    """A yes or no that the flavor, then the image may decide."""
    value = specs.get(EXTRA_SPEC_PREFIX + name)
    if value is None:
        value = image_property(instance, 'docker_' + name)
    if value is None:
        return default
    try:
        return strutils.bool_from_string(value, strict=True)
    except ValueError as error:
        raise exception.InvalidInput(reason=str(error)) from error


def _capabilities(specs):
    capabilities = set(CONF.docker.guest_capabilities)
    for name in specs.get('docker:capabilities', '').split(','):
        name = name.strip().upper().removeprefix('CAP_')
        if name:
            capabilities.add(name)
    if 'ALL' in capabilities:
        raise exception.InvalidInput(
            reason='docker:capabilities must name each capability')
    return sorted(capabilities)


def limits(flavor):
    """The limits of a flavor that can be changed while the guest exists.

    CPU time is given as a quota and not as NanoCpus, which mean the same to
    the kernel, since the engine lets only the quota be changed freely.
    """
    return {
        'Memory': flavor.memory_mb * _MEBIBYTE,
        'MemorySwap': (flavor.memory_mb + (flavor.swap or 0)) * _MEBIBYTE,
        'CpuPeriod': _CPU_PERIOD_MICROSECONDS,
        'CpuQuota': flavor.vcpus * _CPU_PERIOD_MICROSECONDS,
    }


def _pids_limit(specs):
    value = specs.get('docker:pids_limit')
    if value is None:
        return CONF.docker.pids_limit
    try:
        limit = int(value)
    except ValueError as error:
        raise exception.InvalidInput(reason=str(error)) from error
    if limit < 1:
        raise exception.InvalidInput(
            reason='docker:pids_limit must be positive')
    return limit


def _command(instance):
    line = image_property(instance, 'os_command_line')
    if not line:
        return None
    try:
        return shlex.split(line)
    except ValueError as error:
        raise exception.InvalidInput(
            reason='os_command_line: %s' % error) from error


def guest(instance, image, config_drive, quota):
    """The guest container.

    :param image: what the engine says about the image
    :param config_drive: whether the instance has a config drive
    :param quota: whether the engine can limit the size of the root disk
    """
    flavor = instance.flavor
    specs = _own_extra_specs(flavor)
    command = _command(instance)
    configuration_of_image = image.get('Config') or {}
    if not (command or configuration_of_image.get('Cmd')
            or configuration_of_image.get('Entrypoint')):
        raise exception.ImageUnacceptable(
            image_id=instance.image_ref,
            reason='it names no command to run; add one to the image or set '
                   'its property os_command_line')
    host = {
        'NetworkMode': 'container:' + holder_name(instance),
        'PidsLimit': _pids_limit(specs),
        'CapDrop': ['ALL'],
        'CapAdd': _capabilities(specs),
        'SecurityOpt': ['no-new-privileges'],
        'RestartPolicy': {'Name': 'no'},
        'Init': _switch(instance, specs, 'init', True),
        'LogConfig': {'Type': 'json-file', 'Config': {
            'max-size': CONF.docker.console_log_size, 'max-file': '2'}},
        **limits(flavor),
    }
    if quota and flavor.root_gb:
        host['StorageOpt'] = {'size': '%dG' % flavor.root_gb}
    if config_drive:
        host['Mounts'] = [_config_drive_mount(instance, read_only=True)]
    result = {
        'Image': image['Id'],
        'Labels': labels(instance, GUEST),
        'OpenStdin': True,
        'StdinOnce': False,
        'Tty': _switch(instance, specs, 'tty', CONF.docker.tty),
        'Healthcheck': {'Test': ['NONE']},
        'HostConfig': host,
    }
    if command:
        result['Cmd'] = command
    return result


def _config_drive_mount(instance, read_only):
    return {
        'Type': 'volume', 'Source': config_drive_name(instance),
        'Target': CONFIG_DRIVE_PATH, 'ReadOnly': read_only,
        'VolumeOptions': {'NoCopy': True},
    }


def holder(instance, network_info, config_drive):
    """The container that holds the network namespace of an instance.

    A guest takes its host name, its hosts file and its name servers from the
    container whose network it joins, so they are given to the holder.
    """
    host = {
        'NetworkMode': 'none',
        'ReadonlyRootfs': True,
        'CapDrop': ['ALL'],
        'SecurityOpt': ['no-new-privileges'],
        'PidsLimit': 16,
        'Memory': 32 * _MEBIBYTE,
        'MemorySwap': 32 * _MEBIBYTE,
        'RestartPolicy': {'Name': 'no'},
        'LogConfig': {'Type': 'none'},
        'Sysctls': namespace.HOLDER_SYSCTLS,
        'Dns': _name_servers(network_info),
        'ExtraHosts': _own_addresses(instance, network_info),
    }
    if config_drive:
        host['Mounts'] = [_config_drive_mount(instance, read_only=False)]
    return {
        'Image': CONF.docker.holder_image,
        'Entrypoint': [],
        'Cmd': CONF.docker.holder_command,
        'User': '65534:65534',
        'Hostname': instance.hostname or '',
        'StopSignal': 'SIGKILL',
        'Labels': labels(instance, HOLDER),
        'Healthcheck': {'Test': ['NONE']},
        'HostConfig': host,
    }


def config_drive_volume(instance):
    """The volume of a config drive, as arguments of the client."""
    return {'name': config_drive_name(instance),
            'labels': labels(instance, CONFIG_DRIVE)}


def _subnets(network_info):
    for vif in network_info or []:
        yield from vif['network']['subnets']


def _name_servers(network_info):
    servers = []
    for subnet in _subnets(network_info):
        for server in subnet['dns']:
            if server['address'] not in servers:
                servers.append(server['address'])
    return servers


def _own_addresses(instance, network_info):
    for subnet in _subnets(network_info):
        for address in subnet['ips']:
            if instance.hostname:
                return ['%s:%s' % (instance.hostname, address['address'])]
    return []
