"""Images made of guests."""

import docker.errors
from oslo_log import log as logging

from nova.compute import task_states
from nova.image import glance
from nova.objects import fields
from nova.virt.docker import archive
from nova.virt.docker import configuration
from nova.virt.docker import specification

CONF = configuration.CONF
LOG = logging.getLogger(__name__)


class Snapshots:
    """Commits guests on the engine and uploads the result to Glance."""

    def __init__(self, engine, cloud, image_api=None):
        self._engine = engine
        self._cloud = cloud
        self._image_api = image_api or glance.API()

    def take(self, context, instance, container_id, image_id,
             update_task_state):
        """Make the Glance image ``image_id`` of a guest's file system."""
        update_task_state(task_state=task_states.IMAGE_PENDING_UPLOAD)
        tag = '%s:%s' % (CONF.docker.snapshot_repository, image_id)
        # The engine pauses a running guest meanwhile: its files fit together.
        self._engine.transfer.commit(
            container_id, repository=CONF.docker.snapshot_repository,
            tag=image_id)
        try:
            update_task_state(
                task_state=task_states.IMAGE_UPLOADING,
                expected_state=task_states.IMAGE_PENDING_UPLOAD)
            # Saved by id and not by tag, so the archive names no tag.
            committed = self._engine.client.inspect_image(tag)
            data = archive.Stream(
                self._engine.transfer.get_image(committed['Id']), [])
            self._image_api.update(
                context, image_id, self._metadata(instance), data=data,
                purge_props=False)
        finally:
            self._remove(tag)

    @staticmethod
    def _metadata(instance):
        return {
            'status': 'active',
            'container_format': 'docker',
            'disk_format': 'raw',
            'properties': {
                'image_location': 'snapshot',
                'image_state': 'available',
                'owner_id': instance.project_id,
                'img_hv_type': fields.HVType.DOCKER,
                'hw_vm_mode': fields.VMMode.EXE,
            },
        }

    def remove_leftovers(self):
        """Remove what a snapshot that was cut short has left behind.

        The committed image has inherited the labels of its guest, hence is
        told apart from those of other clouds.
        """
        images = self._engine.client.images(
            name=CONF.docker.snapshot_repository,
            filters={'label': '%s=%s' % (specification.LABEL_CLOUD,
                                         self._cloud)})
        for image in images:
            for tag in image['RepoTags'] or []:
                if tag.startswith(CONF.docker.snapshot_repository + ':'):
                    self._remove(tag)

    def _remove(self, tag):
        try:
            self._engine.client.remove_image(tag)
        except docker.errors.ImageNotFound:
            LOG.debug('Image %s is gone already', tag)
