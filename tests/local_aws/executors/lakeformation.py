"""Lake Formation: moto keeps the grants; what a listing of a table's grants holds is put right."""

from __future__ import annotations

from typing import Any

from ..gateway import Call, handles


@handles("lakeformation", "ListPermissions")
def list_permissions(call: Call) -> dict[str, Any]:
    """The grants that a filter leaves.

    A listing for a table also names the grants on some of its columns, which moto leaves out.
    https://docs.aws.amazon.com/lake-formation/latest/APIReference/API_ListPermissions.html
    """
    answer = call.forward()
    table = call.params.get("Resource", {}).get("Table")
    if not table or not table.get("Name"):
        return answer
    wider = {
        key: value for key, value in call.params.items() if key not in ("Resource", "Principal")
    }
    everything = call.forward(wider | {"ResourceType": "TABLE"})["PrincipalResourcePermissions"]
    principal = call.params.get("Principal")
    for grant in everything:
        columns = grant["Resource"].get("TableWithColumns")
        if not columns or (principal and grant["Principal"] != principal):
            continue
        if (columns["DatabaseName"], columns["Name"]) == (table["DatabaseName"], table["Name"]):
            answer["PrincipalResourcePermissions"].append(grant)
    return answer
