"""A client of the cloud, outside of its hosts, with what `octo openrc` exports.

load EVERY PREFIX   sends requests every so many seconds, and names what it makes after the prefix
verify              of the names on standard input, reports those that Keystone does not know
"""

import http.client
import os
import urllib.parse

# Seconds that an answer may be silent; to connect and to answer both may take so long.
TIMEOUT = 10
# Seconds for which an answer is asked for again where there has to be one.
INSISTENCE = 120
KEYSTONE, GLANCE = 5000, 9292


class Refused(Exception):
    """An answer that is not the wanted one."""


class Cloud:
    """The cloud, as its administrator sees it."""

    def __init__(self):
        self._host = urllib.parse.urlsplit(os.environ["OS_AUTH_URL"]).hostname
        self._renewing = threading.Lock()
        self._token = None
        insist(lambda: self._log_in(None))

    def _log_in(self, refused):
        with self._renewing:
            if self._token != refused:
                # Another thread was here first.
                return
            user = {"name": os.environ["OS_USERNAME"], "password": os.environ["OS_PASSWORD"],
                    "domain": {"name": os.environ["OS_USER_DOMAIN_NAME"]}}
            project = {"name": os.environ["OS_PROJECT_NAME"],
                       "domain": {"name": os.environ["OS_PROJECT_DOMAIN_NAME"]}}
            login = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}},
                              "scope": {"project": project}}}
            answer, _ = self._exchange("POST", KEYSTONE, "/v3/auth/tokens", {}, login)
            if answer.status != 201:
                raise Refused(answer.status)
            self._token = answer.headers["X-Subject-Token"]

    def _exchange(self, method, port, path, headers, body):
        connection = http.client.HTTPConnection(self._host, port, timeout=TIMEOUT)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()

    def _ask(self, wanted, method, port, path, body=None):
        """Ask on a connection of its own; return what the answer says if its status is the wanted one."""
        token = self._token
        answer, text = self._exchange(method, port, path, {"X-Auth-Token": token}, body)
        if answer.status == 401:
            self._log_in(token)
        if answer.status != wanted:
            raise Refused(answer.status)
        return json.loads(text)

    def knows(self, project):
        """Whether there is a project of this name: the database is asked for it."""
        path = "/v3/projects?" + urllib.parse.urlencode({"name": project})
        return bool(self._ask(200, "GET", KEYSTONE, path)["projects"])

    def projects(self):
        """The names of all projects. Without a limit Keystone cuts the list, and does not say so."""
        names, path = set(), "/v3/projects?limit=1000"
        while path:
            answer = self._ask(200, "GET", KEYSTONE, path)
            names.update(project["name"] for project in answer["projects"])
            following = answer["links"]["next"]
            path = following and "/v3/projects?" + urllib.parse.urlsplit(following).query
        return names

    def images(self):
        """How many images there are."""
        return len(self._ask(200, "GET", GLANCE, "/v2/images")["images"])

    def make(self, project):
        """Make a project; return its id."""
        return self._ask(201, "POST", KEYSTONE, "/v3/projects", {"project": {"name": project}})["project"]["id"]


def insist(action):
    """Do what has to succeed, again if it fails, for a limited time."""
    deadline = time.monotonic() + INSISTENCE
    while True:
        try:
            return action()
        except (OSError, http.client.HTTPException, Refused):
            if time.monotonic() > deadline:
                raise
        time.sleep(0.2)


def load(cloud, every, prefix):
    """Every other request is a read of Keystone, every fourth one of Glance, and every fourth a write."""
    def send(number):
        if number % 2:
            attempt("read_keystone", lambda: cloud.knows("admin"))
        elif number % 4:
            attempt("read_glance", cloud.images)
        else:
            name = f"{prefix}-{number}"
            attempt("write", lambda: cloud.make(name), name=name)

    keep_sending(send, every, 2 * TIMEOUT)


def verify(cloud):
    """Ask for all at once, and then by itself for each name that is missing: a list could be cut at a limit."""
    names = sys.stdin.read().split()
    listed = insist(cloud.projects)
    for name in names:
        if name not in listed and not insist(lambda: cloud.knows(name)):
            report(lost=name)
    report(verified=len(names))


if sys.argv[1] == "load":
    load(Cloud(), float(sys.argv[2]), sys.argv[3])
else:
    verify(Cloud())
