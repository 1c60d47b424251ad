"""An error as an AWS service sends it."""

from __future__ import annotations

from typing import Any

from moto.core.exceptions import ServiceException


class AWSError(ServiceException):
    """Raised by an executor; the gateway sends it in the protocol of the request.

    `code` is the code a client sees (`ResourceNotFound`), `members` are the further members which
    the service model gives this error. `status` is the HTTP status where the model names none.
    """

    def __init__(self, code: str, message: str, status: int = 400, **members: Any) -> None:
        super().__init__(code, message)
        self.status = status
        for name, value in members.items():
            setattr(self, name, value)


def not_implemented(service: str, operation: str) -> AWSError:
    """The answer to an operation which neither an executor nor moto carries out."""
    return AWSError(
        "NotImplemented",
        f"The offline AWS does not carry out {service}:{operation}. "
        "Run this call on AWS, or add an executor for it to tests/local_aws/executors.",
        status=501,
    )
