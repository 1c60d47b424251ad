"""AWS Glue job (Spark): features of the flights of each month that has none yet.

Job arguments:

    --raw        where the flights lie, as <raw>/year=2013/month=4/….parquet
    --features   where the features go, as <features>/year=2013/month=4/….parquet
    --year       the year
    --smoothing  how many flights the overall rate counts for in an encoded rate, such as 20
    --months     optional: months to compute again, such as 3,4

A month is new if <features> has no folder for it: the output itself is the record of what is done.
The first month has no past to learn rates from and gets no features. A month that is computed
again replaces what was there, so a repeated run changes nothing.

`flight_features.py` defines the same features in pandas, with what each one means.
"""

import math
import sys

import boto3
from awsglue.utils import getResolvedOptions
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

LATE_AFTER_MINUTES = 15
WINDOW_DAYS = (-8, -2)
KEYS = ["year", "month", "day", "hour", "minute", "carrier", "flight", "origin", "dest"]
NEEDED = ["day", "hour", "minute", "carrier", "flight", "tailnum", "origin", "dest", "distance"]
ENCODED = {
    "tailnum": ["tailnum"],
    "route": ["origin", "dest"],
    "carrier_hour": ["carrier", "hour"],
}


def months_under(folder: str, year: int) -> list[int]:
    """The months that have a folder below `<folder>/year=<year>/`."""
    bucket, _, prefix = folder.removeprefix("s3://").partition("/")
    start = f"{prefix.rstrip('/')}/year={year}/month="
    pages = (
        boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=start)
    )
    keys = pages.search("Contents[].Key")
    return sorted({int(key[len(start) :].partition("/")[0]) for key in keys if key})


def read_month(spark: SparkSession, raw: str, year: int, month: int) -> DataFrame:
    """The flights of one month.

    Raises:
        ValueError: if columns are missing, or there is no flight.
    """
    flights = spark.read.parquet(f"{raw}/year={year}/month={month}/")
    missing = sorted(set(NEEDED + ["arr_delay"]) - set(flights.columns))
    if missing:
        raise ValueError(f"month {month} lacks the columns {', '.join(missing)}")
    if flights.isEmpty():
        raise ValueError(f"month {month} holds no flight")
    late = (F.col("arr_delay") > LATE_AFTER_MINUTES).cast("int")
    date = F.make_date(F.lit(year), F.lit(month), F.col("day"))
    return flights.select(
        *NEEDED,
        late.alias("late"),
        F.lit(year).alias("year"),
        F.lit(month).alias("month"),
        date.alias("date"),
        F.datediff(date, F.lit("1970-01-01")).alias("day_number"),
    )


def features_of(flights: DataFrame, month: int, smoothing: float) -> DataFrame:
    """Features of the flights of a month, from what the months before it and its own days show.

    Raises:
        ValueError: if no flight before the month has an arrival time.
    """
    past = flights.where(F.col("month") < month)
    prior = past.agg(F.avg("late")).first()[0]
    if prior is None:
        raise ValueError(f"no flight before month {month} has an arrival time")
    table = flights.where(F.col("month") == month)
    for name, columns in ENCODED.items():
        table = table.join(encoded(past, name, columns, prior, smoothing), columns, "left")
        table = table.fillna({f"{name}_late_rate": prior})
    counts = past.groupBy("origin", "dest").agg(F.count("*").alias("route_flights"))
    table = table.join(counts, ["origin", "dest"], "left").fillna({"route_flights": 0})
    table = table.join(recent_days(flights), ["origin", "day_number"], "left")
    angle = 2 * math.pi * (F.col("hour") + F.col("minute") / 60) / 24
    return table.select(
        *KEYS,
        "late",
        F.weekday("date").alias("weekday"),
        F.sin(angle).alias("time_sin"),
        F.cos(angle).alias("time_cos"),
        "distance",
        F.col("route_flights").cast("int").alias("route_flights"),
        *[f"{name}_late_rate" for name in ENCODED],
        F.coalesce("origin_late_7d", F.lit(prior)).alias("origin_late_7d"),
    )


def encoded(
    past: DataFrame, name: str, columns: list[str], prior: float, smoothing: float
) -> DataFrame:
    """The smoothed share of late flights for each value of the columns."""
    grouped = past.groupBy(*columns).agg(F.sum("late").alias("s"), F.count("late").alias("n"))
    rate = (F.coalesce("s", F.lit(0)) + smoothing * prior) / (F.col("n") + smoothing)
    return grouped.select(*columns, rate.alias(f"{name}_late_rate"))


def recent_days(flights: DataFrame) -> DataFrame:
    """For each airport and day, the share of late flights eight to two days before."""
    daily = flights.groupBy("origin", "day_number").agg(
        F.sum("late").alias("s"), F.count("late").alias("n")
    )
    week = Window.partitionBy("origin").orderBy("day_number").rangeBetween(*WINDOW_DAYS)
    share = F.sum("s").over(week) / F.sum("n").over(week)
    return daily.select("origin", "day_number", share.alias("origin_late_7d"))


def main() -> None:
    """Compute what is missing, or what the arguments name."""
    names = ["raw", "features", "year", "smoothing"]
    if "--months" in sys.argv:
        names.append("months")
    options = getResolvedOptions(sys.argv, names)
    raw, features = options["raw"].rstrip("/"), options["features"].rstrip("/")
    year = int(options["year"])

    there = months_under(raw, year)
    if "months" in options:
        wanted = [int(month) for month in options["months"].split(",")]
    else:
        wanted = sorted(set(there[1:]) - set(months_under(features, year)))
    unknown = sorted(set(wanted) - set(there[1:]))
    if unknown:
        raise ValueError(f"no features can be made for months {unknown}: raw holds {there}")
    if not wanted:
        print("nothing new")
        return

    spark = SparkSession.builder.appName("flight-features").getOrCreate()
    spark.conf.set("spark.sql.sources.partitionOverwriteMode", "dynamic")
    flights = read_month(spark, raw, year, there[0])
    for month in there[1 : there.index(max(wanted)) + 1]:
        flights = flights.unionByName(read_month(spark, raw, year, month))
    flights.cache()
    for month in wanted:
        table = features_of(
            flights.where(F.col("month") <= month), month, float(options["smoothing"])
        )
        table = table.orderBy("day", "hour", "minute", "carrier", "flight", "origin").coalesce(1)
        table.write.mode("overwrite").partitionBy("year", "month").parquet(features)
        print(f"month {month}: {flights.where(F.col('month') == month).count():,} flights")


if __name__ == "__main__":
    main()
