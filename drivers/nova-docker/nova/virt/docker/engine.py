"""The connection to the Docker engine."""

import functools

import docker
import docker.errors
import requests.exceptions

from nova import exception
from nova.virt.docker import configuration

CONF = configuration.CONF

#: Connections kept open. Each running build, deletion and console uses one.
POOL_SIZE = 32

#: The oldest engine API with everything that the driver uses.
OLDEST_API = (1, 41)


class Engine:
    """Two clients of one engine, for quick and for long requests.

    Both are sessions of ``requests`` whose pools may be used by many threads.
    """

    def __init__(self, url=None):
        self._url = url or CONF.docker.url

    @functools.cached_property
    def client(self):
        """The client for everything that is answered soon."""
        return self._connect(CONF.docker.request_timeout)

    @functools.cached_property
    def transfer(self):
        """The client for whole images, on which the engine works for long."""
        return self._connect(CONF.docker.transfer_timeout)

    def _connect(self, timeout):
        return docker.APIClient(
            base_url=self._url, version='auto', timeout=timeout,
            max_pool_size=POOL_SIZE)

    def ensure_reachable(self):
        """Check that an engine answers that is new enough."""
        try:
            self.client.ping()
        except (docker.errors.DockerException,
                requests.exceptions.RequestException) as error:
            raise exception.HypervisorUnavailable(
                'The Docker engine at %s does not answer: %s'
                % (self._url, error)) from error
        version = tuple(int(part) for part in self.client.api_version.split('.'))
        if version < OLDEST_API:
            raise exception.HypervisorUnavailable(
                'The Docker engine at %s speaks API %s; %d.%d is needed'
                % (self._url, self.client.api_version, *OLDEST_API))

    def ensure_image(self, name):
        """Check that the image of the network holders is there."""
        if not name:
            raise exception.InvalidConfiguration(
                'The option [docker] holder_image has to be set')
        try:
            self.client.inspect_image(name)
        except docker.errors.ImageNotFound as error:
            raise exception.InvalidConfiguration(
                'The engine has no image %s, which the option [docker] '
                'holder_image names' % name) from error


def wait_for_end(client, container_id, seconds):
    """The exit code of a container, or None when it still runs after that."""
    try:
        return client.wait(container_id, timeout=seconds)['StatusCode']
    except (requests.exceptions.ReadTimeout,
            requests.exceptions.ConnectionError):
        # The time is over, or the connection broke: the engine knows which.
        state = client.inspect_container(container_id)['State']
        if state['Running']:
            return None
        return state['ExitCode']
