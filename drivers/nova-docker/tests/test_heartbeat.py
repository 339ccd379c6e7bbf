"""When the file that health checks look at is touched."""

import os
import time
from unittest import mock

import fixtures
from oslo_utils import fixture as time_fixture

from nova import context
from nova import exception
from nova import objects
from nova import test
from nova.virt.docker import heartbeat


class HeartbeatTestCase(test.TestCase):

    def setUp(self):
        super().setUp()
        self.path = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'beat')
        self.flags(heartbeat_file=self.path, group='docker')
        self.clock = self.useFixture(time_fixture.TimeFixture())
        self.heartbeat = heartbeat.Heartbeat(retry_seconds=0.01)
        self.addCleanup(self.no_more_retries)
        self.service = objects.Service(
            context.get_admin_context(), host='here', binary='nova-compute',
            topic='compute', report_count=0, forced_down=False)
        self.service.create()

    def no_more_retries(self):
        self.report()
        self.eventually(lambda: self.heartbeat._retry is None)

    def report(self):
        self.service.report_count += 1
        self.service.save()

    def eventually(self, holds):
        deadline = time.monotonic() + 10
        while not holds():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def beaten(self):
        return os.path.exists(self.path)

    def test_a_new_service_beats_at_once(self):
        self.heartbeat.beat('here')
        self.assertTrue(self.beaten())

    def test_one_that_is_taken_for_dead_beats_when_it_has_reported(self):
        # The database of these tests is not for two threads: it could refuse
        # to answer the one that asks again.
        self.useFixture(fixtures.MockPatchObject(
            objects.Service, 'get_by_host_and_binary',
            return_value=self.service))
        self.clock.advance_time_seconds(100)
        self.heartbeat.beat('here')
        self.heartbeat.beat('here')
        self.assertFalse(self.beaten())
        self.report()
        self.eventually(self.beaten)

    def test_one_that_an_operator_has_forced_down_beats(self):
        self.service.forced_down = True
        self.service.save()
        self.heartbeat.beat('here')
        self.assertTrue(self.beaten())

    def test_a_failed_question_is_left_to_the_next_report(self):
        self.clock.advance_time_seconds(100)
        with mock.patch.object(
                objects.Service, 'get_by_host_and_binary',
                side_effect=[self.service, exception.NovaException('no')]):
            self.heartbeat.beat('here')
            self.eventually(lambda: self.heartbeat._retry is None)
        self.assertFalse(self.beaten())
        self.report()
        self.heartbeat.beat('here')
        self.assertTrue(self.beaten())

    def test_one_without_a_record_does_not_beat(self):
        self.heartbeat.beat('elsewhere')
        self.assertIsNone(self.heartbeat._retry)
        self.assertFalse(self.beaten())

    def test_what_an_earlier_process_left_is_forgotten(self):
        self.heartbeat.forget()
        self.heartbeat.beat('here')
        self.heartbeat.forget()
        self.assertFalse(self.beaten())
