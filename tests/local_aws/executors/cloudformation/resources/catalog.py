"""AWS Glue: databases, tables, crawlers, jobs, triggers and workflows. Names are their ids."""

from __future__ import annotations

from typing import Any

from . import resource, without

_Aws = Any
_Properties = dict[str, Any]


@resource("AWS::Glue::Database")
class Database:
    """A database of the Data Catalog."""

    @staticmethod
    def create(aws: _Aws, name: str, properties: _Properties) -> tuple[str, _Properties]:
        given = {"Name": name.lower(), **properties["DatabaseInput"]}
        aws("glue").create_database(DatabaseInput=given)
        return given["Name"], {}

    @staticmethod
    def update(aws: _Aws, database: str, old: _Properties, new: _Properties) -> None:
        given = {"Name": database, **new["DatabaseInput"]}
        aws("glue").update_database(Name=database, DatabaseInput=given)

    @staticmethod
    def delete(aws: _Aws, database: str, properties: _Properties) -> None:
        aws("glue").delete_database(Name=database)


@resource("AWS::Glue::Table")
class Table:
    """A table of the Data Catalog."""

    @staticmethod
    def create(aws: _Aws, name: str, properties: _Properties) -> tuple[str, _Properties]:
        given = {"Name": name.lower(), **properties["TableInput"]}
        aws("glue").create_table(DatabaseName=properties["DatabaseName"], TableInput=given)
        return given["Name"], {}

    @staticmethod
    def update(aws: _Aws, table: str, old: _Properties, new: _Properties) -> None:
        given = {"Name": table, **new["TableInput"]}
        aws("glue").update_table(DatabaseName=new["DatabaseName"], TableInput=given)

    @staticmethod
    def delete(aws: _Aws, table: str, properties: _Properties) -> None:
        aws("glue").delete_table(DatabaseName=properties["DatabaseName"], Name=table)


@resource("AWS::Glue::Crawler")
class Crawler:
    """A crawler. A schedule in a template is an object that holds the expression."""

    @staticmethod
    def create(aws: _Aws, name: str, properties: _Properties) -> tuple[str, _Properties]:
        crawler = properties.get("Name", name)
        aws("glue").create_crawler(Name=crawler, **Crawler._settings(properties))
        return crawler, {}

    @staticmethod
    def _settings(properties: _Properties) -> _Properties:
        settings = without(properties, "Name", "Schedule")
        if "Schedule" in properties:
            settings["Schedule"] = properties["Schedule"]["ScheduleExpression"]
        return settings

    @staticmethod
    def update(aws: _Aws, crawler: str, old: _Properties, new: _Properties) -> None:
        settings = without(Crawler._settings(new), "Tags")
        aws("glue").update_crawler(Name=crawler, **settings)

    @staticmethod
    def delete(aws: _Aws, crawler: str, properties: _Properties) -> None:
        aws("glue").delete_crawler(Name=crawler)


@resource("AWS::Glue::Job")
class Job:
    """A job."""

    @staticmethod
    def create(aws: _Aws, name: str, properties: _Properties) -> tuple[str, _Properties]:
        job = properties.get("Name", name)
        aws("glue").create_job(Name=job, **without(properties, "Name"))
        return job, {}

    @staticmethod
    def update(aws: _Aws, job: str, old: _Properties, new: _Properties) -> None:
        aws("glue").update_job(JobName=job, JobUpdate=without(new, "Name", "Tags"))

    @staticmethod
    def delete(aws: _Aws, job: str, properties: _Properties) -> None:
        aws("glue").delete_job(JobName=job)


@resource("AWS::Glue::Trigger")
class Trigger:
    """What starts jobs and crawlers."""

    @staticmethod
    def create(aws: _Aws, name: str, properties: _Properties) -> tuple[str, _Properties]:
        trigger = properties.get("Name", name)
        aws("glue").create_trigger(Name=trigger, **without(properties, "Name"))
        return trigger, {}

    @staticmethod
    def delete(aws: _Aws, trigger: str, properties: _Properties) -> None:
        aws("glue").delete_trigger(Name=trigger)


@resource("AWS::Glue::Workflow")
class Workflow:
    """Triggers, jobs and crawlers that belong together."""

    @staticmethod
    def create(aws: _Aws, name: str, properties: _Properties) -> tuple[str, _Properties]:
        workflow = properties.get("Name", name)
        aws("glue").create_workflow(Name=workflow, **without(properties, "Name"))
        return workflow, {}

    @staticmethod
    def delete(aws: _Aws, workflow: str, properties: _Properties) -> None:
        aws("glue").delete_workflow(Name=workflow)
