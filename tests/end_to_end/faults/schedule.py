"""Sends requests at a steady pace, whatever becomes of them, and reports each as a line of JSON.

The other programs here begin with this text: they run where no file of theirs is. Lines of standard input
are marks, which are reported with the time; its end is theirs. All times are seconds of the monotonic clock.
"""

import concurrent.futures
import json
import sys
import threading
import time

_writing = threading.Lock()


def report(**line):
    """Write a line for whoever started this."""
    with _writing:
        print(json.dumps(line), flush=True)


def attempt(kind, action, **more):
    """Do something once, and report when it began and ended, and whether it was done."""
    sent = time.monotonic()
    try:
        answer, ok = str(action()), True
    except Exception as error:
        # Whatever it is: the one who asked did not get what he wanted.
        answer, ok = f"{type(error).__name__}: {error}", False
    report(kind=kind, sent=sent, ended=time.monotonic(), ok=ok, answer=answer[:200], **more)


def keep_sending(send, every, patience):
    """Call send(0), send(1) and so on until standard input ends.

    The calls begin every so many seconds, and one that hangs keeps no other from its turn: there are threads
    enough for all calls that can hang if none lasts longer than the patience.
    """
    told_to_end = threading.Event()

    def pace():
        begun, number = time.monotonic(), 0
        while not told_to_end.wait(max(0, begun + number * every - time.monotonic())):
            pool.submit(send, number)
            number += 1

    with concurrent.futures.ThreadPoolExecutor(int(patience / every) + 10) as pool:
        pacemaker = threading.Thread(target=pace)
        pacemaker.start()
        for line in sys.stdin:
            report(mark=line.strip(), at=time.monotonic())
        report(mark="ended", at=time.monotonic())
        told_to_end.set()
        pacemaker.join()
