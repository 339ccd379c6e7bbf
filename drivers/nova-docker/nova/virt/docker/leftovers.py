"""Removes what no instance needs any more.

A killed nova-compute may leave half of a build or of a deletion behind. What
belongs to an instance in Nova's records is left to Nova, which sets a build
that was cut short to ERROR and takes an interrupted deletion up again. What
belongs to no instance is removed here.
"""

import time

from oslo_log import log as logging

from nova import context as nova_context
from nova import exception
from nova import objects
from nova.virt.docker import configuration
from nova.virt.docker import specification

CONF = configuration.CONF
LOG = logging.getLogger(__name__)


class Leftovers:
    """Compares what is on the engine with what Nova knows."""

    def __init__(self, host, containers, lifecycle, network):
        self._host = host
        self._containers = containers
        self._lifecycle = lifecycle
        self._network = network
        self._ports_checked = False
        #: Instances whose containers were removed, and their ports not yet.
        self._gone = set()

    def remove(self):
        """Remove the containers, volumes and ports of instances now unknown.

        Ports are looked for once, and again whenever containers were removed.
        """
        context = nova_context.get_admin_context(read_deleted='yes')
        present = self._present()
        orphans = []
        if present:
            known = set(objects.InstanceList.get_uuids_by_host(
                nova_context.get_admin_context(), self._host))
            orphans = [uuid for uuid, created in present.items()
                       if uuid not in known
                       and uuid not in self._lifecycle.in_progress
                       and self._is_orphan(context, uuid, created)]
        for uuid in orphans:
            LOG.warning('Removing what is left of instance %s', uuid)
            self._gone.add(uuid)
            self._containers.remove_all(uuid)
        if self._gone or not self._ports_checked:
            self._network.remove_leftovers(self._ports_in_use(), self._gone)
            self._ports_checked = True
            self._gone.clear()

    def _present(self):
        """Ids of the instances with anything on the engine, and its age."""
        present = {}
        for summary in self._containers.list():
            uuid = summary['Labels'][specification.LABEL_INSTANCE]
            present[uuid] = max(summary['Created'], present.get(uuid, 0))
        for volume in self._containers.volumes():
            # A volume alone is always a remainder: it is made with a holder.
            present.setdefault(
                volume['Labels'][specification.LABEL_INSTANCE], 0)
        return present

    def _is_orphan(self, context, uuid, created):
        try:
            instance = objects.Instance.get_by_uuid(context, uuid)
        except exception.InstanceNotFound:
            return time.time() - created > CONF.docker.orphan_age
        # An instance on its way to or from another host is not our business.
        return instance.deleted and instance.host in (None, self._host)

    def _ports_in_use(self):
        """Ids of the ports that Nova has noted for instances of this host."""
        instances = objects.InstanceList.get_by_host(
            nova_context.get_admin_context(), self._host,
            expected_attrs=['info_cache'])
        return {vif['id'] for instance in instances
                for vif in instance.get_network_info() or []}
