"""Lake Formation: what is granted is listed, and no longer after it is revoked."""

from __future__ import annotations

import pytest

from tests.local_aws.environment import LocalAWS

_ANALYST = {"DataLakePrincipalIdentifier": "arn:aws:iam::123456789012:role/analyst"}
_OTHER = {"DataLakePrincipalIdentifier": "arn:aws:iam::123456789012:role/other"}
_TABLE = {"Table": {"DatabaseName": "lake", "Name": "flights"}}
_COLUMNS = {
    "TableWithColumns": {"DatabaseName": "lake", "Name": "flights", "ColumnNames": ["carrier"]}
}


def _listed(aws: LocalAWS, principal: dict[str, str]) -> list[dict]:
    client = aws.client("lakeformation")
    answer = client.list_permissions(Principal=principal, Resource=_TABLE)
    return [each["Resource"] for each in answer["PrincipalResourcePermissions"]]


@pytest.mark.parametrize("resource", [_TABLE, _COLUMNS])
def test_a_listing_of_a_table_has_its_grants_until_they_are_revoked(
    aws: LocalAWS, resource: dict
) -> None:
    client = aws.client("lakeformation")
    grant = {"Principal": _ANALYST, "Resource": resource, "Permissions": ["SELECT"]}
    client.grant_permissions(**grant)
    (found,) = _listed(aws, _ANALYST)
    assert set(found) == set(resource)
    assert _listed(aws, _OTHER) == []
    client.revoke_permissions(**grant)
    assert _listed(aws, _ANALYST) == []


def test_grants_on_another_table_are_not_listed(aws: LocalAWS) -> None:
    other = {"TableWithColumns": _COLUMNS["TableWithColumns"] | {"Name": "planes"}}
    aws.client("lakeformation").grant_permissions(
        Principal=_ANALYST, Resource=other, Permissions=["SELECT"]
    )
    assert _listed(aws, _ANALYST) == []
