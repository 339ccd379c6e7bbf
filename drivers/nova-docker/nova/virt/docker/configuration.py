"""The options of the Docker driver, group ``[docker]`` of nova.conf."""

from oslo_config import cfg

import nova.conf

CONF = nova.conf.CONF

#: What a guest may do as root inside its own namespaces. Docker's default
#: without MKNOD, SETFCAP and SETPCAP, which no guest needs to run.
GUEST_CAPABILITIES = [
    'AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL',
    'NET_BIND_SERVICE', 'NET_RAW', 'SETGID', 'SETUID', 'SYS_CHROOT',
]

OPTIONS = [
    cfg.StrOpt(
        'url', default='unix:///run/docker.sock',
        help='Where the Docker engine listens.'),
    cfg.StrOpt(
        'cloud', default='default',
        help='Name of the cloud. Containers and volumes of another cloud on '
             'the same engine are never seen and never touched.'),
    cfg.StrOpt(
        'holder_image',
        help='Image of the containers that hold the network namespaces of '
             'the instances. It must contain the holder_command.'),
    cfg.ListOpt(
        'holder_command', default=['sleep', 'infinity'],
        help='What a network holder runs: anything that never ends.'),
    cfg.IntOpt(
        'request_timeout', default=60, min=1,
        help='Seconds that the engine has for an ordinary answer.'),
    cfg.IntOpt(
        'transfer_timeout', default=3600, min=1,
        help='Seconds that the engine may be silent while it loads, commits '
             'or saves an image.'),
    cfg.StrOpt(
        'data_path', default='$state_path',
        help='A directory that nova-compute can see on the file system that '
             'holds the data of the engine. The size of that file system is '
             'the DISK_GB of this node.'),
    cfg.StrOpt(
        'state_directory', default='$state_path/docker',
        help='Where the driver remembers what the engine cannot: which '
             'images it has loaded and which guests are suspended.'),
    cfg.StrOpt(
        'heartbeat_file', default='$state_path/heartbeat',
        help='File touched after each report of resources to Placement, once '
             'Nova takes this service for up. Its age tells whether this '
             'service works.'),
    cfg.StrOpt(
        'image_repository', default='octo/instance-image',
        help='Images from Glance are tagged <image_repository>:<image id>.'),
    cfg.StrOpt(
        'snapshot_repository', default='octo/instance-snapshot',
        help='Images that exist while a snapshot is uploaded are tagged '
             '<snapshot_repository>:<image id>.'),
    cfg.ListOpt(
        'guest_capabilities', default=GUEST_CAPABILITIES,
        help='Linux capabilities of a guest. All others are dropped.'),
    cfg.ListOpt(
        'allowed_extra_specs', default=[],
        help='Extra specs of flavors that lower the isolation of guests and '
             'that this node accepts, for example docker:capabilities. A '
             'flavor that asks for another one cannot be built here.'),
    cfg.IntOpt(
        'pids_limit', default=2048, min=1,
        help='How many processes and threads a guest may have.'),
    cfg.StrOpt(
        'console_log_size', default='1m',
        help='Size at which the console log of a guest is rotated; one older '
             'log is kept.'),
    cfg.BoolOpt(
        'tty', default=True,
        help='Whether guests have a terminal as their console, unless the '
             'image property docker_tty or the extra spec docker:tty says '
             'otherwise.'),
    cfg.FloatOpt(
        'start_watch', default=0.5, min=0.0,
        help='Seconds for which a started guest is watched. A process that '
             'ends within them is a failure of the start.'),
    cfg.IntOpt(
        'orphan_age', default=600, min=0,
        help='Containers of instances that Nova has no record of are removed '
             'once they are older than this many seconds.'),
]

CONF.register_opts(OPTIONS, group='docker')


def list_opts():
    """The options by group, for the configuration generator of oslo."""
    return [('docker', OPTIONS)]
