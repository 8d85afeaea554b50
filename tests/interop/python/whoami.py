"""A service that asks the hub who is there, as JupyterHub's documentation has it: `whoami.py PORT CACHE_SECONDS`."""

import json
import os
import secrets
import sys
from urllib.parse import urlparse

from jupyterhub.services.auth import HubOAuth, HubOAuthCallbackHandler, HubOAuthenticated
from jupyterhub.utils import url_path_join
from tornado.ioloop import IOLoop
from tornado.web import Application, RequestHandler, authenticated


class WhoAmIHandler(HubOAuthenticated, RequestHandler):
    @authenticated
    def get(self):
        self.set_header("content-type", "application/json")
        self.write(json.dumps(self.get_current_user(), sort_keys=True))


def main():
    port, cache = int(sys.argv[1]), int(sys.argv[2])
    HubOAuth.instance(cache_max_age=cache)
    prefix = os.environ["JUPYTERHUB_SERVICE_PREFIX"]
    app = Application(
        [
            (prefix, WhoAmIHandler),
            (url_path_join(prefix, "oauth_callback"), HubOAuthCallbackHandler),
        ],
        cookie_secret=os.environ.get("WHOAMI_COOKIE_SECRET", secrets.token_hex(32)),
    )
    app.listen(port, address="127.0.0.1")
    print(f"whoami listens on http://127.0.0.1:{port}{prefix}", flush=True)
    IOLoop.current().start()


main()
