"""Building, rebuilding and removing instances on a real engine."""

from concurrent import futures
import json
import os
import signal
import time
from unittest import mock

from nova.compute import power_state
from nova import exception
from nova import objects
from nova.network import model
from nova.virt.docker import specification

import world


class SpawnTestCase(world.EngineTestCase):

    def test_running_and_isolated(self):
        instance, network_info = self.spawn()
        guest = self.driver._containers.guest(instance.uuid)
        holder = self.driver._containers.find(
            instance.uuid, specification.HOLDER)
        self.assertEqual(power_state.RUNNING,
                         self.driver.get_info(instance).state)
        self.assertEqual('container:' + holder['Id'],
                         guest['HostConfig']['NetworkMode'])
        self.assertEqual({network_info[0]['id']: holder['State']['Pid']},
                         self.network.plugged)
        self.assertFalse(guest['HostConfig']['Privileged'])
        self.assertEqual(64 << 20, guest['HostConfig']['Memory'])
        self.assertEqual(world.LABELS, set(guest['Config']['Labels']))
        self.assertIn('NoNewPrivs:\t1',
                      self.inside(instance, 'cat', '/proc/self/status'))

    def test_host_name_and_name_servers(self):
        instance, _ = self.spawn()
        self.assertEqual('web\n', self.inside(instance, 'hostname'))
        self.assertIn('nameserver 10.99.0.2',
                      self.inside(instance, 'cat', '/etc/resolv.conf'))
        self.assertIn('10.99.0.5\tweb',
                      self.inside(instance, 'cat', '/etc/hosts'))

    def test_listed(self):
        instance, _ = self.spawn()
        self.assertEqual([instance.uuid], self.driver.list_instance_uuids())
        self.assertEqual([instance.name], self.driver.list_instances())
        self.assertEqual(1, self.driver.get_num_instances())
        self.assertTrue(self.driver.instance_exists(instance))
        self.flags(cloud='another', group='docker')
        other = type(self.driver)(self.virtapi, network=self.network)
        self.assertEqual([], other.list_instance_uuids())

    def test_a_cached_image_is_not_downloaded_again(self):
        self.driver._images.ensure(self.context, self.image_id)
        self.spawn()
        self.assertEqual([self.image_id], self.glance.downloads)

    def test_many_at_the_same_time(self):
        instances = [self.instance() for _ in range(6)]
        with futures.ThreadPoolExecutor(6) as pool:
            network_infos = [found[1] for found in
                             pool.map(self.spawn, instances)]
            self.assertEqual({instance.uuid for instance in instances},
                             set(self.driver.list_instance_uuids()))
            self.assertEqual([self.image_id], self.glance.downloads)
            list(pool.map(self.driver.destroy, [self.context] * 6, instances,
                          network_infos))
        self.assert_nothing_left()

    def test_waits_for_the_ports_that_are_down(self):
        down, up = world.vif(active=False), world.vif(active=True)
        self.spawn(network_info=model.NetworkInfo([down, up]))
        self.assertEqual([[('network-vif-plugged', down['id'])]],
                         self.virtapi.events)

    def test_without_a_timeout_nothing_is_waited_for(self):
        self.flags(vif_plugging_timeout=0)
        self.spawn(network_info=model.NetworkInfo([world.vif(active=False)]))
        self.assertEqual([[]], self.virtapi.events)

    def test_port_that_is_never_wired(self):
        self.virtapi.failure = exception.InstanceEventTimeout()
        down = model.NetworkInfo([world.vif(active=False)])
        self.assertRaises(exception.VirtualInterfaceCreateException,
                          self.spawn, network_info=down)
        self.assert_nothing_left()
        self.flags(vif_plugging_is_fatal=False)
        self.spawn(network_info=down)

    def assert_nothing_left(self):
        self.assertEqual([], self.world.leftovers())
        self.assertEqual({}, self.network.plugged)

    def test_undone_at_every_step(self):
        steps = [(self.driver._containers, name) for name in (
            'create_volume', 'create_holder', 'create_guest', 'put_files',
            'start_guest')] + [(self.network, 'plug')]
        for owner, name in steps:
            with mock.patch.object(
                    owner, name, side_effect=exception.NovaException('no')):
                self.assertRaises(
                    exception.NovaException, self.spawn,
                    config_drive='True')
            self.assert_nothing_left()

    def test_holder_that_does_not_start_is_undone(self):
        self.flags(holder_command=['/nothing'], group='docker')
        self.assertRaises(Exception, self.spawn)
        self.assert_nothing_left()

    def test_process_that_ends_at_once(self):
        for command, code in (('sh -c "echo my last words; exit 3"', 3),
                              ('sh -c "echo my last words"', 0)):
            error = self.assertRaises(
                exception.BuildAbortException, self.spawn,
                properties={'os_command_line': command})
            self.assertIn('ended at once with code %d' % code, str(error))
            self.assertIn('my last words', str(error))
            self.assert_nothing_left()

    def test_command_that_does_not_exist(self):
        error = self.assertRaises(
            exception.BuildAbortException, self.spawn,
            properties={'os_command_line': '/no/such/program',
                        'docker_init': 'false'})
        self.assertIn('/no/such/program', str(error))
        self.assert_nothing_left()

    def test_image_larger_than_the_root_disk(self):
        with mock.patch.object(
                self.driver._images, 'ensure',
                return_value={'Id': 'x', 'Size': 2 << 30}):
            self.assertRaises(exception.FlavorDiskSmallerThanImage,
                              self.spawn)
        self.assert_nothing_left()

    def test_no_ephemeral_disks_and_no_volumes(self):
        self.assertRaises(exception.InvalidInput, self.spawn,
                          flavor={'ephemeral_gb': 1})
        self.assertRaises(
            exception.InvalidInput, self.driver.spawn, self.context,
            self.instance(), objects.ImageMeta(id=self.image_id), [], None,
            {}, block_device_info={'block_device_mapping': [{}]})
        self.assert_nothing_left()

    def test_config_drive(self):
        instance, network_info = self.spawn(config_drive='True')
        self.config_drive.assert_called_once_with(
            instance, network_info, None, [])
        path = '/config-drive/openstack/latest/meta_data.json'
        self.assertEqual({'a': 1}, json.loads(
            self.inside(instance, 'cat', path)))
        self.assertIn('Read-only', self.inside(
            instance, 'sh', '-c', 'echo x > %s' % path))
        self.driver.destroy(self.context, instance, network_info)
        self.assert_nothing_left()

    def test_injected_files(self):
        instance = self.instance()
        self.driver.spawn(
            self.context, instance, objects.ImageMeta(id=self.image_id),
            [('/etc/motd', b'hello')], None, {}, network_info=[])
        self.assertEqual('hello', self.inside(instance, 'cat', '/etc/motd'))

    def test_powered_off(self):
        instance = self.instance()
        self.driver.spawn(
            self.context, instance, objects.ImageMeta(id=self.image_id),
            [], None, {}, network_info=[], power_on=False)
        self.assertEqual(power_state.SHUTDOWN,
                         self.driver.get_info(instance).state)


class DestroyTestCase(world.EngineTestCase):

    def test_everything_goes(self):
        instance, network_info = self.spawn(config_drive='True')
        self.driver.suspend(self.context, instance)
        self.driver.destroy(self.context, instance, network_info)
        self.assertEqual([], self.world.leftovers())
        self.assertEqual({}, self.network.plugged)
        self.assertRaises(exception.InstanceNotFound, self.driver.get_info,
                          instance)
        self.driver.destroy(self.context, instance, network_info)

    def test_containers_go_even_if_a_port_cannot(self):
        instance, network_info = self.spawn()
        with mock.patch.object(
                self.network, 'unplug', side_effect=exception.
                VirtualInterfaceUnplugException(reason='no')):
            self.assertRaises(
                exception.VirtualInterfaceUnplugException,
                self.driver.destroy, self.context, instance, network_info)
        self.assertEqual([], self.world.leftovers())


class RebuildTestCase(world.EngineTestCase):

    def rebuild(self, instance, network_info, **changes):
        with mock.patch.object(instance, 'save'):
            self.driver.rebuild(**{
                'context': self.context, 'instance': instance,
                'image_meta': objects.ImageMeta(id=instance.image_ref),
                'injected_files': [], 'admin_password': None,
                'allocations': {}, 'bdms': [],
                'detach_block_devices': mock.Mock(),
                'attach_block_devices': mock.Mock(),
                'network_info': network_info, **changes})

    def test_new_file_system_on_the_same_network(self):
        self.flags(shutdown_timeout=1)
        instance, network_info = self.spawn()
        self.inside(instance, 'touch', '/made-by-guest')
        plugged = dict(self.network.plugged)
        instance.image_ref = self.glance.add(
            self.glance.images[self.image_id]['data'])
        self.rebuild(instance, network_info)
        self.assertEqual(plugged, self.network.plugged)
        self.assertNotIn('made-by-guest', self.inside(instance, 'ls', '/'))
        self.assertIn(instance.image_ref, self.glance.downloads)

    def test_wrong_image_leaves_the_old_guest(self):
        instance, network_info = self.spawn()
        instance.image_ref = self.glance.add(b'nothing' * 1000)
        self.assertRaises(exception.ImageUnacceptable, self.rebuild, instance,
                          network_info)
        self.assertEqual(power_state.RUNNING,
                         self.driver.get_info(instance).state)

    def test_heals_a_lost_network(self):
        instance, network_info = self.spawn()
        self.flags(shutdown_timeout=1)
        holder = self.driver._containers.find(
            instance.uuid, specification.HOLDER)
        self.world.client.remove_container(holder['Id'], force=True)
        self.assertRaisesRegex(
            exception.InstancePowerOnFailure, 'rebuild it',
            self.driver.power_on, self.context, instance, network_info)
        self.rebuild(instance, network_info)
        self.assertEqual('web\n', self.inside(instance, 'hostname'))

    def test_no_ephemeral_disk_to_keep(self):
        self.assertRaises(
            exception.PreserveEphemeralNotSupported, self.rebuild,
            self.instance(), [], preserve_ephemeral=True)


class LeftoversTestCase(world.EngineTestCase):

    def setUp(self):
        super().setUp()
        self.flags(orphan_age=0, group='docker')

    def test_kept_while_nova_knows_the_instance(self):
        instance = self.instance()
        record = objects.Instance(
            self.context, uuid=instance.uuid, host='here', project_id='p',
            user_id='u', flavor=instance.flavor)
        record.create()
        self.spawn(instance)
        self.driver.init_host('here')
        self.driver.get_available_resource('here')
        self.assertEqual([instance.uuid], self.driver.list_instance_uuids())
        self.assertEqual(set(), self.network.gone_instances)
        record.destroy()
        # Tried again when the switch did not answer: then the containers are gone already.
        with mock.patch.object(self.network, 'remove_leftovers',
                               side_effect=exception.NovaException('no')):
            self.driver.get_available_resource('here')
        self.assertEqual([], self.world.leftovers())
        self.driver.get_available_resource('here')
        self.assertEqual({instance.uuid}, self.network.gone_instances)

    def test_instance_on_its_way_is_left_alone(self):
        instance = self.instance()
        objects.Instance(
            self.context, uuid=instance.uuid, host='another', project_id='p',
            user_id='u', flavor=instance.flavor).create()
        self.spawn(instance)
        self.driver.init_host('here')
        self.assertEqual([instance.uuid], self.driver.list_instance_uuids())

    def test_unknown_ones_are_removed_when_old(self):
        self.flags(orphan_age=1000, group='docker')
        instance, _ = self.spawn(config_drive='True')
        self.driver.init_host('here')
        self.assertEqual([instance.uuid], self.driver.list_instance_uuids())
        self.flags(orphan_age=0, group='docker')
        self.driver.init_host('here')
        self.assertEqual([], self.world.leftovers())
        self.assertEqual(set(), self.network.known_ports)

    def test_builds_in_progress_are_left_alone(self):
        instance, _ = self.spawn()
        self.driver._lifecycle.in_progress.add(instance.uuid)
        self.driver.init_host('here')
        self.assertEqual([instance.uuid], self.driver.list_instance_uuids())

    def test_killed_within_a_build(self):
        child = os.fork()
        if not child:
            driver = type(self.driver)(self.virtapi, network=self.network)
            driver._images = self.driver._images
            self.network.plug = lambda *_: signal.pause()
            try:
                self.spawn(driver=driver, config_drive='True')
            finally:
                os._exit(1)
        deadline = time.monotonic() + 30
        while not any(found['State'] == 'running'
                      for found in self.driver._containers.list()):
            self.assertLess(time.monotonic(), deadline)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        self.assertEqual(2, len(self.world.leftovers()))
        self.assertEqual([], self.driver.list_instance_uuids())
        self.driver.init_host('here')
        self.assertEqual([], self.world.leftovers())

    def test_other_clouds_are_never_touched(self):
        self.spawn()
        cloud = self.world.cloud
        self.flags(cloud='another', group='docker')
        other = type(self.driver)(self.virtapi, network=self.network)
        other.init_host('here')
        self.flags(cloud=cloud, group='docker')
        self.assertEqual(2, len(self.world.leftovers()))

    def test_failure_stops_neither_start_nor_report(self):
        with mock.patch.object(self.network, 'remove_leftovers',
                               side_effect=exception.NovaException('no')):
            self.driver.init_host('here')
            self.assertEqual('docker', self.driver.get_available_resource(
                'here')['hypervisor_type'])
        self.assertIsNone(self.network.known_ports)
        self.driver.get_available_resource('here')
        self.assertEqual(set(), self.network.known_ports)
