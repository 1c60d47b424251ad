"""Athena's functions that DuckDB has not, or has with another meaning, as DuckDB macros."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

# Macros whose name begins with `athena_` stand for what `sql` translates; the others go by
# Athena's own name.
_MACROS = """
athena_divide(a, b) := CASE WHEN b = 0 THEN CASE WHEN a = 0 OR isnan(a) THEN 'nan'::DOUBLE
    WHEN a > 0 THEN 'inf'::DOUBLE WHEN a < 0 THEN '-inf'::DOUBLE END ELSE a / b END
athena_array_at(a, i) := CASE WHEN i = 0 THEN error('Array subscript must not be zero')
    WHEN i < 0 THEN error('Array subscript is negative: ' || i) WHEN i > len(a) THEN
    error('Array subscript must be less than or equal to array length: ' || i || ' > ' || len(a))
    ELSE a[i] END
athena_map_at(m, k) := CASE WHEN m IS NOT NULL AND NOT map_contains(m, k)
    THEN error('Key not present in map: ' || k) ELSE m[k] END
athena_regexp_extract(s, p, g) := CASE WHEN regexp_matches(s, p) THEN regexp_extract(s, p, g) END
athena_json_extract(j, p) := CASE WHEN json_valid(j) THEN json_extract(CAST(j AS JSON), p) END
athena_json_scalar(j, p) := CASE WHEN json_valid(j) AND json_type(CAST(j AS JSON), p)
    NOT IN ('OBJECT', 'ARRAY', 'NULL') THEN json_extract_string(CAST(j AS JSON), p) END
athena_field(text, value, n) := CASE WHEN value IS NULL AND text IS NOT NULL
    THEN error('Error parsing field value ''' || text || ''' for field ' || n) ELSE value END
athena_timestamp_text(t) := strftime(t, '%Y-%m-%d %H:%M:%S.%g')
array_union(a, b) := list_distinct(list_concat(a, b))
arrays_overlap(a, b) := list_has_any(a, b)
bitwise_left_shift(x, n) := x << n
bitwise_right_shift(x, n) := x >> n
codepoint(s) := unicode(s)
current_timezone() := 'UTC'
e() := exp(1)
every(x) := bool_and(x)
hamming_distance(a, b) := hamming(a, b)
infinity() := 'inf'::DOUBLE
is_finite(x) := isfinite(x)
is_infinite(x) := isinf(x)
json_array_contains(j, v) := list_contains(json_extract_string(j, '$[*]'), CAST(v AS VARCHAR))
json_array_get(j, i) := json_extract(j, '$[' || i || ']')
json_size(j, p) := CASE json_type(j, p) WHEN 'ARRAY' THEN json_array_length(j, p)
    WHEN 'OBJECT' THEN len(json_keys(j, p)) WHEN NULL THEN NULL ELSE 0 END
localtimestamp() := now() AT TIME ZONE 'UTC'
map_agg(k, v) := map(list(k) FILTER (k IS NOT NULL), list(v) FILTER (k IS NOT NULL))
nan() := 'nan'::DOUBLE
normalize(s) := nfc_normalize(s)
regexp_position(s, p) := CASE WHEN regexp_matches(s, p)
    THEN strpos(s, regexp_extract(s, p)) ELSE -1 END
to_date(s, f) := CAST(strptime(s, f) AS DATE)
to_iso8601(t) := strftime(t, '%Y-%m-%dT%H:%M:%S.%gZ')
trim_array(a, n) := a[1:len(a) - n]
url_extract_fragment(u) := regexp_extract(u, '#(.*)$', 1)
url_extract_host(u) := regexp_extract(u, '^[a-z]+://(?:[^/@]*@)?([^/:?#]*)', 1)
url_extract_parameter(u, n) := nullif(url_decode(regexp_extract(u,
    '[?&]' || n || '=([^&#]*)', 1)), '')
url_extract_path(u) := regexp_extract(u, '^[a-z]+://[^/?#]*([^?#]*)', 1)
url_extract_port(u) := TRY_CAST(regexp_extract(u, '^[a-z]+://[^/:]*:([0-9]+)', 1) AS BIGINT)
url_extract_protocol(u) := regexp_extract(u, '^([a-z]+)://', 1)
url_extract_query(u) := regexp_extract(u, '[?]([^#]*)', 1)
width_bucket(x, low, high, n) := CASE WHEN x < low THEN 0 WHEN x >= high THEN n + 1
    ELSE CAST(floor((x - low) * n / (high - low)) AS BIGINT) + 1 END
yow(d) := isoyear(d)
"""

# Functions that sqlglot does not know and that mean the same in DuckDB.
_SAME_IN_DUCKDB = """
bit_count geometric_mean histogram json_array_length json_exists map_concat map_entries map_values
range timezone_hour timezone_minute to_base to_milliseconds url_decode url_encode printf date_sub
quantile_cont quantile_disc
"""

# Functions that Athena has and that are not carried out here; any other name is no function.
_NOT_HERE = """
approx_most_frequent approx_set array_histogram at_timezone bar beta_cdf char2hexint checksum
classify color combinations contains_sequence convex_hull_agg cosine_similarity crc32 features
empty_approx_set evaluate_classifier_predictions format_number from_base64url from_big_endian_32
from_big_endian_64 from_ieee754_32 from_ieee754_64 from_unixtime_nanos hash_counts hmac_md5
hmac_sha1 hmac_sha256 hmac_sha512 human_readable_seconds index intersection_cardinality
inverse_beta_cdf inverse_normal_cdf is_json_scalar jaccard_index learn_classifier luhn_check
make_set_digest map_filter map_union map_zip_with merge merge_set_digest multimap_agg
multimap_from_entries murmur3 ngrams normal_cdf numeric_histogram parse_data_size parse_duration
qdigest_agg reduce_agg render rgb simplify_geometry split_to_multimap spooky_hash_v2_32
spooky_hash_v2_64 tdigest_agg timestamp_objectid to_base64url to_big_endian_32 to_big_endian_64
to_ieee754_32 to_ieee754_64 transform_keys transform_values value_at_quantile values_at_quantiles
wilson_interval_lower wilson_interval_upper with_timezone word_stem xxhash64 zip zip_with
"""

# A name, its parameters and its body; a body goes on over indented lines.
_MACRO = re.compile(r"^(\w+)(\([^)]*\)) := (.*(?:\n .*)*)", re.MULTILINE)

KNOWN = frozenset(
    [name for name, _, _ in _MACRO.findall(_MACROS)]
    + _SAME_IN_DUCKDB.split()
    + ["all_match", "any_match", "none_match", "format_datetime", "parse_datetime"]
)

ABSENT = frozenset(_NOT_HERE.split())

# Joda's letters, as format_datetime takes them, in strftime's.
_JODA = {
    "yyyy": "%Y", "YYYY": "%Y", "y": "%Y", "Y": "%Y", "yy": "%y", "MMMM": "%B", "MMM": "%b",
    "MM": "%m", "M": "%-m", "dd": "%d", "d": "%-d", "EEEE": "%A", "EEE": "%a", "E": "%a",
    "HH": "%H", "H": "%-H", "hh": "%I", "h": "%-I", "mm": "%M", "m": "%-M", "ss": "%S",
    "s": "%-S", "SSS": "%g", "a": "%p", "DDD": "%j", "ww": "%V", "xxxx": "%G", "e": "%u",
    "Z": "%z", "z": "%Z",
}  # fmt: skip


def define(connection: Any) -> None:
    """Define the macros and functions in a DuckDB database, for all its connections."""
    for name, parameters, body in _MACRO.findall(_MACROS):
        connection.execute(f"CREATE MACRO {name}{parameters} AS {body}")
    connection.create_function("athena_double_text", double_text, ["DOUBLE"], "VARCHAR")


def joda_format(pattern: str) -> str:
    """A pattern of format_datetime as one of strftime. Raises ValueError for a letter unknown."""
    result = []
    for part in re.finditer(r"'((?:[^']|'')*)'|(([A-Za-z])\3*)|([^A-Za-z']+)", pattern):
        quotation, letters, _, other = part.groups()
        if letters:
            if letters not in _JODA:
                raise ValueError(letters)
            result.append(_JODA[letters])
        else:
            text = quotation.replace("''", "'") or "'" if quotation is not None else other
            result.append(text.replace("%", "%%"))
    return "".join(result)


def double_text(value: float) -> str:
    """A double as Java, and so Athena, writes it: `1.0E7`, `0.001`, `1.0E-4`, `Infinity`."""
    text = repr(value)
    if 1e-3 <= abs(value) < 1e7 or value == 0:
        return text
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    digits = text.lstrip("-").partition("e")[0].replace(".", "").strip("0")
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[0]}.{digits[1:] or '0'}E{Decimal(text).adjusted()}"


def timestamp_text(value: datetime) -> str:
    """A timestamp as Athena writes it, to the millisecond, with its zone if it has one."""
    text = value.strftime("%Y-%m-%d %H:%M:%S.") + f"{value.microsecond // 1000:03d}"
    return f"{text} {value.astimezone(UTC).tzname()}" if value.tzinfo else text
