"""Glance images on the engine.

An image is known by its Glance id alone: what its archive calls itself never
counts. A record in the state directory says which image of the engine a tag
has to mean; where they differ the image is loaded again.
"""

import contextlib
import hashlib
import json
import os
import tempfile
import time

import docker.errors
from oslo_concurrency import lockutils
from oslo_log import log as logging
from oslo_utils import fileutils

from nova import exception
from nova.image import glance
from nova.virt.docker import archive
from nova.virt.docker import configuration
from nova.virt.docker import specification

CONF = configuration.CONF
LOG = logging.getLogger(__name__)

#: Labels that only octo gives: an image that brought them along could make
#: its containers look like parts of a control plane.
_RESERVED_LABELS = 'octo.'
_RECORD_SUFFIX = '.json'


class _DownloadFailed(Exception):
    """Glance failed while its answer was passed on to the engine."""


def _passed_on(chunks):
    """The chunks, with errors that the HTTP client does not take for its own.

    It would hold a broken pipe of the download for one of the upload, and
    wait for an answer of the engine that never comes.
    """
    try:
        yield from chunks
    except OSError as error:
        raise _DownloadFailed(str(error)) from error


class ImageCache:
    """Loads images from Glance, once each, and forgets unused ones."""

    def __init__(self, engine, image_api=None):
        self._engine = engine
        self._image_api = image_api or glance.API()

    def ensure(self, context, image_id):
        """What the engine says about an image; loads it if need be."""
        return self._ensure(context, image_id)[0]

    def fetch(self, context, image_id):
        """Load an image ahead of use; tells whether that was needed."""
        return self._ensure(context, image_id)[1]

    def _ensure(self, context, image_id):
        with self._locked(image_id):
            found = self._cached(image_id)
            if found:
                return found, False
            return self._load(context, image_id), True

    def unused(self, used_ids):
        """Drop images that no instance has used for long.

        :param used_ids: Glance ids of the images of instances on this host
        """
        if not CONF.image_cache.remove_unused_base_images:
            return
        oldest = time.time() - (
            CONF.image_cache.remove_unused_original_minimum_age_seconds)
        for image_id in self._recorded():
            with self._locked(image_id), contextlib.suppress(
                    FileNotFoundError):
                if image_id in used_ids:
                    os.utime(self._record_path(image_id))
                elif os.stat(self._record_path(image_id)).st_mtime < oldest:
                    self._forget(image_id)

    @staticmethod
    def _locked(image_id):
        return lockutils.lock('docker-image-%s' % image_id)

    @staticmethod
    def tag(image_id):
        return '%s:%s' % (CONF.docker.image_repository, image_id)

    # Records

    @staticmethod
    def _directory():
        return os.path.join(CONF.docker.state_directory, 'images')

    def _record_path(self, image_id):
        return os.path.join(self._directory(), image_id + _RECORD_SUFFIX)

    def _recorded(self):
        try:
            names = os.listdir(self._directory())
        except FileNotFoundError:
            return []
        return [name.removesuffix(_RECORD_SUFFIX) for name in names
                if name.endswith(_RECORD_SUFFIX)]

    def _cached(self, image_id):
        path = self._record_path(image_id)
        try:
            with open(path, encoding='utf-8') as file:
                record = json.load(file)
            found = self._engine.client.inspect_image(self.tag(image_id))
        except (FileNotFoundError, docker.errors.ImageNotFound):
            return None
        except ValueError:
            LOG.warning('The record of image %s is damaged', image_id)
            return None
        if found['Id'] != record['engine_id']:
            LOG.warning('The tag of image %s has been moved; it is loaded '
                        'again', image_id)
            return None
        os.utime(path)
        return found

    def _write_record(self, image_id, engine_id, algorithm, checksum):
        fileutils.ensure_tree(self._directory())
        path = self._record_path(image_id)
        with open(path + '.new', 'w', encoding='utf-8') as file:
            json.dump({'engine_id': engine_id, 'algorithm': algorithm,
                       'checksum': checksum}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + '.new', path)

    def _forget(self, image_id):
        try:
            self._engine.client.remove_image(self.tag(image_id))
        except docker.errors.ImageNotFound:
            LOG.debug('Image %s is gone already', image_id)
        except docker.errors.APIError as error:
            if error.status_code != 409:
                raise
            LOG.info('Image %s is still in use: %s', image_id,
                     error.explanation)
            os.utime(self._record_path(image_id))
            return
        os.unlink(self._record_path(image_id))
        LOG.info('Removed the unused image %s', image_id)

    # From Glance to the engine

    def _load(self, context, image_id):
        image = self._image_api.get(context, image_id)
        if image['status'] != 'active':
            raise exception.ImageNotActive(image_id=image_id)
        if image['container_format'] != 'docker':
            raise exception.ImageUnacceptable(
                image_id=image_id,
                reason='its container format is %s, not docker'
                       % image['container_format'])
        algorithm, checksum = self._expected_digest(image)
        digest = hashlib.new(algorithm)

        def verify():
            if digest.hexdigest() != checksum:
                raise archive.UnacceptableArchive(
                    'its %s digest differs from that in Glance' % algorithm)

        with self._chunks(context, image_id) as chunks:
            stream = archive.Stream(_passed_on(chunks), [digest])
            pieces = archive.retagged(stream, self.tag(image_id), verify)
            self._stream_to_engine(image_id, pieces)
        loaded = self._engine.client.inspect_image(self.tag(image_id))
        self._check_loaded(image_id, loaded)
        self._write_record(image_id, loaded['Id'], algorithm, checksum)
        LOG.info('Loaded image %s as %s', image_id, loaded['Id'])
        return loaded

    @staticmethod
    def _expected_digest(image):
        for known in (image, image.get('properties', {})):
            algorithm = known.get('os_hash_algo')
            if algorithm and known.get('os_hash_value'):
                return algorithm, known['os_hash_value']
        if image.get('checksum'):
            return 'md5', image['checksum']
        raise exception.ImageUnacceptable(
            image_id=image['id'], reason='Glance knows no digest of it')

    @contextlib.contextmanager
    def _chunks(self, context, image_id):
        """The image's bytes; kept in a file first when Nova has to verify a
        signature, which it does on whole files only."""
        if not CONF.glance.verify_glance_signatures:
            yield self._image_api.download(context, image_id)
            return
        fileutils.ensure_tree(self._directory())
        with tempfile.TemporaryFile(dir=self._directory()) as file:
            self._image_api.download(context, image_id, data=file)
            file.seek(0)
            yield iter(lambda: file.read(1024 * 1024), b'')

    def _stream_to_engine(self, image_id, pieces):
        try:
            for message in self._engine.transfer.load_image(
                    pieces, quiet=True):
                if 'error' in message:
                    raise exception.ImageUnacceptable(
                        image_id=image_id,
                        reason='the engine does not load it: %s'
                               % message['error'])
        except _DownloadFailed as error:
            LOG.error('Download of image %s failed: %s', image_id, error)
            raise exception.CouldNotFetchImage(image_id=image_id) from error
        except archive.UnacceptableArchive as error:
            raise exception.ImageUnacceptable(
                image_id=image_id, reason=str(error)) from error
        except docker.errors.APIError as error:
            raise exception.ImageUnacceptable(
                image_id=image_id,
                reason='the engine does not load it: %s'
                       % error.explanation) from error

    def _check_loaded(self, image_id, loaded):
        reason = None
        if loaded['Os'] != 'linux':
            reason = 'it is made for %s' % loaded['Os']
        for label in (loaded.get('Config') or {}).get('Labels') or {}:
            if (label.startswith(_RESERVED_LABELS)
                    and label not in specification.LABELS):
                reason = 'it has the reserved label %s' % label
        if reason:
            self._engine.client.remove_image(self.tag(image_id))
            raise exception.ImageUnacceptable(
                image_id=image_id, reason=reason)
