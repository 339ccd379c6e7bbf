"""What the tests share: a real engine, and stand-ins for Glance and Neutron."""

import contextlib
import hashlib
import io
import os
import shutil
import tarfile
import uuid

import docker
import fixtures
from oslo_utils import uuidutils

import nova.conf
from nova import context
from nova import objects
from nova import test
from nova.network import model
from nova.virt import fake
from nova.virt.docker import driver as driver_module

CONF = nova.conf.CONF

#: The commands of busybox that the guests of the tests use.
_COMMANDS = ('sh', 'sleep', 'cat', 'echo', 'ls', 'hostname', 'grep', 'touch')

#: Stands for the program of the same name, which busybox may lack: it keeps
#: what it was told.
_CHPASSWD = b"""#!/bin/sh
cat > /etc/told
"""

#: Everything that this run makes on the engine begins with this.
PREFIX = 'nova-docker-test-%d' % os.getpid()
IMAGE = PREFIX + ':1'
LABELS = frozenset(['octo.instance', 'octo.instance.cloud',
                    'octo.instance.role', 'octo.instance.name'])


def busybox_archive():
    """A root file system with nothing but a static busybox."""
    path = os.environ.get('BUSYBOX') or shutil.which('busybox')
    if not path:
        raise RuntimeError('BUSYBOX has to name a static busybox')
    with open(path, 'rb') as file:
        program = file.read()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w') as archive:
        def add(name, content, mode=0o644):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = mode
            archive.addfile(member, io.BytesIO(content))

        add('bin/busybox', program, 0o755)
        for command in _COMMANDS:
            member = tarfile.TarInfo('bin/' + command)
            member.type = tarfile.SYMTYPE
            member.linkname = 'busybox'
            archive.addfile(member)
        add('bin/chpasswd', _CHPASSWD, 0o755)
        add('etc/passwd', b'root:x:0:0:root:/root:/bin/sh\n'
                          b'admin:x:1:1:admin:/:/bin/sh\n')
        add('etc/group', b'root:x:0:\n')
    return buffer.getvalue()


def saved(client, name):
    """The bytes of an image as the engine saves them."""
    return b''.join(client.get_image(name))


class EngineImages:
    """The images that the tests of one run use, made once."""

    _archives = {}

    @classmethod
    def ensure_base(cls, client):
        if IMAGE not in cls._archives:
            client.import_image_from_data(
                busybox_archive(), repository=PREFIX, tag='1',
                changes=['CMD ["/bin/sleep", "1000"]'])
            cls._archives[IMAGE] = saved(client, IMAGE)
        return cls._archives[IMAGE]

    @classmethod
    def remove(cls):
        client = docker.APIClient(version='auto')
        for tag in cls._archives:
            with contextlib.suppress(docker.errors.ImageNotFound):
                client.remove_image(tag, force=True)
        cls._archives.clear()
        client.close()


class Glance:
    """Images in memory, behind the methods of ``nova.image.glance.API``."""

    def __init__(self):
        self.images = {}
        self.downloads = []
        self.updates = {}

    def add(self, data, image_id=None, **changes):
        image_id = image_id or str(uuid.uuid4())
        self.images[image_id] = {
            'id': image_id, 'status': 'active', 'name': 'a name',
            'container_format': 'docker', 'disk_format': 'raw',
            'os_hash_algo': 'sha512',
            'os_hash_value': hashlib.sha512(data).hexdigest(),
            'properties': {}, 'data': data, **changes}
        return image_id

    def get(self, _context, image_id):
        return self.images[image_id]

    def download(self, _context, image_id, data=None):
        self.downloads.append(image_id)
        content = self.images[image_id]['data']
        if data is not None:
            data.write(content)
            return None
        return (content[start:start + 65536]
                for start in range(0, len(content), 65536))

    def update(self, _context, image_id, metadata, data=None,
               purge_props=True):
        pieces = []
        while piece := data.read(65536):
            pieces.append(piece)
        self.updates[image_id] = dict(metadata, data=b''.join(pieces))


class Network:
    """Remembers what is plugged into which process."""

    def __init__(self):
        self.plugged = {}
        self.initialized = False
        self.known_ports = None
        self.gone_instances = None
        self.failure = None

    def initialize(self):
        self.initialized = True

    def plug(self, instance, vif, pid):
        if self.failure:
            raise self.failure
        if not os.path.exists('/proc/%d/ns/net' % pid):
            raise AssertionError('process %d does not exist' % pid)
        self.plugged[vif['id']] = pid

    def unplug(self, instance, vif):
        self.plugged.pop(vif['id'], None)

    def remove_leftovers(self, known_port_ids, gone_instances):
        self.known_ports = known_port_ids
        self.gone_instances = set(gone_instances)


def vif(active=True, address='10.99.0.5'):
    subnet = model.Subnet(
        cidr='10.99.0.0/24', dns=[model.IP('10.99.0.2')],
        gateway=model.IP('10.99.0.1'), ips=[model.FixedIP(address=address)])
    return model.VIF(
        id=str(uuid.uuid4()), address='fa:16:3e:00:00:01',
        type=model.VIF_TYPE_OVS, active=active,
        network=model.Network(id=str(uuid.uuid4()), bridge='br-int',
                              label='net', subnets=[subnet], mtu=1442))


class VirtApi(fake.FakeVirtAPI):
    """Records the events that the driver waits for."""

    def __init__(self):
        self.events = []
        self.failure = None

    @contextlib.contextmanager
    def wait_for_instance_event(self, instance, event_names, timeout=300,
                                error_callback=None):
        self.events.append(list(event_names))
        yield
        if self.failure and event_names:
            raise self.failure


class DriverFlags(fixtures.Fixture):
    """Options that keep a driver of a test to itself."""

    def __init__(self, case):
        self._case = case

    def _setUp(self):
        directory = self.useFixture(fixtures.TempDir()).path
        self.cloud = '%s-%s' % (PREFIX, uuid.uuid4().hex[:8])
        self._case.flags(state_path=directory, my_ip='127.0.0.1')
        self._case.flags(
            url=docker_url(), cloud=self.cloud, holder_image=IMAGE,
            holder_command=['/bin/sleep', '100000'], start_watch=0.3,
            image_repository=self.cloud + '/image',
            snapshot_repository=self.cloud + '/snapshot', group='docker')
        self.client = docker.APIClient(base_url=docker_url(), version='auto')
        self.addCleanup(self.client.close)
        EngineImages.ensure_base(self.client)
        self.addCleanup(self._remove_everything)

    def leftovers(self):
        """Names of the containers and volumes of this test's cloud."""
        wanted = {'label': 'octo.instance.cloud=' + self.cloud}
        return [found['Id'] for found in self.client.containers(
                    all=True, filters=wanted)] + [
                found['Name'] for found in
                self.client.volumes(filters=wanted)['Volumes'] or []]

    def images(self):
        """Tags of the images of this test's cloud."""
        return [tag for image in self.client.images()
                for tag in image['RepoTags'] or []
                if tag.startswith(self.cloud)]

    def _remove_everything(self):
        wanted = {'label': 'octo.instance.cloud=' + self.cloud}
        for found in self.client.containers(all=True, filters=wanted):
            self.client.remove_container(found['Id'], force=True, v=True)
        for found in self.client.volumes(filters=wanted)['Volumes'] or []:
            self.client.remove_volume(found['Name'])
        for tag in self.images():
            self.client.remove_image(tag, force=True)


def docker_url():
    return os.environ.get('DOCKER_HOST', 'unix:///run/docker.sock')


class EngineTestCase(test.TestCase):
    """A driver on the real engine, with the network and Glance stood in for."""

    def setUp(self):
        super().setUp()
        self.world = self.useFixture(DriverFlags(self))
        self.context = context.get_admin_context()
        # What it is made of comes from the database; it has its own tests.
        self.config_drive = self.useFixture(fixtures.MockPatch(
            'nova.virt.docker.config_drive.files', return_value={
                'openstack/latest/meta_data.json': b'{"a": 1}'})).mock
        self.network = Network()
        self.virtapi = VirtApi()
        self.driver = driver_module.DockerDriver(
            self.virtapi, network=self.network)
        self.glance = Glance()
        self.driver._images._image_api = self.glance
        self.driver._snapshots._image_api = self.glance
        self.image_id = self.glance.add(
            EngineImages.ensure_base(self.world.client))

    def instance(self, image_id=None, flavor=None, properties=None,
                 **changes):
        values = {'memory_mb': 64, 'vcpus': 1, 'root_gb': 1,
                  'ephemeral_gb': 0, 'swap': 0, 'extra_specs': {},
                  'name': 'small', 'flavorid': '1', **(flavor or {})}
        result = objects.Instance(
            self.context, id=1, uuid=uuidutils.generate_uuid(),
            hostname='web', display_name='web', config_drive='',
            image_ref=image_id or self.image_id, host='here', node='here',
            project_id='project', user_id='user', task_state=None,
            launched_at=None, metadata={},
            system_metadata={'image_' + name: value for name, value in
                             (properties or {}).items()},
            flavor=objects.Flavor(**values))
        for name, value in changes.items():
            setattr(result, name, value)
        return result

    def spawn(self, instance=None, network_info=None, driver=None, **changes):
        instance = instance or self.instance(**changes)
        if network_info is None:
            network_info = model.NetworkInfo([vif()])
        (driver or self.driver).spawn(
            self.context, instance,
            objects.ImageMeta(id=instance.image_ref),
            [], None, {}, network_info=network_info)
        return instance, network_info

    def inside(self, instance, *command):
        """What a command prints in the guest."""
        guest = self.driver._containers.guest(instance.uuid)
        client = self.world.client
        # A busy engine may lose all that a quick command prints.
        for _ in range(5):
            command_id = client.exec_create(guest['Id'], list(command))['Id']
            output = client.exec_start(command_id).decode()
            if output or client.exec_inspect(command_id)['ExitCode'] != 0:
                break
        return output
