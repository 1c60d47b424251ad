"""Glue Data Quality: rulesets, proposals and evaluations, on tables of the catalog.

https://docs.aws.amazon.com/glue/latest/dg/dqdl-rule-types.html
"""

from __future__ import annotations

import json
import math
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_aws.environment import LocalAWS

CSV = """id,city,age,score,note
1,Oslo,30,1.5,aa
2,Oslo,41,2.5,bb
3,Rome,,3.5,cc
4,Rome,29,4.5,dd
5,Bonn,55,5.5,
"""
CITIES = "name\nOslo\nRome\n"


@pytest.fixture
def glue(aws: LocalAWS) -> Any:
    """A client; the tables `people` and `cities` in the database `db`; a role `quality`."""
    s3, client = aws.client("s3"), aws.client("glue")
    s3.create_bucket(Bucket="lake")
    client.create_database(DatabaseInput={"Name": "db"})
    kinds = {"id": "int", "city": "string", "age": "int", "score": "double", "note": "string"}
    for name, text, columns in (("people", CSV, kinds), ("cities", CITIES, {"name": "string"})):
        s3.put_object(Bucket="lake", Key=f"{name}/data.csv", Body=text.encode())
        client.create_table(DatabaseName="db", TableInput=table(name, columns))
    trust = {"Effect": "Allow", "Principal": {"Service": "glue.amazonaws.com"}}
    document = {"Version": "2012-10-17", "Statement": [{**trust, "Action": "sts:AssumeRole"}]}
    aws.client("iam").create_role(RoleName="quality", AssumeRolePolicyDocument=json.dumps(document))
    return client


def table(name: str, columns: dict[str, str]) -> dict[str, Any]:
    return {
        "Name": name,
        "Parameters": {"classification": "csv", "skip.header.line.count": "1"},
        "StorageDescriptor": {
            "Columns": [{"Name": each, "Type": kind} for each, kind in columns.items()],
            "Location": f"s3://lake/{name}/",
            "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
            "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
            "SerdeInfo": {
                "SerializationLibrary": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
                "Parameters": {"field.delim": ",", "serialization.null.format": ""},
            },
        },
    }


def source(name: str = "people") -> dict[str, Any]:
    return {"GlueTable": {"DatabaseName": "db", "TableName": name}}


def wait(get: Any, run_id: str) -> dict[str, Any]:
    for _ in range(300):
        run = get(RunId=run_id)
        if run["Status"] not in ("STARTING", "RUNNING", "STOPPING"):
            return run
        time.sleep(0.1)
    raise AssertionError("The run has not ended.")


def evaluate(glue: Any, *rules: str, **options: Any) -> dict[str, Any]:
    """The result of these rules on the people."""
    glue.create_data_quality_ruleset(Name="rules", Ruleset=f"Rules = [ {', '.join(rules)} ]")
    run = glue.start_data_quality_ruleset_evaluation_run(
        DataSource=source(), Role="quality", RulesetNames=["rules"], **options
    )
    ended = wait(glue.get_data_quality_ruleset_evaluation_run, run["RunId"])
    assert ended["Status"] == "SUCCEEDED", ended
    return glue.get_data_quality_result(ResultId=ended["ResultIds"][0])


def one(glue: Any, rule: str, **options: Any) -> dict[str, Any]:
    """How one rule comes out."""
    (result,) = evaluate(glue, rule, **options)["RuleResults"]
    return result


# ── every rule, once kept and once broken ────────────────────────────────────────────────────────

ENTROPY = -(2 * 0.4 * math.log(0.4) + 0.2 * math.log(0.2))


@pytest.mark.parametrize(
    ("kept", "broken", "metric", "value"),
    [
        ("RowCount = 5", "RowCount > 5", "Dataset.*.RowCount", 5),
        ("ColumnCount = 5", "ColumnCount = 4", "Dataset.*.ColumnCount", 5),
        ('IsComplete "id"', 'IsComplete "age"', None, None),
        ('Completeness "age" >= 0.8', 'Completeness "age" > 0.8', "Column.age.Completeness", 0.8),
        ('IsUnique "id"', 'IsUnique "city"', None, None),
        ('Uniqueness "city" <= 0.2', 'Uniqueness "city" > 0.2', "Column.city.Uniqueness", 0.2),
        (
            'UniqueValueRatio "city" between 0.3 and 0.4',
            'UniqueValueRatio "city" = 1',
            "Column.city.UniqueValueRatio",
            1 / 3,
        ),
        (
            'DistinctValuesCount "city" = 3',
            'DistinctValuesCount "city" > 3',
            "Column.city.DistinctValuesCount",
            3,
        ),
        ('IsPrimaryKey "id"', 'IsPrimaryKey "city"', None, None),
        ('IsPrimaryKey "city" "id"', 'IsPrimaryKey "age"', None, None),
        ('Mean "score" = 3.5', 'Mean "score" < 3.5', "Column.score.Mean", 3.5),
        ('Sum "score" = 17.5', 'Sum "score" > 17.5', "Column.score.Sum", 17.5),
        (
            'StandardDeviation "score" between 1.4 and 1.5',
            'StandardDeviation "score" > 2',
            "Column.score.StandardDeviation",
            math.sqrt(2),
        ),
        ('Entropy "city" > 1', 'Entropy "city" < 1', "Column.city.Entropy", ENTROPY),
        ('ColumnCorrelation "id" "score" > 0.99', 'ColumnCorrelation "id" "score" < 0', None, None),
        ('ColumnValues "score" >= 1.5', 'ColumnValues "score" > 1.5', "Column.score.Minimum", 1.5),
        ('ColumnValues "score" < 6', 'ColumnValues "score" < 5', "Column.score.Maximum", 5.5),
        ('ColumnValues "id" between 0 and 6', 'ColumnValues "id" between 1 and 5', None, None),
        (
            'ColumnValues "city" in ["Oslo","Rome","Bonn"]',
            'ColumnValues "city" in ["Oslo"]',
            None,
            None,
        ),
        ('ColumnValues "city" not in ["Paris"]', 'ColumnValues "city" not in ["Rome"]', None, None),
        (
            'ColumnValues "city" matches "[A-Z][a-z]+"',
            'ColumnValues "city" matches "O.*"',
            None,
            None,
        ),
        ('ColumnValues "city" != NULL', 'ColumnValues "age" != NULL', None, None),
        (
            'ColumnValues "city" = "Oslo" with threshold >= 0.4',
            'ColumnValues "city" = "Oslo" with threshold > 0.4',
            "Column.city.ColumnValues.Compliance",
            0.4,
        ),
        ('ColumnLength "city" = 4', 'ColumnLength "city" > 4', "Column.city.MaximumLength", 4),
        ('ColumnDataType "age" = "Integer"', 'ColumnDataType "city" = "Integer"', None, None),
        ('ColumnExists "age"', 'ColumnExists "height"', None, None),
        ('ColumnNamesMatchPattern "[a-z]+"', 'ColumnNamesMatchPattern "[a-d]+"', None, None),
        (
            'ReferentialIntegrity "city" "towns.name" = 0.8',
            'ReferentialIntegrity "city" "towns.{name}" = 1.0',
            "Column.city.ReferentialIntegrity",
            0.8,
        ),
        ('RowCountMatch "towns" = 2.5', 'RowCountMatch "towns" = 1.0', None, None),
        ('SchemaMatch "towns" = 0.0', 'SchemaMatch "towns" = 1.0', None, None),
        (
            'AggregateMatch "sum(score)" "sum(id)" > 1.1',
            'AggregateMatch "sum(score)" "sum(id)" = 1.0',
            None,
            None,
        ),
        (
            'CustomSql "select count(*) from primary where age > 40" = 2',
            'CustomSql "select count(*) from primary" = 2',
            "Dataset.*.CustomSQL",
            None,
        ),
        (
            'CustomSql "select id from primary join towns t on city = name" with threshold > 0.7',
            'CustomSql "select id from primary where age > 100"',
            None,
            None,
        ),
        (
            '(RowCount = 5) and (IsComplete "id")',
            '(RowCount = 5) and (IsComplete "age")',
            None,
            None,
        ),
        ('(RowCount = 4) or (IsComplete "id")', '(RowCount = 4) or (IsComplete "age")', None, None),
        (
            'IsComplete "age" where "city = \'Oslo\'"',
            'IsComplete "age" where "city = \'Rome\'"',
            None,
            None,
        ),
    ],
)
def test_a_rule_passes_and_fails(
    glue: Any, kept: str, broken: str, metric: str | None, value: float | None
) -> None:
    result = evaluate(glue, kept, broken, AdditionalDataSources={"towns": source("cities")})
    good, bad = result["RuleResults"]
    assert (good["Result"], bad["Result"]) == ("PASS", "FAIL"), (good, bad)
    assert "EvaluationMessage" not in good
    assert bad["EvaluationMessage"]
    assert result["Score"] == 0.5
    if metric:
        assert metric in good["EvaluatedMetrics"]
    if value is not None:
        assert good["EvaluatedMetrics"][metric] == pytest.approx(value)


def test_a_failure_names_the_value(glue: Any) -> None:
    result = one(glue, 'Completeness "age" > 0.9')
    assert result["Name"] == "Rule_1"
    assert result["Description"] == 'Completeness "age" > 0.9'
    assert result["EvaluationMessage"] == "Value: 0.8 does not meet the constraint requirement!"


def test_a_column_that_is_not_there_is_an_error_and_no_pass(glue: Any) -> None:
    result = one(glue, 'IsComplete "height"')
    assert result["Result"] == "ERROR"
    assert "height" in result["EvaluationMessage"]
    assert "score" in result["EvaluationMessage"]


def test_an_alias_that_was_not_given_is_an_error(glue: Any) -> None:
    result = one(glue, 'ReferentialIntegrity "city" "towns.name" > 0.5')
    assert result["Result"] == "ERROR"
    assert "AdditionalDataSources" in result["EvaluationMessage"]


def test_sql_that_is_none_is_an_error(glue: Any) -> None:
    assert one(glue, 'CustomSql "selct nothing" > 1')["Result"] == "ERROR"


def test_only_what_is_new_is_fresh(glue: Any, aws: LocalAWS) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    rows = [now - timedelta(hours=1), now - timedelta(hours=30)]
    body = "at\n" + "".join(f"{row:%Y-%m-%d %H:%M:%S}\n" for row in rows)
    aws.client("s3").put_object(Bucket="lake", Key="times/data.csv", Body=body.encode())
    glue.create_table(DatabaseName="db", TableInput=table("times", {"at": "timestamp"}))
    rules = 'DataFreshness "at" <= 40 hours', 'DataFreshness "at" < 1 day'
    glue.create_data_quality_ruleset(Name="rules", Ruleset=f"Rules = [ {', '.join(rules)} ]")
    run = glue.start_data_quality_ruleset_evaluation_run(
        DataSource=source("times"), Role="quality", RulesetNames=["rules"]
    )
    ended = wait(glue.get_data_quality_ruleset_evaluation_run, run["RunId"])
    fresh, old = glue.get_data_quality_result(ResultId=ended["ResultIds"][0])["RuleResults"]
    assert (fresh["Result"], old["Result"]) == ("PASS", "FAIL")
    assert 29 < fresh["EvaluatedMetrics"]["Column.at.DataFreshness.Maximum"] < 31


# ── rulesets ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("ruleset", "reason"),
    [
        ("Rules = [ ]", "Invalid DQDL"),
        ('Rules = [ IsComplete "a" IsUnique "b" ]', "line 1, column"),
        ("rules = [ RowCount > 1 ]", "Invalid DQDL"),
        ('Rules = [ IsPretty "a" ]', "Unknown rule type IsPretty"),
        ("Rules = [ RowCount ]", "takes an expression"),
        ('Rules = [ IsComplete "a" > 0.5 ]', "takes no expression"),
        ("Rules = [ IsComplete ]", "takes 1 parameters, not 0"),
        ("Rules = [ RowCount > avg(last(10)) ]", "Dynamic rules"),
    ],
)
def test_what_is_no_dqdl_is_refused_with_the_place(glue: Any, ruleset: str, reason: str) -> None:
    with pytest.raises(glue.exceptions.InvalidInputException, match="(?s)" + reason):
        glue.create_data_quality_ruleset(Name="rules", Ruleset=ruleset)
    assert glue.list_data_quality_rulesets()["Rulesets"] == []


def test_a_rule_type_that_is_not_carried_out_says_so(glue: Any) -> None:
    with pytest.raises(ClientError, match="DetectAnomalies"):
        glue.create_data_quality_ruleset(Name="r", Ruleset='Rules = [ DetectAnomalies "RowCount" ]')


def test_comments_and_a_trailing_comma_are_allowed(glue: Any) -> None:
    text = "# what we rely on\nRules = [\n  RowCount > 1, # some\n]"
    glue.create_data_quality_ruleset(Name="r", Ruleset=text)
    assert glue.get_data_quality_ruleset(Name="r")["Ruleset"] == text


def test_rulesets_are_kept_changed_listed_and_deleted(glue: Any) -> None:
    target = {"DatabaseName": "db", "TableName": "people"}
    for name in ("a", "b"):
        glue.create_data_quality_ruleset(
            Name=name, Ruleset="Rules = [ RowCount > 1 ]", TargetTable=target, Tags={"kept": name}
        )
    with pytest.raises(glue.exceptions.AlreadyExistsException):
        glue.create_data_quality_ruleset(Name="a", Ruleset="Rules = [ RowCount > 1 ]")
    glue.update_data_quality_ruleset(Name="a", Ruleset='Rules = [ RowCount > 1, IsUnique "id" ]')
    listed = glue.list_data_quality_rulesets()["Rulesets"]
    assert [(each["Name"], each["RuleCount"]) for each in listed] == [("a", 2), ("b", 1)]
    assert [r["Name"] for r in glue.list_data_quality_rulesets(Tags={"kept": "b"})["Rulesets"]] == [
        "b"
    ]
    first = glue.list_data_quality_rulesets(MaxResults=1)
    again = glue.list_data_quality_rulesets(MaxResults=1, NextToken=first["NextToken"])
    assert again["Rulesets"][0]["Name"] == "b"
    arn = "arn:aws:glue:us-east-1:123456789012:dataQualityRuleset/a"
    assert glue.get_tags(ResourceArn=arn)["Tags"] == {"kept": "a"}
    glue.delete_data_quality_ruleset(Name="a")
    with pytest.raises(glue.exceptions.EntityNotFoundException):
        glue.get_data_quality_ruleset(Name="a")


# ── runs ─────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_proposed_passes_today(glue: Any) -> None:
    run = glue.start_data_quality_rule_recommendation_run(
        DataSource=source(), Role="quality", CreatedRulesetName="proposed"
    )
    ended = wait(glue.get_data_quality_rule_recommendation_run, run["RunId"])
    assert ended["Status"] == "SUCCEEDED"
    assert 'IsComplete "id"' in ended["RecommendedRuleset"]
    assert 'Completeness "age" >= 0.79' in ended["RecommendedRuleset"]
    kept = glue.get_data_quality_ruleset(Name="proposed")
    assert kept["Ruleset"] == ended["RecommendedRuleset"]
    assert kept["RecommendationRunId"] == run["RunId"]
    run = glue.start_data_quality_ruleset_evaluation_run(
        DataSource=source(), Role="quality", RulesetNames=["proposed"]
    )
    ended = wait(glue.get_data_quality_ruleset_evaluation_run, run["RunId"])
    result = glue.get_data_quality_result(ResultId=ended["ResultIds"][0])
    assert [r for r in result["RuleResults"] if r["Result"] != "PASS"] == []


def test_a_schema_that_changed_is_noticed(glue: Any, aws: LocalAWS) -> None:
    renamed = CSV.replace("1,Oslo", "one,Oslo").encode()
    aws.client("s3").put_object(Bucket="lake", Key="people/data.csv", Body=renamed)
    assert one(glue, 'IsComplete "id"')["Result"] == "FAIL"


def test_data_that_cannot_be_read_is_no_pass(glue: Any, aws: LocalAWS) -> None:
    for name in ("people", "cities"):
        aws.client("s3").delete_object(Bucket="lake", Key=f"{name}/data.csv")
    aws.client("s3").delete_bucket(Bucket="lake")
    result = one(glue, "RowCount > 1")
    assert result["Result"] == "ERROR"
    assert "bucket" in result["EvaluationMessage"]


def test_a_role_that_glue_may_not_assume_is_refused(glue: Any) -> None:
    glue.create_data_quality_ruleset(Name="rules", Ruleset="Rules = [ RowCount > 1 ]")
    with pytest.raises(glue.exceptions.InvalidInputException, match="unable to assume"):
        glue.start_data_quality_ruleset_evaluation_run(
            DataSource=source(), Role="nobody", RulesetNames=["rules"]
        )


@pytest.mark.parametrize(("table_name", "ruleset"), [("nothing", "rules"), ("people", "nothing")])
def test_what_is_not_there_is_refused(glue: Any, table_name: str, ruleset: str) -> None:
    glue.create_data_quality_ruleset(Name="rules", Ruleset="Rules = [ RowCount > 1 ]")
    with pytest.raises(glue.exceptions.EntityNotFoundException, match="nothing"):
        glue.start_data_quality_ruleset_evaluation_run(
            DataSource=source(table_name), Role="quality", RulesetNames=[ruleset]
        )


def test_results_go_to_s3_and_cloudwatch_when_asked(glue: Any, aws: LocalAWS) -> None:
    options = {"CloudWatchMetricsEnabled": True, "ResultsS3Prefix": "s3://lake/results/"}
    result = evaluate(glue, "RowCount = 5", "RowCount = 6", AdditionalRunOptions=options)
    stored = aws.client("s3").get_object(Bucket="lake", Key=f"results/{result['ResultId']}.json")
    assert json.loads(stored["Body"].read())["Score"] == 0.5
    listed = aws.client("cloudwatch").list_metrics(Namespace="Glue Data Quality")["Metrics"]
    assert "glue.data.quality.rules.failed" in {each["MetricName"] for each in listed}


def test_runs_and_results_are_listed(glue: Any) -> None:
    result = evaluate(glue, "RowCount = 5")
    runs = glue.list_data_quality_ruleset_evaluation_runs(Filter={"DataSource": source()})["Runs"]
    assert [run["RunId"] for run in runs] == [result["RulesetEvaluationRunId"]]
    assert glue.list_data_quality_rule_recommendation_runs()["Runs"] == []
    listed = glue.list_data_quality_results()["Results"]
    assert [each["ResultId"] for each in listed] == [result["ResultId"]]
    several = glue.batch_get_data_quality_result(ResultIds=[result["ResultId"], "dqresult-none"])
    assert several["ResultsNotFound"] == ["dqresult-none"]
    with pytest.raises(glue.exceptions.InvalidInputException, match="cannot be cancelled"):
        glue.cancel_data_quality_ruleset_evaluation_run(RunId=runs[0]["RunId"])


def test_analyzers_measure_and_judge_nothing(glue: Any) -> None:
    text = 'Rules = [ RowCount = 5 ] Analyzers = [ Completeness "age", Mean "score" ]'
    glue.create_data_quality_ruleset(Name="measured", Ruleset=text)
    run = glue.start_data_quality_ruleset_evaluation_run(
        DataSource=source(), Role="quality", RulesetNames=["measured"]
    )
    ended = wait(glue.get_data_quality_ruleset_evaluation_run, run["RunId"])
    result = glue.get_data_quality_result(ResultId=ended["ResultIds"][0])
    assert result["Score"] == 1.0
    found = [each["EvaluatedMetrics"] for each in result["AnalyzerResults"]]
    assert found == [{"Column.age.Completeness": 0.8}, {"Column.score.Mean": 3.5}]
