"""How instances come to be, get their networks, and go."""

import docker.errors
from oslo_log import log as logging
from oslo_utils import excutils

from nova.compute import power_state
from nova import exception
from nova.virt import configdrive
from nova.virt.docker import config_drive
from nova.virt.docker import configuration
from nova.virt.docker import network as network_module
from nova.virt.docker import specification

CONF = configuration.CONF
LOG = logging.getLogger(__name__)

_GIBIBYTE = 1024 ** 3


class Lifecycle:
    """Builds, connects and removes the containers of instances."""

    def __init__(self, virtapi, containers, network=network_module):
        self._virtapi = virtapi
        self._containers = containers
        self._network = network
        #: Instances that are being built: their containers are no orphans.
        self.in_progress = set()

    # Coming to be

    def spawn(self, context, instance, image, injected_files, admin_password,
              network_info, power_on):
        """Make an instance from an image of the engine, or leave nothing."""
        self._check_root_size(instance, image)
        self.in_progress.add(instance.uuid)
        try:
            drive = self._make_config_drive_volume(instance)
            holder_id, pid = self._containers.create_holder(
                instance, network_info, drive)
            guest_id = self._connect(
                instance, network_info, pid,
                lambda: self._containers.create_guest(instance, image, drive))
            self._fill(context, instance, network_info, admin_password,
                       injected_files, holder_id if drive else None, guest_id)
            if power_on:
                self._containers.start_guest(
                    guest_id, CONF.docker.start_watch)
        except Exception as error:
            with excutils.save_and_reraise_exception():
                LOG.warning('Building failed and is undone: %s', error,
                            instance=instance)
                try:
                    self.destroy(instance, network_info)
                except Exception:
                    LOG.exception('Undoing failed as well; the rest is '
                                  'removed with the instance',
                                  instance=instance)
        finally:
            self.in_progress.discard(instance.uuid)

    def rebuild(self, context, instance, image, injected_files,
                admin_password, network_info):
        """Replace the guest by one of another image, on the same network."""
        self._check_root_size(instance, image)
        drive = self._make_config_drive_volume(instance)
        holder = self._containers.find(
            instance.uuid, specification.HOLDER)
        if holder and drive and not holder['Mounts']:
            # The config drive is new: only a new holder can mount it.
            self.unplug(instance, network_info)
            self._containers.remove(holder['Id'])
            holder = None
        if holder:
            holder_id = holder['Id']
            self.restore_network(instance, network_info, holder)
        else:
            holder_id, pid = self._containers.create_holder(
                instance, network_info, drive)
            self._connect(instance, network_info, pid, lambda: None)
        guest_id = self._containers.create_guest(instance, image, drive)
        self._fill(context, instance, network_info, admin_password,
                   injected_files, holder_id if drive else None, guest_id)
        self._containers.start_guest(guest_id, CONF.docker.start_watch)

    @staticmethod
    def _check_root_size(instance, image):
        allowed = instance.flavor.root_gb * _GIBIBYTE
        if allowed and image['Size'] > allowed:
            raise exception.FlavorDiskSmallerThanImage(
                flavor_size=allowed, image_size=image['Size'])

    def _make_config_drive_volume(self, instance):
        wanted = bool(configdrive.required_by(instance))
        if wanted:
            self._containers.create_volume(instance)
        return wanted

    def _fill(self, context, instance, network_info, admin_password,
              injected_files, holder_id, guest_id):
        """Put the files of Nova where the guest will find them."""
        if holder_id:
            files = config_drive.files(
                instance, network_info, admin_password, injected_files)
            self._containers.put_files(
                holder_id, specification.CONFIG_DRIVE_PATH, files)
        if injected_files:
            self._containers.put_files(guest_id, '/', {
                path: content if isinstance(content, bytes)
                else content.encode() for path, content in injected_files},
                mode=0o644)

    # Networks

    def _connect(self, instance, network_info, pid, meanwhile):
        """Plug all VIFs and wait until Neutron has wired them.

        :param meanwhile: what is done while Neutron works; its result is
            returned
        """
        events = []
        if CONF.vif_plugging_timeout:
            events = [('network-vif-plugged', vif['id'])
                      for vif in network_info or []
                      if vif.get('active', True) is False]
        try:
            with self._virtapi.wait_for_instance_event(
                    instance, events, timeout=CONF.vif_plugging_timeout,
                    error_callback=self._wiring_failed):
                self.plug(instance, network_info, pid)
                result = meanwhile()
        except exception.InstanceEventTimeout:
            LOG.warning('Neutron has not wired %s within %s seconds',
                        [port for _, port in events],
                        CONF.vif_plugging_timeout, instance=instance)
            if CONF.vif_plugging_is_fatal:
                raise exception.VirtualInterfaceCreateException()
        return result

    @staticmethod
    def _wiring_failed(event_name, instance):
        LOG.error('Neutron reports the failure of %s', event_name,
                  instance=instance)
        if CONF.vif_plugging_is_fatal:
            raise exception.VirtualInterfaceCreateException()

    def plug(self, instance, network_info, pid):
        """Connect the namespace of a process to the networks."""
        for vif in network_info or []:
            self._network.plug(instance, vif, pid)

    def unplug(self, instance, network_info):
        """Disconnect an instance, of whose containers none need exist."""
        for vif in network_info or []:
            self._network.unplug(instance, vif)

    def restore_network(self, instance, network_info, holder=None):
        """Make the holder run and plug what is not plugged."""
        self.plug(instance, network_info, self.holder_pid(instance, holder))

    def holder_pid(self, instance, holder=None):
        """The process id of the running holder, which is started if need be."""
        if holder is None:
            holder = self._containers.find(
                instance.uuid, specification.HOLDER)
        if holder is None:
            if self._containers.find(instance.uuid) is None:
                raise exception.InstanceNotFound(instance_id=instance.uuid)
            raise exception.InstancePowerOnFailure(
                reason='its network holder has been removed; rebuild it')
        if holder['State']['Running']:
            return holder['State']['Pid']
        return self._containers.start_holder(holder['Id'])

    def attach(self, instance, vif):
        """Add an interface to an instance."""
        try:
            self.plug(instance, [vif], self.holder_pid(instance))
        except exception.InstanceNotFound:
            raise
        except Exception as error:
            LOG.exception('Attaching port %s failed', vif['id'],
                          instance=instance)
            self.unplug(instance, [vif])
            raise exception.InterfaceAttachFailed(
                instance_uuid=instance.uuid) from error

    def detach(self, instance, vif):
        """Take an interface from an instance."""
        if self._containers.find(
                instance.uuid, specification.HOLDER) is None:
            raise exception.InstanceNotFound(instance_id=instance.uuid)
        try:
            self.unplug(instance, [vif])
        except Exception as error:
            LOG.exception('Detaching port %s failed', vif['id'],
                          instance=instance)
            raise exception.InterfaceDetachFailed(
                instance_uuid=instance.uuid) from error

    # Going

    def destroy(self, instance, network_info, keep_vifs=False):
        """Remove everything of an instance; nothing of it need exist.

        All of it is tried even when a part fails; the first error is raised.
        """
        self.remove_guest(instance)
        try:
            if not keep_vifs:
                self.unplug(instance, network_info)
        finally:
            self._containers.remove_all(instance.uuid)

    def remove_guest(self, instance):
        """Remove the guest and leave its network."""
        for summary in self._containers.list(
                instance.uuid, specification.GUEST):
            self._containers.remove(summary['Id'])

    # Another flavor

    def change_flavor(self, instance, power, power_on):
        """Give the guest the limits of the instance's flavor."""
        guest = self._containers.guest(instance.uuid)
        try:
            self._containers.update_limits(guest['Id'], instance.flavor)
        except docker.errors.APIError as error:
            raise exception.ResizeError(
                reason=error.explanation) from error
        if power_on and power.state(instance) != power_state.RUNNING:
            power.on(instance)

    def check_new_flavor(self, instance, flavor, dest):
        """Raise what Nova rolls back when the guest cannot be resized."""
        guest = self._containers.guest(instance.uuid)
        reason = None
        if dest != CONF.my_ip:
            reason = 'instances cannot leave their node'
        elif flavor.root_gb < instance.flavor.root_gb:
            reason = 'the root disk cannot shrink'
        elif (flavor.root_gb != instance.flavor.root_gb
                and guest['HostConfig'].get('StorageOpt')):
            reason = 'the engine has fixed the size of the root disk'
        elif flavor.ephemeral_gb:
            reason = 'there are no ephemeral disks'
        if reason:
            raise exception.InstanceFaultRollback(
                exception.ResizeError(reason=reason))
