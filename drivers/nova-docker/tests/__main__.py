"""Runs the tests: ``python tests [name of a test or module ...]``.

What the run has made is removed from the engine. A skipped test is a failure.
"""

import os
import sys
import unittest

# nova-compute runs on native threads, hence so do the tests. Nova has to be
# told before any of its modules chooses otherwise.
os.environ['OS_NOVA_DISABLE_EVENTLET_PATCHING'] = 'true'

from nova import monkey_patch  # noqa: E402

monkey_patch.patch()


def main(names):
    """Exit code of a run over the named tests, or all."""
    import world

    loader = unittest.TestLoader()
    if names:
        suite = loader.loadTestsFromNames(names)
    else:
        suite = loader.discover(os.path.dirname(os.path.abspath(__file__)))
    try:
        result = unittest.TextTestRunner(verbosity=2).run(suite)
    finally:
        world.EngineImages.remove()
    for test, reason in result.skipped:
        print('skipped, which is a failure: %s: %s' % (test, reason))
    return 0 if result.wasSuccessful() and not result.skipped else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
