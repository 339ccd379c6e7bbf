"""Power states, resizes, networks and access of guests on a real engine."""

import os
import time

from nova.compute import power_state
from nova.compute import provider_tree
from nova.compute import task_states
from nova import exception
from nova import objects
from nova.virt.docker import power

import world

#: Ends when it is asked to, and says so.
POLITE = ('sh -c "trap \'echo bye; exit 0\' TERM; '
          'while true; do sleep 0.1; done"')
#: Never ends when it is asked to.
STUBBORN = 'sh -c "trap \'echo no\' TERM; while true; do sleep 0.1; done"'


class PowerTestCase(world.EngineTestCase):

    def assert_state(self, instance, state):
        self.assertEqual(state, self.driver.get_info(instance).state)

    def test_off_and_on(self):
        instance, network_info = self.spawn()
        plugged = dict(self.network.plugged)
        self.driver.power_off(instance)
        self.assert_state(instance, power_state.SHUTDOWN)
        self.driver.power_off(instance)
        self.driver.power_on(self.context, instance, network_info)
        self.assert_state(instance, power_state.RUNNING)
        self.assertEqual(plugged, self.network.plugged)

    def test_asked_before_killed(self):
        instance, _ = self.spawn(properties={'os_command_line': POLITE})
        started = time.monotonic()
        self.driver.power_off(instance, timeout=20, retry_interval=5)
        self.assertLess(time.monotonic() - started, 15)
        self.assertIn(b'bye', self.driver.get_console_output(
            self.context, instance))
        self.assert_state(instance, power_state.SHUTDOWN)

    def test_asked_again_then_killed(self):
        instance, _ = self.spawn(properties={'os_command_line': STUBBORN})
        self.driver.power_off(instance, timeout=3, retry_interval=1)
        said = self.driver.get_console_output(self.context, instance)
        self.assertGreaterEqual(said.count(b'no'), 2)
        self.assert_state(instance, power_state.SHUTDOWN)

    def test_paused_guest_can_be_stopped(self):
        instance, _ = self.spawn()
        self.driver.pause(instance)
        self.driver.power_off(instance, timeout=1, retry_interval=1)
        self.assert_state(instance, power_state.SHUTDOWN)

    def test_reboot(self):
        instance, network_info = self.spawn(
            properties={'os_command_line': POLITE})
        for kind, asked in (('SOFT', 1), ('HARD', 1)):
            before = self.driver._containers.guest(instance.uuid)
            self.inside(instance, 'touch', '/kept')
            self.driver.reboot(self.context, instance, network_info, kind)
            after = self.driver._containers.guest(instance.uuid)
            self.assertNotEqual(before['State']['StartedAt'],
                                after['State']['StartedAt'])
            self.assertIn('kept', self.inside(instance, 'ls', '/'))
            self.assertEqual(asked, self.driver.get_console_output(
                self.context, instance).count(b'bye'))

    def test_reboot_of_a_guest_that_does_not_come_back(self):
        instance, network_info = self.spawn(properties={
            'os_command_line': 'sh -c "cat /stop && exit 5; sleep 100"'})
        self.inside(instance, 'touch', '/stop')
        self.assertRaisesRegex(
            exception.InstanceRebootFailure, 'code 5', self.driver.reboot,
            self.context, instance, network_info, 'HARD')
        self.assert_state(instance, power_state.CRASHED)

    def test_pause(self):
        instance, _ = self.spawn()
        for _attempt in range(2):
            self.driver.pause(instance)
        self.assert_state(instance, power_state.PAUSED)
        for _attempt in range(2):
            self.driver.unpause(instance)
        self.assert_state(instance, power_state.RUNNING)

    def test_suspend(self):
        instance, network_info = self.spawn()
        self.driver.suspend(self.context, instance)
        self.assert_state(instance, power_state.SUSPENDED)
        another = type(self.driver)(self.virtapi, network=self.network)
        self.assertEqual(power_state.SUSPENDED,
                         another.get_info(instance).state)
        self.driver.resume(self.context, instance, network_info)
        self.assert_state(instance, power_state.RUNNING)
        self.driver.pause(instance)
        self.assert_state(instance, power_state.PAUSED)

    def test_stopped_guest_cannot_be_paused(self):
        instance, _ = self.spawn()
        self.driver.power_off(instance)
        self.assertRaises(exception.InstanceNotRunning, self.driver.pause,
                          instance)

    def test_crash(self):
        instance, _ = self.spawn(properties={
            'os_command_line': 'sh -c "sleep 1; exit 9"'})
        self.world.client.wait(
            self.driver._containers.guest(instance.uuid)['Id'], timeout=20)
        self.assert_state(instance, power_state.CRASHED)

    def test_unknown(self):
        self.assertRaises(exception.InstanceNotFound, self.driver.get_info,
                          self.instance())

    def test_states(self):
        base = {'Paused': False, 'Running': False, 'Dead': False,
                'ExitCode': 0, 'OOMKilled': False}
        for changes, expected in (
                ({}, power_state.SHUTDOWN),
                ({'ExitCode': 137}, power_state.SHUTDOWN),
                ({'ExitCode': 255}, power_state.SHUTDOWN),
                ({'ExitCode': 137, 'OOMKilled': True}, power_state.CRASHED),
                ({'ExitCode': 1}, power_state.CRASHED),
                ({'Dead': True}, power_state.CRASHED)):
            self.assertEqual(expected, power.state_of(
                {'State': {**base, **changes}}, False))

    def stop_everything(self, instance):
        """What a restart of the engine or of the host does."""
        for summary in self.driver._containers.list(instance.uuid):
            self.world.client.kill(summary['Id'])
            self.world.client.wait(summary['Id'], timeout=20)
        self.network.plugged.clear()

    def test_back_after_the_boot_of_the_host(self):
        instance, network_info = self.spawn()
        self.stop_everything(instance)
        self.assert_state(instance, power_state.SHUTDOWN)
        self.driver.plug_vifs(instance, network_info)
        self.assertEqual({network_info[0]['id']},
                         set(self.network.plugged))
        self.assert_state(instance, power_state.SHUTDOWN)
        self.driver.resume_state_on_host_boot(
            self.context, instance, network_info, None)
        self.assert_state(instance, power_state.RUNNING)
        self.assertEqual('web\n', self.inside(instance, 'hostname'))

    def test_nothing_to_plug_into(self):
        self.driver.plug_vifs(self.instance(), [world.vif()])
        self.assertEqual({}, self.network.plugged)


class ResizeTestCase(world.EngineTestCase):

    def flavor(self, instance, **changes):
        return objects.Flavor(**dict(
            instance.flavor.obj_to_primitive()['nova_object.data'],
            **changes))

    def migrate(self, instance, flavor, dest='127.0.0.1'):
        return self.driver.migrate_disk_and_power_off(
            self.context, instance, dest, flavor, [], timeout=0)

    def limits(self, instance):
        host = self.driver._containers.guest(instance.uuid)['HostConfig']
        return (host['Memory'] >> 20, host['MemorySwap'] >> 20,
                host['CpuQuota'] // host['CpuPeriod'])

    def test_larger_and_back(self):
        instance, network_info = self.spawn()
        self.inside(instance, 'touch', '/kept')
        old, new = instance.flavor, self.flavor(
            instance, memory_mb=256, vcpus=2, root_gb=5, swap=64)
        self.migrate(instance, new)
        self.assertEqual(power_state.SHUTDOWN,
                         self.driver.get_info(instance).state)
        instance.flavor = new
        self.driver.finish_migration(
            self.context, None, instance, '[]', network_info, None, True, {})
        self.assertEqual((256, 320, 2), self.limits(instance))
        self.driver.confirm_migration(
            self.context, None, instance, network_info)
        self.assertIn('kept', self.inside(instance, 'ls', '/'))

        instance.task_state = task_states.RESIZE_REVERTING
        self.driver.destroy(self.context, instance, network_info)
        instance.flavor = old
        self.driver.finish_revert_migration(
            self.context, instance, network_info, None)
        self.assertEqual((64, 64, 1), self.limits(instance))
        self.assertIn('kept', self.inside(instance, 'ls', '/'))
        self.assertEqual(1, len(self.network.plugged))

    def test_stays_off(self):
        instance, network_info = self.spawn()
        self.migrate(instance, self.flavor(instance, memory_mb=128))
        self.driver.finish_migration(
            self.context, None, instance, '[]', network_info, None, True, {},
            power_on=False)
        self.assertEqual(power_state.SHUTDOWN,
                         self.driver.get_info(instance).state)

    def test_impossible(self):
        instance, _ = self.spawn()
        for changes, dest in (({'root_gb': 0}, '127.0.0.1'),
                              ({'ephemeral_gb': 1}, '127.0.0.1'),
                              ({}, '192.0.2.1')):
            self.assertRaises(
                exception.InstanceFaultRollback, self.migrate, instance,
                self.flavor(instance, **changes), dest)
        self.assertEqual(power_state.RUNNING,
                         self.driver.get_info(instance).state)


class AccessTestCase(world.EngineTestCase):

    def test_interfaces(self):
        instance, network_info = self.spawn()
        added = world.vif()
        self.driver.attach_interface(self.context, instance, None, added)
        self.assertEqual(2, len(set(self.network.plugged)))
        self.assertEqual(1, len(set(self.network.plugged.values())))
        self.driver.detach_interface(self.context, instance, added)
        self.assertEqual({network_info[0]['id']}, set(self.network.plugged))
        self.assertRaises(exception.InstanceNotFound,
                          self.driver.detach_interface, self.context,
                          self.instance(), added)

    def test_interface_that_cannot_be_attached(self):
        instance, _ = self.spawn()
        self.network.failure = ValueError('broken')
        self.assertRaises(exception.InterfaceAttachFailed,
                          self.driver.attach_interface, self.context,
                          instance, None, world.vif())

    def test_console_output_is_bounded(self):
        instance, _ = self.spawn(properties={'os_command_line': (
            "sh -c 'i=0; while [ $i -lt 20000 ]; do echo line $i; "
            "i=$((i+1)); done; sleep 1000'")})
        deadline = time.monotonic() + 20
        while True:
            output = self.driver.get_console_output(self.context, instance)
            if b'line 19999' in output or time.monotonic() > deadline:
                break
        self.assertIn(b'line 19999', output)
        self.assertEqual(100 * 1024, len(output))

    def test_serial_console(self):
        instance, _ = self.spawn()
        self.assertRaises(exception.ConsoleTypeUnavailable,
                          self.driver.get_serial_console, self.context,
                          instance)
        self.flags(enabled=True, group='serial_console')
        first = self.driver.get_serial_console(self.context, instance)
        self.assertEqual('127.0.0.1', first.host)
        self.assertGreater(first.port, 0)
        self.driver.destroy(self.context, instance, [])

    def test_password(self):
        instance, _ = self.spawn(properties={'os_admin_user': 'admin'})
        self.driver.set_admin_password(instance, "p4ss: 'word$")
        self.assertEqual("admin:p4ss: 'word$\n",
                         self.inside(instance, 'cat', '/etc/told'))
        self.assertRaises(exception.InstancePasswordSetFailed,
                          self.driver.set_admin_password, instance, 'a\nb:c')

    def test_password_without_the_program(self):
        instance, _ = self.spawn()
        self.inside(instance, 'busybox', 'rm', '/bin/chpasswd')
        self.assertRaises(exception.SetAdminPasswdNotSupported,
                          self.driver.set_admin_password, instance, 'a')

    def test_diagnostics(self):
        instance, _ = self.spawn()
        older = self.driver.get_diagnostics(instance)
        self.assertEqual(64 * 1024, older['memory'])
        self.assertGreater(older['cpu0_time'], 0)
        newer = self.driver.get_instance_diagnostics(instance)
        self.assertEqual('running', newer.state)
        self.assertEqual(64, newer.memory_details.maximum)
        self.assertGreaterEqual(newer.uptime, 0)
        self.assertLess(newer.uptime, 300)

    def test_volumes(self):
        for method, arguments in (('attach_volume', [None] * 4),
                                  ('detach_volume', [None] * 4),
                                  ('get_volume_connector', [None])):
            self.assertRaisesRegex(
                exception.InvalidVolume, 'cannot use volumes',
                getattr(self.driver, method), *arguments)


class NodeTestCase(world.EngineTestCase):

    def test_start(self):
        beat = self.driver_heartbeat()
        with open(beat, 'w', encoding='ascii'):
            pass
        self.driver.init_host('here')
        self.assertFalse(os.path.exists(beat))
        self.assertTrue(self.network.initialized)
        self.assertTrue(os.path.isdir(world.CONF.instances_path))
        self.assertEqual(['here'], self.driver.get_available_nodes())

    @staticmethod
    def driver_heartbeat():
        return world.CONF.docker.heartbeat_file

    def test_start_without_an_engine(self):
        self.flags(url='unix:///nowhere', group='docker')
        driver = type(self.driver)(self.virtapi, network=self.network)
        self.assertRaises(exception.HypervisorUnavailable, driver.init_host,
                          'here')

    def test_start_without_a_holder_image(self):
        for name in (None, 'there/is-no-such-image:1'):
            self.flags(holder_image=name, group='docker')
            self.assertRaises(exception.InvalidConfiguration,
                              self.driver.init_host, 'here')

    def test_inventory(self):
        self.flags(reserved_host_memory_mb=512, cpu_allocation_ratio=4.0)
        node = 'b0c7e7d2-3b0f-4d4c-8d44-2a1e1f0d8a55'
        tree = provider_tree.ProviderTree()
        tree.new_root('here', node)
        self.driver.update_provider_tree(tree, 'here')
        found = tree.data('here').inventory
        info = self.world.client.info()
        self.assertEqual(info['NCPU'], found['VCPU']['total'])
        self.assertEqual(4.0, found['VCPU']['allocation_ratio'])
        self.assertEqual(info['MemTotal'] >> 20, found['MEMORY_MB']['total'])
        self.assertEqual(512, found['MEMORY_MB']['reserved'])
        self.assertGreater(found['DISK_GB']['total'], 0)

    def test_resources(self):
        found = self.driver.get_available_resource('here')
        self.assertEqual('here', found['hypervisor_hostname'])
        self.assertEqual([('x86_64', 'docker', 'exe')],
                         found['supported_instances'])
        self.assertGreater(found['hypervisor_version'], 1000000)

    def test_uptime(self):
        self.assertRegex(self.driver.get_host_uptime(),
                         r'^up \d+ days, .*load average: ')
