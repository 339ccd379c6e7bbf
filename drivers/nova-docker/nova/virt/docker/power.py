"""Power states of guests, and how one becomes another."""

import contextlib
import os

from oslo_log import log as logging
from oslo_utils import fileutils

from nova.compute import power_state
from nova import exception
from nova.virt.docker import configuration

CONF = configuration.CONF
LOG = logging.getLogger(__name__)

#: Exit codes of a guest that has been stopped: a clean end, the end by
#: SIGKILL or SIGTERM, and what the engine notes for containers that were lost
#: with it or with the host.
_STOPPED_CODES = frozenset([0, 137, 143, 255])


class Suspensions:
    """Which paused guests are suspended: the engine knows no difference."""

    @staticmethod
    def _path(uuid):
        return os.path.join(CONF.docker.state_directory, 'suspended', uuid)

    def add(self, uuid):
        fileutils.ensure_tree(os.path.dirname(self._path(uuid)))
        with open(self._path(uuid), 'w', encoding='ascii'):
            pass

    def discard(self, uuid):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(uuid))

    def __contains__(self, uuid):
        return os.path.exists(self._path(uuid))


def state_of(container, suspended):
    """Nova's power state of what the engine tells about a container."""
    state = container['State']
    if state['Paused']:
        return power_state.SUSPENDED if suspended else power_state.PAUSED
    if state['Running']:
        return power_state.RUNNING
    if state['Dead'] or state['ExitCode'] not in _STOPPED_CODES:
        return power_state.CRASHED
    if state['OOMKilled'] and state['ExitCode'] == 137:
        return power_state.CRASHED
    return power_state.SHUTDOWN


class Power:
    """Starts and stops guests; their network is not its concern."""

    def __init__(self, containers):
        self._containers = containers
        self.suspensions = Suspensions()

    def state(self, instance):
        """The power state of an instance that has to exist."""
        container = self._containers.guest(instance.uuid)
        return state_of(container, instance.uuid in self.suspensions)

    def off(self, instance, timeout, retry_interval):
        """Stop the guest; it has ``timeout`` seconds to end by itself."""
        container = self._containers.guest(instance.uuid)
        self._containers.stop(container, timeout, retry_interval)
        self.suspensions.discard(instance.uuid)

    def on(self, instance):
        """Make the guest run, whatever it does now."""
        container = self._containers.guest(instance.uuid)
        self._containers.unpause(container)
        self.suspensions.discard(instance.uuid)
        if not container['State']['Running']:
            self._containers.start_guest(
                container['Id'], CONF.docker.start_watch)

    def pause(self, instance):
        self._containers.pause(self._running(instance))

    def unpause(self, instance):
        self._containers.unpause(self._containers.guest(instance.uuid))

    def suspend(self, instance):
        """Freeze the guest and remember why.

        The note comes first: a frozen guest without one would be taken for
        paused, while a note about a running guest means nothing.
        """
        container = self._running(instance)
        self.suspensions.add(instance.uuid)
        self._containers.pause(container)

    def _running(self, instance):
        container = self._containers.guest(instance.uuid)
        if not container['State']['Running']:
            raise exception.InstanceNotRunning(instance_id=instance.uuid)
        return container
