"""Nova's own tests of a virt driver, over this one on a real engine."""

from nova import exception
from nova import objects
from nova import test
from nova.network import model
from nova.tests.unit import utils
from nova.tests.unit.virt import test_virt_drivers

import world


class GenericTestCase(test_virt_drivers._VirtDriverTestCase, test.TestCase):

    driver_module = 'nova.virt.docker.DockerDriver'

    def setUp(self):
        super().setUp()
        self.world = self.useFixture(world.DriverFlags(self))
        # The base class has made a driver before the options were set.
        from nova.virt.docker import driver
        self.connection = driver.DockerDriver(
            world.VirtApi(), network=world.Network())
        glance = world.Glance()
        glance.add(world.EngineImages.ensure_base(self.world.client),
                   image_id='cedef40a-ed67-4d10-800e-17455edce175')
        self.connection._images._image_api = glance
        self.connection._snapshots._image_api = glance

    def _get_running_instance(self, obj=True):
        # Nova's flavor has an ephemeral disk, which containers do not have.
        flavor = utils.get_test_flavor(options={
            'ephemeral_gb': 0, 'memory_mb': 64, 'flavorid': 'docker',
            'name': 'docker'})
        instance = utils.get_test_instance(flavor=flavor, obj=True)
        network_info = model.NetworkInfo([world.vif()])
        self.connection.spawn(
            self.ctxt, instance, objects.ImageMeta(id=instance.image_ref), [],
            'a password', {}, network_info=network_info)
        return instance, network_info

    def test_get_console_output(self):
        instance, _ = self._get_running_instance()
        # Nova's manager takes bytes, though the generic test wants text.
        self.assertIsInstance(
            self.connection.get_console_output(self.ctxt, instance), bytes)

    def test_migrate_disk_and_power_off(self):
        instance, network_info = self._get_running_instance()
        self.assertEqual('[]', self.connection.migrate_disk_and_power_off(
            self.ctxt, instance, test_virt_drivers.CONF.my_ip,
            instance.flavor, network_info))

    def test_live_migration(self):
        self.assertRaises(NotImplementedError,
                          super().test_live_migration)

    def test_live_migration_force_complete(self):
        self.assertRaises(
            NotImplementedError,
            self.connection.live_migration_force_complete, None)

    def _assert_no_volumes(self, case):
        self.assertRaises(exception.InvalidVolume, case)

    def test_get_volume_connector(self):
        self._assert_no_volumes(super().test_get_volume_connector)

    def test_get_volume_connector_storage_ip(self):
        self._assert_no_volumes(super().test_get_volume_connector_storage_ip)

    def test_attach_detach_volume(self):
        self._assert_no_volumes(super().test_attach_detach_volume)

    def test_swap_volume(self):
        self._assert_no_volumes(super().test_swap_volume)

    def test_attach_detach_different_power_states(self):
        self._assert_no_volumes(
            super().test_attach_detach_different_power_states)
