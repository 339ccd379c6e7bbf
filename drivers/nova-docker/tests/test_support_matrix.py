"""The support matrix says what the driver does."""

import configparser
import os
import unittest

from nova.virt import driver as base
from nova.virt.docker import driver

MATRIX = os.path.join(
    os.path.dirname(os.path.abspath(__file__)), os.pardir,
    'support-matrix.ini')

#: The methods behind features, for those features that have their own.
METHODS = {
    'operation.attach-interface': 'attach_interface',
    'operation.detach-interface': 'detach_interface',
    'operation.extend-volume': 'extend_volume',
    'operation.maintenance-mode': 'host_maintenance_mode',
    'operation.rebuild': 'rebuild',
    'operation.get-guest-info': 'get_info',
    'operation.get-host-uptime': 'get_host_uptime',
    'operation.get-host-ip': 'get_host_ip_addr',
    'operation.live-migrate': 'live_migration',
    'operation.launch': 'spawn',
    'operation.pause': 'pause',
    'operation.reboot': 'reboot',
    'operation.rescue': 'rescue',
    'operation.resize': 'finish_migration',
    'operation.resume': 'resume',
    'operation.set-admin-password': 'set_admin_password',
    'operation.snapshot': 'snapshot',
    'operation.suspend': 'suspend',
    'operation.swap-volume': 'swap_volume',
    'operation.terminate': 'destroy',
    'operation.trigger-crash-dump': 'trigger_crash_dump',
    'operation.unpause': 'unpause',
    'operation.quiesce': 'quiesce',
    'operation.cache-images': 'cache_image',
    'console.serial.log': 'get_console_output',
    'console.serial.interactive': 'get_serial_console',
    'console.spice': 'get_spice_console',
    'console.vnc': 'get_vnc_console',
}


class SupportMatrixTestCase(unittest.TestCase):

    def setUp(self):
        self.matrix = configparser.ConfigParser(interpolation=None)
        with open(MATRIX, encoding='utf-8') as file:
            self.matrix.read_file(file)
        self.features = [name for name in self.matrix.sections()
                         if not name.startswith('driver.')]

    def test_grades(self):
        self.assertEqual(59, len(self.features))
        for name in self.features:
            feature = self.matrix[name]
            with self.subTest(name):
                self.assertIn(feature['driver.docker'],
                              ('complete', 'partial', 'missing'))
                if feature['driver.docker'] == 'partial':
                    self.assertTrue(feature['driver-notes.docker'])
                if feature['status'] == 'mandatory':
                    self.assertEqual('complete', feature['driver.docker'])

    def test_methods(self):
        for name, method in METHODS.items():
            with self.subTest(name):
                made = getattr(driver.DockerDriver, method) is not getattr(
                    base.ComputeDriver, method)
                self.assertEqual(
                    made, self.matrix[name]['driver.docker'] != 'missing')
