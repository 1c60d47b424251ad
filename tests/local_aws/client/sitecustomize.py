"""Two things that no documented switch does; on the path only in the offline AWS.

The SageMaker SDK builds the address of STS by hand, so that AWS_ENDPOINT_URL does not reach it, and
it polls at fixed intervals of up to 30 seconds, which suit jobs that take minutes. Both are mended
here, and only while AWS_ENDPOINT_URL is a loopback address.
"""

import importlib.abc
import os
import sys
import time

_LONGEST_POLL_SECONDS = 0.25


def _redirect_addresses(session_module):
    """Send a client with a hand-built AWS address to the offline AWS instead."""
    create_client = session_module.Session.create_client

    def redirected(self, service_name, *args, **kwargs):
        if ".amazonaws.com" in (kwargs.get("endpoint_url") or ""):
            kwargs["endpoint_url"] = os.environ["AWS_ENDPOINT_URL"]
        return create_client(self, service_name, *args, **kwargs)

    session_module.Session.create_client = redirected


def _shorten_polls():
    """Let the SageMaker SDK look again sooner; everybody else sleeps as long as asked."""
    sleep = time.sleep

    def shorter(seconds):
        caller = sys._getframe(1).f_globals.get("__name__", "")
        sleep(min(seconds, _LONGEST_POLL_SECONDS) if caller.startswith("sagemaker") else seconds)

    time.sleep = shorter


class _AfterImport(importlib.abc.MetaPathFinder):
    """Redirect addresses once botocore's session module is imported, and not before."""

    def find_spec(self, name, path=None, target=None):
        if name != "botocore.session":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def execute_and_redirect(module):
            execute(module)
            _redirect_addresses(module)

        spec.loader.exec_module = execute_and_redirect
        return spec


if os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://127.0.0.1:"):
    sys.meta_path.insert(0, _AfterImport())
    _shorten_polls()
