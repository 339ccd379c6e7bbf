"""Guests and network holders on the engine."""

import io
import os
import tarfile
import time

import docker.errors
from oslo_log import log as logging

from nova import exception
from nova.virt.docker import engine as engine_module
from nova.virt.docker import specification

LOG = logging.getLogger(__name__)

#: How much of its output a failed guest gets to explain itself.
LAST_OUTPUT_BYTES = 1024

_KILL_TIMEOUT_SECONDS = 30


class Containers:
    """The containers and volumes that carry the labels of one cloud."""

    def __init__(self, engine, cloud):
        self._engine = engine
        self._cloud = cloud
        #: Whether the engine may be able to limit the size of root disks: it
        #: only tells when it is asked to.
        self._may_have_quota = True

    @property
    def _client(self):
        return self._engine.client

    def _filters(self, uuid=None, role=None):
        labels = ['%s=%s' % (specification.LABEL_CLOUD, self._cloud)]
        if uuid:
            labels.append('%s=%s' % (specification.LABEL_INSTANCE, uuid))
        if role:
            labels.append('%s=%s' % (specification.LABEL_ROLE, role))
        return {'label': labels}

    def list(self, uuid=None, role=None):
        """Summaries of the containers of this cloud, running or not."""
        return self._client.containers(
            all=True, filters=self._filters(uuid, role))

    def volumes(self, uuid=None):
        """The volumes of this cloud's instances."""
        return self._client.volumes(
            filters=self._filters(uuid))['Volumes'] or []

    def find(self, uuid, role=specification.GUEST):
        """All the engine knows about a container, or None if there is none."""
        for summary in self.list(uuid, role):
            try:
                return self._client.inspect_container(summary['Id'])
            except docker.errors.NotFound:
                LOG.debug('Container %s vanished', summary['Id'])
        return None

    def guest(self, uuid):
        """The guest of an instance, which has to exist."""
        found = self.find(uuid)
        if found is None:
            raise exception.InstanceNotFound(instance_id=uuid)
        return found

    # Creation

    def _create(self, configuration, name):
        return self._client.create_container_from_config(
            configuration, name=name)['Id']

    def create_volume(self, instance):
        """Make the volume of the instance's config drive."""
        self._client.create_volume(
            **specification.config_drive_volume(instance))

    def create_holder(self, instance, network_info, config_drive):
        """Start the network holder; returns its id and process id."""
        container_id = self._create(
            specification.holder(instance, network_info, config_drive),
            specification.holder_name(instance))
        return container_id, self.start_holder(container_id)

    def start_holder(self, container_id):
        """Start a holder and tell the process id of its namespace's owner."""
        self._client.start(container_id)
        state = self._client.inspect_container(container_id)['State']
        if not state['Running']:
            raise exception.InstanceDeployFailure(
                reason='the network holder ended with code %s: %s'
                       % (state['ExitCode'], state['Error']))
        return state['Pid']

    def create_guest(self, instance, image, config_drive):
        """Make the guest without starting it; returns its id."""
        wanted = specification.guest(
            instance, image, config_drive, quota=self._may_have_quota)
        name = specification.guest_name(instance)
        try:
            return self._create(wanted, name)
        except docker.errors.APIError as error:
            if not ('StorageOpt' in wanted['HostConfig']
                    and 'storage-opt' in str(error.explanation)):
                raise
            # Several first builds may find this out at the same time.
            if self._may_have_quota:
                LOG.warning('The storage driver of the engine cannot limit '
                            'the size of root disks: %s', error.explanation)
            self._may_have_quota = False
        del wanted['HostConfig']['StorageOpt']
        return self._create(wanted, name)

    def put_files(self, container_id, directory, files, mode=0o444):
        """Write files, given as a dictionary of paths and bytes."""
        buffer = io.BytesIO()
        now = time.time()
        with tarfile.open(fileobj=buffer, mode='w') as archive:
            for path, content in sorted(files.items()):
                member = tarfile.TarInfo(os.path.normpath(path).lstrip('/'))
                member.size = len(content)
                member.mode = mode
                member.mtime = now
                archive.addfile(member, io.BytesIO(content))
        self._client.put_archive(container_id, directory, buffer.getvalue())

    # Power

    def start_guest(self, container_id, seconds):
        """Start a guest and watch that its process does not end at once."""
        try:
            self._client.start(container_id)
        except docker.errors.APIError as error:
            raise exception.InstanceDeployFailure(
                reason='the engine cannot start it: %s'
                       % error.explanation) from error
        code = None
        if seconds:
            code = engine_module.wait_for_end(
                self._client, container_id, seconds)
        if code is not None:
            output = self.output(container_id, LAST_OUTPUT_BYTES)
            raise exception.InstanceDeployFailure(
                reason='the process of the image ended at once with code %d; '
                       'its last output: %s'
                       % (code, output.decode('utf-8', 'replace').strip()
                          or '(none)'))

    def stop(self, container, timeout=0, retry_interval=0):
        """Ask a container's process to end, and end it when time is over."""
        container_id = container['Id']
        if not container['State']['Running']:
            return
        if container['State']['Paused']:
            self._client.unpause(container_id)
        signal = container['Config'].get('StopSignal') or 'SIGTERM'
        deadline = time.monotonic() + timeout
        left = timeout
        while left > 0:
            if not self._signal(container_id, signal):
                return
            patience = min(left, retry_interval) if retry_interval else left
            if engine_module.wait_for_end(
                    self._client, container_id, patience) is not None:
                return
            left = deadline - time.monotonic()
        if self._signal(container_id, 'SIGKILL') and (
                engine_module.wait_for_end(
                    self._client, container_id,
                    _KILL_TIMEOUT_SECONDS) is None):
            raise exception.InstancePowerOffFailure(
                reason='container %s does not end' % container_id)

    def _signal(self, container_id, signal):
        """Send a signal; False when the container does not run any more."""
        try:
            self._client.kill(container_id, signal)
        except docker.errors.APIError as error:
            # The engine answers 409 or, before API 1.42, 500 for this.
            if 'is not running' in str(error.explanation):
                return False
            raise
        return True

    def pause(self, container):
        if not container['State']['Paused']:
            self._client.pause(container['Id'])

    def unpause(self, container):
        if container['State']['Paused']:
            self._client.unpause(container['Id'])

    def update_limits(self, container_id, flavor):
        """Give a container the limits of a flavor."""
        limits = specification.limits(flavor)
        self._client.update_container(
            container_id, mem_limit=limits['Memory'],
            memswap_limit=limits['MemorySwap'],
            cpu_period=limits['CpuPeriod'], cpu_quota=limits['CpuQuota'])

    # Removal

    def remove(self, container_id):
        """Remove a container with its anonymous volumes; it may be gone."""
        try:
            self._client.remove_container(container_id, force=True, v=True)
        except docker.errors.NotFound:
            LOG.debug('Container %s is gone already', container_id)
        except docker.errors.APIError as error:
            if 'already in progress' not in str(error.explanation):
                raise
            self._await_removal(container_id)

    def _await_removal(self, container_id):
        try:
            self._client.wait(container_id, condition='removed')
        except docker.errors.NotFound:
            LOG.debug('Container %s is gone now', container_id)

    def remove_all(self, uuid):
        """Remove every container and volume of an instance, guests first."""
        summaries = self.list(uuid)
        summaries.sort(key=lambda summary: summary['Labels'].get(
            specification.LABEL_ROLE) != specification.GUEST)
        for summary in summaries:
            self.remove(summary['Id'])
        for volume in self.volumes(uuid):
            try:
                self._client.remove_volume(volume['Name'])
            except docker.errors.NotFound:
                LOG.debug('Volume %s is gone already', volume['Name'])

    # What it says

    def output(self, container_id, limit):
        """The last bytes of what a container has written."""
        # Each byte of the limit could be a line; the engine's own bound is
        # the rotation of the log.
        written = self._client.logs(
            container_id, stdout=True, stderr=True, tail=limit)
        return written[-limit:]
