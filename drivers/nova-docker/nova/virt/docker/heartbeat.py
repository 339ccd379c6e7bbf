"""A file whose age tells from outside whether this service works."""

import contextlib
import os
import threading

from oslo_log import log as logging

from nova import context as nova_context
from nova import objects
from nova import servicegroup
from nova.virt.docker import configuration

CONF = configuration.CONF
LOG = logging.getLogger(__name__)

_BINARY = 'nova-compute'


class Heartbeat:
    """Touches the file when the rest of Nova would send work here.

    After a start the service first reports to Nova when it already works: until
    then Nova may take it for dead, find no host for new instances, and delete
    others without telling it.
    """

    def __init__(self, retry_seconds=0.5):
        self._retry_seconds = retry_seconds
        self._services = servicegroup.API()
        self._retry = None

    def forget(self):
        """Remove what an earlier process has left."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(CONF.docker.heartbeat_file)

    def beat(self, host):
        """Touch the file, now or as soon as Nova takes this service for up."""
        service = objects.Service.get_by_host_and_binary(
            nova_context.get_admin_context(), host, _BINARY)
        if service is None:
            LOG.warning('Nova has no record of the service on %s', host)
        # What an operator has forced down works nevertheless.
        elif service.forced_down or self._services.service_is_up(service):
            with open(CONF.docker.heartbeat_file, 'a', encoding='ascii'):
                os.utime(CONF.docker.heartbeat_file)
        elif self._retry is None:
            self._retry = threading.Timer(
                self._retry_seconds, self._beat_again, [host])
            self._retry.daemon = True
            self._retry.start()

    def _beat_again(self, host):
        self._retry = None
        try:
            self.beat(host)
        except Exception:
            LOG.exception('Nova does not tell whether this service is up; '
                          'it is asked again at the next report of resources')
