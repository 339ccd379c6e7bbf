"""Nova's interface to instances that are containers."""

import threading

from oslo_log import log as logging
from oslo_utils import fileutils

from nova.compute import power_state
from nova.compute import task_states
from nova.compute import utils as compute_utils
from nova.console import type as console_type
from nova import exception
from nova import policy
from nova.virt import driver
from nova.virt import hardware
from nova.virt.docker import configuration
from nova.virt.docker import console
from nova.virt.docker import container
from nova.virt.docker import engine
from nova.virt.docker import guest_access
from nova.virt.docker import heartbeat
from nova.virt.docker import image
from nova.virt.docker import inventory
from nova.virt.docker import leftovers
from nova.virt.docker import lifecycle
from nova.virt.docker import network as network_module
from nova.virt.docker import power
from nova.virt.docker import snapshot
from nova.virt.docker import specification

CONF = configuration.CONF
LOG = logging.getLogger(__name__)

#: What Nova keeps of a console log elsewhere too.
_CONSOLE_BYTES = 100 * 1024
_NO_VOLUMES = 'instances of the Docker driver cannot use volumes'


class DockerDriver(driver.ComputeDriver):
    """Runs each instance as a container, on networks of Neutron."""

    capabilities = dict(
        driver.ComputeDriver.capabilities,
        has_imagecache=True,
        supports_attach_interface=True,
        supports_image_type_raw=True,
    )

    def __init__(self, virtapi, read_only=False, network=network_module):
        super().__init__(virtapi)
        cloud = CONF.docker.cloud
        self._host = None
        self._network = network
        self._engine = engine.Engine()
        self._containers = container.Containers(self._engine, cloud)
        self._power = power.Power(self._containers)
        self._images = image.ImageCache(self._engine)
        self._snapshots = snapshot.Snapshots(self._engine, cloud)
        self._inventory = inventory.Inventory(self._engine)
        self._lifecycle = lifecycle.Lifecycle(
            virtapi, self._containers, network)
        self._heartbeat = heartbeat.Heartbeat()
        self._leftovers = None
        self._consoles = None
        self._consoles_lock = threading.Lock()

    # The node

    def init_host(self, host):
        self._heartbeat.forget()
        # Nova makes its policies with the first request that asks for one: if several threads are the
        # first, those find policies that are not registered yet. Without a file nothing is configured.
        if getattr(CONF, 'config_file', None):
            policy.init()
        # Nova's image cache notes there which hosts share the directory.
        fileutils.ensure_tree(CONF.instances_path)
        self._engine.ensure_reachable()
        self._engine.ensure_image(CONF.docker.holder_image)
        self._network.initialize()
        self._host = host
        self._snapshots.remove_leftovers()
        self._leftovers = leftovers.Leftovers(
            host, self._containers, self._lifecycle, self._network)
        self._remove_leftovers()

    def _remove_leftovers(self):
        try:
            self._leftovers.remove()
        except Exception:
            # A node with a port that resists is better than none.
            LOG.exception('Leftovers could not be removed; this is tried '
                          'again at the next report of resources')

    def get_available_nodes(self, refresh=False):
        return [self._host or CONF.host]

    def get_available_resource(self, nodename):
        # The one call that Nova makes every minute.
        if self._leftovers:
            self._remove_leftovers()
        return self._inventory.resources(nodename)

    def update_provider_tree(self, provider_tree, nodename, allocations=None):
        ratios = self._get_allocation_ratios(
            provider_tree.data(nodename).inventory)
        provider_tree.update_inventory(nodename, self._inventory.placement(
            self._inventory.resources(nodename), ratios,
            self._get_reserved_host_disk_gb_from_config()))
        self._heartbeat.beat(self._host or CONF.host)

    def get_host_ip_addr(self):
        return CONF.my_ip

    def get_host_uptime(self):
        return inventory.uptime()

    # What there is

    def _guests(self):
        return self._containers.list(role=specification.GUEST)

    def list_instances(self):
        return [summary['Labels'][specification.LABEL_NAME]
                for summary in self._guests()]

    def list_instance_uuids(self):
        return [summary['Labels'][specification.LABEL_INSTANCE]
                for summary in self._guests()]

    def instance_exists(self, instance):
        return bool(self._containers.list(
            instance.uuid, specification.GUEST))

    def get_info(self, instance, use_cache=True):
        return hardware.InstanceInfo(self._power.state(instance))

    # Coming and going

    def spawn(self, context, instance, image_meta, injected_files,
              admin_password, allocations, network_info=None,
              block_device_info=None, power_on=True, accel_info=None):
        self._refuse_disks(instance, block_device_info)
        loaded = self._load(context, instance, image_meta)
        try:
            self._lifecycle.spawn(
                context, instance, loaded, injected_files, admin_password,
                network_info, power_on)
        except exception.InstanceDeployFailure as error:
            # Another node would fail as well, and hide the reason.
            raise exception.BuildAbortException(
                instance_uuid=instance.uuid,
                reason=error.format_message()) from error

    def _load(self, context, instance, image_meta):
        # A shelved instance comes back from another image than its own.
        image_id = (image_meta.id if image_meta.obj_attr_is_set('id')
                    else instance.image_ref)
        return self._images.ensure(context, image_id)

    @staticmethod
    def _refuse_disks(instance, block_device_info):
        if driver.block_device_info_get_mapping(block_device_info):
            raise exception.InvalidInput(reason=_NO_VOLUMES)
        if instance.flavor.ephemeral_gb:
            raise exception.InvalidInput(
                reason='instances of the Docker driver have no ephemeral '
                       'disks')

    def destroy(self, context, instance, network_info, block_device_info=None,
                destroy_disks=True, destroy_secrets=True):
        if instance.task_state == task_states.RESIZE_REVERTING:
            # Nova destroys the resized instance before it restores the old
            # one; here they are one container on one node.
            self._power.off(instance, timeout=0, retry_interval=0)
            return
        self._close_console(instance)
        self.cleanup(context, instance, network_info, block_device_info,
                     destroy_disks)

    def cleanup(self, context, instance, network_info, block_device_info=None,
                destroy_disks=True, migrate_data=None, destroy_vifs=True,
                destroy_secrets=True):
        self._power.suspensions.discard(instance.uuid)
        self._lifecycle.destroy(
            instance, network_info, keep_vifs=not destroy_vifs)

    def rebuild(self, context, instance, image_meta, injected_files,
                admin_password, allocations, bdms, detach_block_devices,
                attach_block_devices, network_info=None, evacuate=False,
                block_device_info=None, preserve_ephemeral=False,
                accel_uuids=None, reimage_boot_volume=False):
        if preserve_ephemeral:
            raise exception.PreserveEphemeralNotSupported()
        if evacuate:
            raise NotImplementedError()
        self._refuse_disks(instance, block_device_info)
        # Whatever is wrong with the image is found while the old guest lives.
        loaded = self._load(context, instance, image_meta)
        self._close_console(instance)
        if self.instance_exists(instance):
            self._shut_down(instance)
        self._lifecycle.remove_guest(instance)
        instance.task_state = task_states.REBUILD_BLOCK_DEVICE_MAPPING
        instance.save(expected_task_state=[task_states.REBUILDING])
        instance.task_state = task_states.REBUILD_SPAWNING
        instance.save(
            expected_task_state=[task_states.REBUILD_BLOCK_DEVICE_MAPPING])
        self._lifecycle.rebuild(
            context, instance, loaded, injected_files, admin_password,
            network_info)

    # Power

    def power_off(self, instance, timeout=0, retry_interval=0):
        self._power.off(instance, timeout, retry_interval)

    def _shut_down(self, instance):
        """Give the guest the time that it would have if Nova stopped it."""
        self._power.off(
            instance,
            compute_utils.get_value_from_system_metadata(
                instance, key='image_os_shutdown_timeout', type=int,
                default=CONF.shutdown_timeout),
            CONF.compute.shutdown_retry_interval)

    def power_on(self, context, instance, network_info,
                 block_device_info=None, accel_info=None, share_info=None):
        self._lifecycle.restore_network(instance, network_info)
        try:
            self._power.on(instance)
        except exception.InstanceDeployFailure as error:
            raise exception.InstancePowerOnFailure(
                reason=error.kwargs['reason']) from error

    def reboot(self, context, instance, network_info, reboot_type,
               block_device_info=None, bad_volumes_callback=None,
               accel_info=None, share_info=None):
        if reboot_type == 'SOFT':
            self._shut_down(instance)
        else:
            self._power.off(instance, timeout=0, retry_interval=0)
        try:
            self.power_on(context, instance, network_info)
        except exception.InstancePowerOnFailure as error:
            raise exception.InstanceRebootFailure(
                reason=error.kwargs['reason']) from error

    def pause(self, instance):
        self._power.pause(instance)

    def unpause(self, instance):
        self._power.unpause(instance)

    def suspend(self, context, instance):
        self._power.suspend(instance)

    def resume(self, context, instance, network_info, block_device_info=None,
               share_info=None):
        self.power_on(context, instance, network_info)

    def resume_state_on_host_boot(self, context, instance, network_info,
                                  share_info, block_device_info=None):
        self.power_on(context, instance, network_info)

    # Networks

    def plug_vifs(self, instance, network_info):
        try:
            self._lifecycle.restore_network(instance, network_info)
        except exception.InstanceNotFound:
            LOG.warning('There is nothing to plug interfaces into',
                        instance=instance)

    def unplug_vifs(self, instance, network_info):
        self._lifecycle.unplug(instance, network_info)

    def attach_interface(self, context, instance, image_meta, vif):
        self._lifecycle.attach(instance, vif)

    def detach_interface(self, context, instance, vif):
        self._lifecycle.detach(instance, vif)

    # Another flavor, on this node

    def migrate_disk_and_power_off(self, context, instance, dest, flavor,
                                   network_info, block_device_info=None,
                                   timeout=0, retry_interval=0):
        self._lifecycle.check_new_flavor(instance, flavor, dest)
        self._power.off(instance, timeout, retry_interval)
        return '[]'

    def finish_migration(self, context, migration, instance, disk_info,
                         network_info, image_meta, resize_instance,
                         allocations, block_device_info=None, power_on=True):
        self._lifecycle.restore_network(instance, network_info)
        self._lifecycle.change_flavor(instance, self._power, power_on)

    def finish_revert_migration(self, context, instance, network_info,
                                migration, block_device_info=None,
                                power_on=True):
        self._lifecycle.restore_network(instance, network_info)
        self._lifecycle.change_flavor(instance, self._power, power_on)

    def confirm_migration(self, context, migration, instance, network_info):
        # There is one container, and it has the new limits already.
        LOG.debug('Resize confirmed', instance=instance)

    # Images

    def snapshot(self, context, instance, image_id, update_task_state):
        found = self._containers.find(instance.uuid)
        if found is None:
            raise exception.InstanceNotRunning(instance_id=instance.uuid)
        self._snapshots.take(
            context, instance, found['Id'], image_id, update_task_state)

    def cache_image(self, context, image_id):
        return self._images.fetch(context, image_id)

    def manage_image_cache(self, context, all_instances):
        self._images.unused({
            instance.image_ref for instance in all_instances
            if instance.host == self._host})

    # Inside the guest

    def get_console_output(self, context, instance):
        return self._containers.output(
            self._containers.guest(instance.uuid)['Id'], _CONSOLE_BYTES)

    def get_serial_console(self, context, instance):
        if not CONF.serial_console.enabled:
            raise exception.ConsoleTypeUnavailable(console_type='serial')
        guest = self._containers.guest(instance.uuid)
        if not guest['State']['Running']:
            raise exception.InstanceNotReady(instance_id=instance.uuid)
        with self._consoles_lock:
            if self._consoles is None:
                self._consoles = console.SerialConsoles(self._engine.client)
        host, port = self._consoles.open(guest['Id'])
        return console_type.ConsoleSerial(host=host, port=port)

    def _close_console(self, instance):
        if self._consoles is None:
            return
        for summary in self._containers.list(
                instance.uuid, specification.GUEST):
            self._consoles.close(summary['Id'])

    def set_admin_password(self, instance, new_pass):
        guest_access.set_password(
            self._engine.client, instance,
            self._containers.guest(instance.uuid)['Id'], new_pass)

    def get_diagnostics(self, instance):
        return guest_access.diagnostics_dictionary(
            self._engine.client, self._containers.guest(instance.uuid)['Id'])

    def get_instance_diagnostics(self, instance):
        guest = self._containers.guest(instance.uuid)
        return guest_access.diagnostics(
            self._engine.client, guest, instance,
            power_state.STATE_MAP[self._power.state(instance)])

    # Volumes: there are none, and whoever asks is told so

    def attach_volume(self, context, connection_info, instance, mountpoint,
                      disk_bus=None, device_type=None, encryption=None):
        raise exception.InvalidVolume(reason=_NO_VOLUMES)

    def detach_volume(self, context, connection_info, instance, mountpoint,
                      encryption=None):
        raise exception.InvalidVolume(reason=_NO_VOLUMES)

    def get_volume_connector(self, instance):
        raise exception.InvalidVolume(reason=_NO_VOLUMES)
