"""The real OpenStack client, loaded once.

Nearly all that one of its commands costs is the loading of Python modules, 1.3 s of a processor. This program loads
them all, and runs each command in a fork of itself: by the client's own main function, with the arguments and the
environment of that command alone.

Each line of its input is a command, each line of its output what came of it, both as JSON:

    {"arguments": ["token", "issue"], "environment": {"OS_AUTH_URL": "..."}}
    {"code": 0, "out": "...", "err": "..."}

It ends with its input.
"""

import importlib.metadata
import json
import os
import sys
import tempfile

# What the client calls itself, which it finds out when it is loaded.
sys.argv[0] = "openstack"

from openstackclient import shell


def load():
    """Loads every command that is installed, and the ways to print that there are."""
    entries = importlib.metadata.entry_points()
    for group in entries.groups:
        if group.startswith(("openstack.", "cliff.formatter.")):
            for entry in entries.select(group=group):
                entry.load()


def become(command, out, err):
    """Runs a command in this process, which ends with it."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    os.environ.clear()
    os.environ.update(command["environment"])
    sys.argv = ["openstack", *command["arguments"]]
    sys.exit(shell.main())


def answer(command):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            become(command, out, err)
        _, status = os.waitpid(child, 0)
        texts = {"out": out, "err": err}
        for name, file in texts.items():
            file.seek(0)
            texts[name] = file.read().decode(errors="replace")
        return {"code": os.waitstatus_to_exitcode(status), **texts}


if __name__ == "__main__":
    load()
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)
