"""Calls a procedure over the message bus, as OpenStack's services do among themselves.

It runs in a container of Keystone and has its way to the bus and all settings from the configuration there.
One process is server and client: the call goes through the brokers all the same.
"""

import os
import socket

# The library reads both when it is loaded: queues are named after the program, and the names are given out
# under a lock, for which Keystone, which calls nobody, has set no place.
sys.argv[0] = "octo-faults"
os.environ["OSLO_LOCK_PATH"] = "/tmp/octo-faults"

from oslo_config import cfg  # noqa: E402
import oslo_messaging  # noqa: E402

CONFIGURATION = "/etc/keystone/keystone.conf"
NAME = "octo-faults"
# Seconds. More often or with a longer timeout the threads of the calls that hang would exceed the container's limit.
EVERY, TIMEOUT = 0.25, 2


class Echo:
    """The procedure."""

    def echo(self, context, number):
        """Return what it was given."""
        return number


# The one of the process: the library has registered an option of its own there.
configuration = cfg.CONF
configuration([], default_config_files=[CONFIGURATION])
transport = oslo_messaging.get_rpc_transport(configuration)
target = oslo_messaging.Target(exchange=NAME, topic=NAME, server=socket.gethostname())
server = oslo_messaging.get_rpc_server(transport, target, [Echo()])
server.start()
# To this server alone: what an earlier one has left in the queue of the topic is nobody's business.
client = oslo_messaging.get_rpc_client(transport, target, timeout=TIMEOUT)


def call(number):
    """Call it once."""
    answer = client.call({}, "echo", number=number)
    if answer != number:
        raise ValueError(answer)
    return answer


keep_sending(lambda number: attempt("rpc", lambda: call(number)), EVERY, TIMEOUT)
# Threads of the library may wait for a broker for as long as they like.
os._exit(0)
