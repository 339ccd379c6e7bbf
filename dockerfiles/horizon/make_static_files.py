"""Collects and compresses what browsers load, once for all containers. The argument is the directory that
the dashboard's packages are in before they are where they belong."""

import os
import site
import sys

site.addsitedir(sys.argv[1])
os.environ["DJANGO_SETTINGS_MODULE"] = "openstack_dashboard.settings"

import django
from django.core.management import call_command
from django.test import Client

django.setup()
call_command("collectstatic", interactive=False, verbosity=0)

# The dashboards register their scripts when the first request loads the URLs. Without it the
# compression misses a block that every page has, and every page is an error. The page itself
# cannot be made before the compression.
client = Client(raise_request_exception=False)
client.get("/auth/login/")
call_command("compress", force=True, verbosity=1)

answer = Client().get("/auth/login/")
assert answer.status_code == 200, f"the login page answers {answer.status_code}"
