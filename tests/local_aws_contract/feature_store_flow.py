"""What a notebook does with the SDK's Feature Store, as a program: `test_feature_store` runs it.

It needs the environment of the offline AWS before its first import. What came out of it goes into
the JSON file that its one argument names.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.mlops.feature_store import (
    DatasetBuilder,
    FeatureGroup,
    OfflineStoreConfig,
    OnlineStoreConfig,
    S3StorageConfig,
    create_athena_query,
    ingest_dataframe,
    load_feature_definitions_from_dataframe,
)

NAME = "sdk-delays"


def main() -> dict[str, Any]:
    """Create, ingest in both ways, read online and offline, build a dataset, delete."""
    session = Session()
    place = f"s3://{session.default_bucket()}"
    table = pd.DataFrame(
        {
            "airport": ["JFK", "LGA", "EWR", "JFK"],
            "flights": [10, 7, 12, 11],
            "late": [0.25, 0.5, None, 0.75],
            "event_time": [1362139200.0, 1362139200.0, 1362139200.0, 1362142800.0],
        }
    )
    group = FeatureGroup.create(
        feature_group_name=NAME,
        record_identifier_feature_name="airport",
        event_time_feature_name="event_time",
        feature_definitions=load_feature_definitions_from_dataframe(table),
        role_arn=get_execution_role(),
        online_store_config=OnlineStoreConfig(enable_online_store=True),
        offline_store_config=OfflineStoreConfig(
            s3_storage_config=S3StorageConfig(s3_uri=f"{place}/store")
        ),
    )
    group.wait_for_status("Created")
    ingest_dataframe(feature_group_name=NAME, data_frame=table[:2], max_workers=1)
    ingest_dataframe(feature_group_name=NAME, data_frame=table[2:], use_batch_write_record=True)
    record = group.get_record(record_identifier_value_as_string="JFK").record
    _wait_for_rows(session, place, len(table))
    found = {
        "status": group.feature_group_status,
        "online": {each.feature_name: each.value_as_string for each in record},
        "rows": _rows(session, place),
        "dataset": _dataset(session, place).to_dict("records"),
        "groups": [each.feature_group_name for each in FeatureGroup.get_all()],
    }
    group.delete()
    return found


def _dataset(session: Session, place: str) -> pd.DataFrame:
    """A base table with one time for each airport, joined to the features of that time."""
    base = pd.DataFrame(
        {"airport": ["JFK", "LGA"], "event_time": [1362140000.0, 1362150000.0], "label": [0, 1]}
    )
    builder = DatasetBuilder.create(
        base=base,
        output_path=f"{place}/datasets",
        session=session,
        record_identifier_feature_name="airport",
        event_time_identifier_feature_name="event_time",
    )
    group = FeatureGroup.get(NAME)
    builder = builder.with_feature_group(group, "airport").point_in_time_accurate_join()
    built, _ = builder.to_dataframe()
    return built.sort_values("airport")


def _rows(session: Session, place: str) -> list[dict[str, Any]]:
    query = create_athena_query(NAME, session)
    query.run(
        query_string=f'SELECT * FROM "{query.table_name}" ORDER BY event_time, airport',
        output_location=f"{place}/athena",
    )
    query.wait()
    columns = ["airport", "flights", "late", "is_deleted"]
    return json.loads(query.as_dataframe()[columns].to_json(orient="records"))


def _wait_for_rows(session: Session, place: str, count: int) -> None:
    until = time.monotonic() + 60
    while len(_rows(session, place)) < count:
        if time.monotonic() > until:
            raise TimeoutError(f"{count} rows have not arrived")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(main()))
