"""Step Functions: moto keeps the state machines and interprets them; its interpreter is completed.

Executions call the services of this account through boto3, with a session of the state machine's
role, like any client.
"""

import logging

from moto.core.config import default_user_config

from ... import triggers

triggers.install("stepfunctions")
# What fails is in the history of the execution; moto tells it to the terminal, too.
logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)
default_user_config["stepfunctions"] = {"execute_state_machine": True}

from . import executions, machines, try_state  # noqa: E402 (they use the completed interpreter)

__all__ = ["executions", "machines", "try_state"]
