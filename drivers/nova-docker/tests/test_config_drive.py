"""The files of a config drive, as Nova's own metadata code makes them."""

import base64
import json
import unittest
from unittest import mock


from nova import context
from nova import objects
from nova.network import model
from nova.network import security_group_api
from nova.tests.unit import fake_instance
from nova.virt.docker import config_drive

objects.register_all()

INSTANCE = 'b0000000-0000-4000-8000-000000000001'


def network_info():
    subnet = model.Subnet(
        cidr='10.1.0.0/24', gateway=model.IP(address='10.1.0.1'),
        dns=[model.IP(address='10.1.0.2')], ips=[model.FixedIP(address='10.1.0.11')], routes=[])
    network = model.Network(
        id='a0000000-0000-4000-8000-000000000001', bridge='br-int', subnets=[subnet], mtu=1442)
    return model.NetworkInfo([model.VIF(
        id='c0000000-0000-4000-8000-000000000001', address='fa:16:3e:00:00:01',
        network=network, type='ovs')])


class ConfigDriveTestCase(unittest.TestCase):

    def setUp(self):
        # What nova-compute asks Nova's conductor and Neutron.
        self.enterContext(mock.patch.object(
            objects.Instance, 'get_bdms', lambda _self: objects.BlockDeviceMappingList(objects=[])))
        self.enterContext(mock.patch.object(
            security_group_api, 'get_instance_security_groups', lambda *_: [{'name': 'default'}]))
        self.instance = fake_instance.fake_instance_obj(
            context.get_admin_context(), uuid=INSTANCE, id=7, hostname='web', display_name='web',
            project_id='project', user_data=base64.b64encode(b'#!/bin/sh\n').decode(),
            key_name='mine', key_data='ssh-ed25519 AAAA', metadata={'role': 'front'},
            system_metadata={}, launch_index=0, expected_attrs=['metadata', 'system_metadata'])
        self.instance.ec2_ids = objects.EC2Ids(
            instance_id='i-7', ami_id='ami-1', kernel_id=None, ramdisk_id=None)
        self.instance.keypairs = objects.KeyPairList(objects=[
            objects.KeyPair(name='mine', public_key='ssh-ed25519 AAAA', type='ssh')])
        self.instance.device_metadata = None
        self.instance.numa_topology = None

    def test_all_that_nova_knows_is_there(self):
        files = config_drive.files(
            self.instance, network_info(), 'secret', [('/etc/motd', b'welcome\n')])
        self.assertEqual({bytes}, {type(content) for content in files.values()})
        self.assertFalse(any(path.startswith('/') for path in files))

        about = json.loads(files['openstack/latest/meta_data.json'])
        self.assertEqual(INSTANCE, about['uuid'])
        self.assertTrue(about['hostname'].startswith('web'))
        self.assertEqual({'role': 'front'}, about['meta'])
        self.assertEqual({'mine': 'ssh-ed25519 AAAA'}, about['public_keys'])
        self.assertEqual('secret', about['admin_pass'])
        [injected] = about['files']
        self.assertEqual('/etc/motd', injected['path'])
        self.assertEqual(b'welcome\n', files['openstack' + injected['content_path']])

        self.assertEqual(b'#!/bin/sh\n', files['openstack/latest/user_data'])
        network = json.loads(files['openstack/latest/network_data.json'])
        self.assertEqual('fa:16:3e:00:00:01', network['links'][0]['ethernet_mac_address'])
        self.assertEqual('10.1.0.11', network['networks'][0]['ip_address'])
        self.assertEqual([{'type': 'dns', 'address': '10.1.0.2'}], network['services'])
        self.assertEqual({}, json.loads(files['openstack/latest/vendor_data.json']))
        self.assertIn('ec2/latest/meta-data.json', files)

    def test_nothing_is_invented(self):
        self.instance.user_data = None
        files = config_drive.files(self.instance, model.NetworkInfo(), None, None)
        self.assertNotIn('openstack/latest/user_data', files)
        about = json.loads(files['openstack/latest/meta_data.json'])
        self.assertNotIn('admin_pass', about)
        self.assertNotIn('files', about)
