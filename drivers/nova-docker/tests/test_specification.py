"""What the engine is asked for, by flavor, image and configuration."""

from nova import exception
from nova import objects
from nova import test
from nova.network import model
from nova.virt.docker import specification

import world

IMAGE = {'Id': 'sha256:1', 'Config': {'Cmd': ['/bin/app']}}


class SpecificationTestCase(test.NoDBTestCase):

    def instance(self, extra_specs=None, properties=None, **flavor):
        return objects.Instance(
            uuid='7e6e7e8c-2f6c-4f0c-9f0a-111111111111', hostname='web', id=7,
            image_ref='4e6e7e8c-2f6c-4f0c-9f0a-111111111111',
            system_metadata={'image_' + name: value for name, value in
                             (properties or {}).items()},
            flavor=objects.Flavor(**{
                'memory_mb': 128, 'vcpus': 2, 'root_gb': 3, 'swap': 0,
                'extra_specs': extra_specs or {}, **flavor}))

    def guest(self, image=IMAGE, quota=False, drive=False, **changes):
        return specification.guest(
            self.instance(**changes), image, drive, quota)

    def test_isolation(self):
        host = self.guest()['HostConfig']
        self.assertEqual(['ALL'], host['CapDrop'])
        self.assertEqual(['no-new-privileges'], host['SecurityOpt'])
        self.assertEqual({'Name': 'no'}, host['RestartPolicy'])
        self.assertNotIn('Privileged', host)
        self.assertNotIn('SYS_ADMIN', host['CapAdd'])
        self.assertLess(len(host['CapAdd']), 14)
        self.assertEqual(2048, host['PidsLimit'])

    def test_limits(self):
        host = self.guest(swap=64)['HostConfig']
        self.assertEqual(128 << 20, host['Memory'])
        self.assertEqual(192 << 20, host['MemorySwap'])
        self.assertEqual(2, host['CpuQuota'] / host['CpuPeriod'])

    def test_no_swap_beyond_the_memory(self):
        host = self.guest()['HostConfig']
        self.assertEqual(host['Memory'], host['MemorySwap'])

    def test_root_disk(self):
        self.assertNotIn('StorageOpt', self.guest()['HostConfig'])
        self.assertEqual({'size': '3G'},
                         self.guest(quota=True)['HostConfig']['StorageOpt'])

    def test_labels_never_claim_the_control_plane(self):
        self.assertEqual(world.LABELS, set(self.guest()['Labels']))

    def test_command_of_the_image(self):
        self.assertNotIn('Cmd', self.guest())

    def test_command_of_the_property(self):
        self.assertEqual(['sh', '-c', 'a b'], self.guest(
            properties={'os_command_line': "sh -c 'a b'"})['Cmd'])

    def test_no_command(self):
        for image in ({'Id': 'x', 'Config': {'Cmd': None}},
                      {'Id': 'x', 'Config': None}):
            self.assertRaisesRegex(
                exception.ImageUnacceptable, 'no command', self.guest,
                image=image)

    def test_terminal(self):
        self.assertTrue(self.guest()['Tty'])
        self.assertFalse(
            self.guest(properties={'docker_tty': 'false'})['Tty'])
        self.assertTrue(self.guest(
            properties={'docker_tty': 'false'},
            extra_specs={'docker:tty': 'yes'})['Tty'])

    def test_extra_specs_have_to_be_allowed(self):
        specs = {'docker:capabilities': 'net_admin, CAP_SYS_PTRACE'}
        self.assertRaisesRegex(
            exception.InvalidInput, 'not allowed', self.guest,
            extra_specs=specs)
        self.flags(allowed_extra_specs=['docker:capabilities'],
                   group='docker')
        added = self.guest(extra_specs=specs)['HostConfig']['CapAdd']
        self.assertIn('NET_ADMIN', added)
        self.assertIn('SYS_PTRACE', added)

    def test_privileged_is_never_allowed(self):
        self.flags(allowed_extra_specs=['docker:privileged',
                                        'docker:capabilities'],
                   group='docker')
        self.assertRaisesRegex(
            exception.InvalidInput, 'unknown', self.guest,
            extra_specs={'docker:privileged': 'true'})
        self.assertRaises(
            exception.InvalidInput, self.guest,
            extra_specs={'docker:capabilities': 'all'})

    def test_extra_specs_of_others_are_left_alone(self):
        self.guest(extra_specs={'hw:cpu_policy': 'shared'})

    def test_wrong_values(self):
        self.flags(allowed_extra_specs=['docker:pids_limit'], group='docker')
        for changes in ({'extra_specs': {'docker:tty': 'perhaps'}},
                        {'extra_specs': {'docker:pids_limit': 'many'}},
                        {'extra_specs': {'docker:pids_limit': '0'}},
                        {'properties': {'os_command_line': "a 'b"}}):
            self.assertRaises(exception.InvalidInput, self.guest, **changes)

    def test_config_drive_is_read_only_for_the_guest(self):
        [mount] = self.guest(drive=True)['HostConfig']['Mounts']
        self.assertTrue(mount['ReadOnly'])
        self.assertEqual('/config-drive', mount['Target'])

    def test_holder(self):
        self.flags(holder_image='nova:1', group='docker')
        made = specification.holder(
            self.instance(), model.NetworkInfo([world.vif(), world.vif()]),
            False)
        self.assertEqual('none', made['HostConfig']['NetworkMode'])
        self.assertEqual(['10.99.0.2'], made['HostConfig']['Dns'])
        self.assertEqual(['web:10.99.0.5'], made['HostConfig']['ExtraHosts'])
        self.assertEqual('web', made['Hostname'])
        self.assertEqual('65534:65534', made['User'])
        self.assertNotIn('CapAdd', made['HostConfig'])
