"""Images between Glance and a real engine."""

import io
import json
import os
import tarfile
import threading
import time

from nova import exception
from nova import objects

import world


def with_tag(data, tag):
    """An image's archive that claims another tag."""
    result = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as old, tarfile.open(
            fileobj=result, mode='w') as new:
        for member in old:
            if member.name == 'repositories':
                continue
            content = old.extractfile(member) if member.isreg() else None
            if member.name == 'manifest.json':
                changed = json.load(content)
                changed[0]['RepoTags'] = [tag]
                changed = json.dumps(changed).encode()
                member.size = len(changed)
                content = io.BytesIO(changed)
            new.addfile(member, content)
    return result.getvalue()


class ImagesTestCase(world.EngineTestCase):

    def setUp(self):
        super().setUp()
        self.cache = self.driver._images
        self.data = self.glance.images[self.image_id]['data']

    def tag(self, image_id):
        return self.world.cloud + '/image:' + image_id

    def test_downloaded_once(self):
        first = self.cache.ensure(self.context, self.image_id)
        again = self.cache.ensure(self.context, self.image_id)
        self.assertEqual(first['Id'], again['Id'])
        self.assertEqual([self.tag(self.image_id)], self.world.images())
        self.assertEqual([self.image_id], self.glance.downloads)

    def test_two_at_the_same_time_download_once(self):
        threads = [threading.Thread(target=self.cache.ensure, args=(
            self.context, self.image_id)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([self.image_id], self.glance.downloads)

    def test_archive_cannot_take_the_tag_of_another_image(self):
        victim = self.world.cloud + '/keystone:1'
        self.world.client.import_image_from_data(
            world.busybox_archive(), repository=self.world.cloud
            + '/keystone', tag='1', changes=['CMD ["victim"]'])
        before = self.world.client.inspect_image(victim)['Id']
        image_id = self.glance.add(with_tag(self.data, victim))
        self.cache.ensure(self.context, image_id)
        self.assertEqual(
            before, self.world.client.inspect_image(victim)['Id'])

    def test_moved_tag_is_not_trusted(self):
        right = self.cache.ensure(self.context, self.image_id)['Id']
        other = self.world.client.commit(
            self.world.client.create_container(
                world.IMAGE, labels={
                    'octo.instance.cloud': self.world.cloud})['Id'],
            repository=self.world.cloud + '/other', tag='1',
            conf={'Env': ['EVIL=1']})['Id']
        self.world.client.tag(
            other, self.world.cloud + '/image', self.image_id)
        self.assertEqual(
            right, self.cache.ensure(self.context, self.image_id)['Id'])
        self.assertEqual(2, len(self.glance.downloads))

    def test_wrong_digest_loads_nothing(self):
        image_id = self.glance.add(self.data, os_hash_value='0' * 128)
        self.assertRaisesRegex(
            exception.ImageUnacceptable, 'digest', self.cache.ensure,
            self.context, image_id)
        self.assertEqual([], self.world.images())

    def test_broken_download_loads_nothing(self):
        def download(_context, _image_id):
            yield self.data[:100000]
            # What Glance's client raises when the digest differs.
            raise BrokenPipeError('Corrupt image download')

        self.glance.download = download
        self.assertRaises(
            exception.CouldNotFetchImage, self.cache.ensure, self.context,
            self.image_id)
        self.assertEqual([], self.world.images())

    def test_unacceptable(self):
        for changes, pattern in (
                ({'container_format': 'bare'}, 'container format'),
                ({'os_hash_algo': None, 'checksum': None}, 'no digest')):
            image_id = self.glance.add(self.data, **changes)
            self.assertRaisesRegex(
                exception.ImageUnacceptable, pattern, self.cache.ensure,
                self.context, image_id)
        self.assertRaises(
            exception.ImageNotActive, self.cache.ensure, self.context,
            self.glance.add(self.data, status='queued'))
        self.assertRaisesRegex(
            exception.ImageUnacceptable, 'not a tar', self.cache.ensure,
            self.context, self.glance.add(b'no archive' * 1000))

    def test_image_may_not_claim_the_control_plane(self):
        tag = self.world.cloud + '/evil:1'
        self.world.client.import_image_from_data(
            world.busybox_archive(), repository=self.world.cloud + '/evil',
            tag='1', changes=['LABEL octo.cloud=lab', 'CMD ["sh"]'])
        image_id = self.glance.add(world.saved(self.world.client, tag))
        self.assertRaisesRegex(
            exception.ImageUnacceptable, 'reserved label', self.cache.ensure,
            self.context, image_id)
        self.assertNotIn(self.tag(image_id), self.world.images())

    def test_signed_images_are_kept_in_a_file_first(self):
        self.flags(verify_glance_signatures=True, group='glance')
        self.cache.ensure(self.context, self.image_id)
        self.assertEqual([self.tag(self.image_id)], self.world.images())

    def test_cache_image(self):
        self.assertTrue(self.driver.cache_image(self.context, self.image_id))
        self.assertFalse(self.driver.cache_image(self.context, self.image_id))

    def aged(self, image_id):
        path = self.cache._record_path(image_id)
        os.utime(path, (time.time() - 10 ** 6,) * 2)

    def test_unused_images_are_removed(self):
        self.driver.init_host('here')
        used = self.glance.add(self.data)
        running = self.glance.add(self.data)
        young = self.glance.add(self.data)
        for image_id in (self.image_id, used, young):
            self.cache.ensure(self.context, image_id)
        self.spawn(self.instance(image_id=running))
        for image_id in (self.image_id, used):
            self.aged(image_id)
        self.driver.manage_image_cache(self.context, objects.InstanceList(
            objects=[self.instance(image_id=used)]))
        self.assertNotIn(self.tag(self.image_id), self.world.images())
        self.assertIn(self.tag(used), self.world.images())
        self.assertIn(self.tag(young), self.world.images())
        self.assertIn(self.tag(running), self.world.images())
        self.cache.ensure(self.context, self.image_id)

    def test_snapshot_and_instance_from_it(self):
        instance, _ = self.spawn()
        self.inside(instance, 'touch', '/made-by-guest')
        states = []
        snapshot_id = 'b0c7e7d2-3b0f-4d4c-8d44-2a1e1f0d8a55'
        self.driver.snapshot(
            self.context, instance, snapshot_id,
            lambda task_state, expected_state=None: states.append(task_state))
        self.assertEqual(['image_pending_upload', 'image_uploading'], states)
        update = self.glance.updates[snapshot_id]
        self.assertEqual('docker', update['container_format'])
        self.assertEqual('raw', update['disk_format'])
        self.assertEqual('docker', update['properties']['img_hv_type'])
        self.assertEqual('exe', update['properties']['hw_vm_mode'])
        self.assertEqual([self.tag(self.image_id)], self.world.images())
        self.glance.add(update['data'], image_id=snapshot_id)
        copy, _ = self.spawn(self.instance(image_id=snapshot_id))
        self.assertIn('made-by-guest', self.inside(copy, 'ls', '/'))
        self.assertEqual(
            {instance.uuid, copy.uuid}, set(self.driver.list_instance_uuids()))

    def test_failed_upload_leaves_no_image(self):
        instance, _ = self.spawn()

        def update(*_, **__):
            raise exception.ImageNotAuthorized(image_id='x')

        self.glance.update = update
        self.assertRaises(
            exception.ImageNotAuthorized, self.driver.snapshot, self.context,
            instance, 'b0c7e7d2-3b0f-4d4c-8d44-2a1e1f0d8a55',
            lambda **_: None)
        self.assertEqual([self.tag(self.image_id)], self.world.images())

    def test_interrupted_snapshot_is_removed_at_the_start(self):
        instance, _ = self.spawn()
        guest = self.driver._containers.guest(instance.uuid)
        self.world.client.commit(
            guest['Id'], repository=self.world.cloud + '/snapshot', tag='x')
        self.driver.init_host('here')
        self.assertEqual([self.tag(self.image_id)], self.world.images())
