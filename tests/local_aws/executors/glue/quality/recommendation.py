"""What Glue proposes: rules that the table keeps today, with a margin.

https://docs.aws.amazon.com/glue/latest/dg/data-quality-getting-started.html
"""

from __future__ import annotations

import math
from typing import Any

from ....lake import Lake

# A column with so few values, each on more than a tenth of a percent of the rows, is a list.
_FEW_VALUES = 10
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL")


def recommend(lake: Lake, database: str, name: str) -> str:
    """A DQDL document for a table. Raises EntityNotFoundException."""
    table = lake.table(database, name)
    source = f'"{database}"."{name}"'
    rows = lake.ask(f"SELECT count(*) FROM {source}", database)[0][0]
    rules = [f"RowCount between {rows // 2} and {max(2 * rows, 1)}"]
    for column, kind in lake.columns(table).items():
        rules += _for_column(lake, database, source, column, kind.upper(), rows)
    return "Rules = [\n" + ",\n".join(f"    {rule}" for rule in rules) + "\n]"


def _for_column(
    lake: Lake, database: str, source: str, column: str, kind: str, rows: int
) -> list[str]:
    quoted = f'"{column}"'
    profile = lake.ask(f"SELECT count({quoted}), count(DISTINCT {quoted}) FROM {source}", database)[
        0
    ]
    present, distinct = (int(value) for value in profile)
    rules = [_completeness(column, present, rows)]
    if not present:
        return rules
    if kind.startswith(_NUMBERS):
        rules += _for_numbers(lake, database, source, column)
    if distinct <= _FEW_VALUES and (kind == "VARCHAR" or "INT" in kind):
        rules.append(_values(lake, database, source, column))
    elif kind == "VARCHAR":
        lengths = f"SELECT min(length({quoted})), max(length({quoted})) FROM {source}"
        least, most = lake.ask(lengths, database)[0]
        rules.append(
            f'ColumnLength "{column}" = {most}'
            if least == most
            else f'ColumnLength "{column}" between {least - 1} and {most + 1}'
        )
    if distinct == present and rows > 1:
        rules.append(f'Uniqueness "{column}" > 0.95')
    return rules


def _completeness(column: str, present: int, rows: int) -> str:
    if present == rows:
        return f'IsComplete "{column}"'
    share = math.floor(100 * (present / rows - 0.01)) / 100 if rows else 0.0
    return f'Completeness "{column}" >= {max(share, 0.0):g}'


def _for_numbers(lake: Lake, database: str, source: str, column: str) -> list[str]:
    number = f'CAST("{column}" AS double)'
    text = f"SELECT stddev_pop({number}), max({number}) FROM {source}"
    deviation, largest = lake.ask(text, database)[0]
    found = [f'ColumnValues "{column}" <= {largest:g}']
    if deviation:
        margin = 0.05 * deviation
        low, high = deviation - margin, deviation + margin
        found.insert(0, f'StandardDeviation "{column}" between {low:.2f} and {high:.2f}')
    return found


def _values(lake: Lake, database: str, source: str, column: str) -> str:
    text = (
        f'SELECT CAST("{column}" AS varchar) FROM {source} WHERE "{column}" IS NOT NULL '
        f"GROUP BY 1 ORDER BY count(*) DESC, 1"
    )
    values: list[Any] = [row[0] for row in lake.ask(text, database)]
    listed = ", ".join('"' + str(value).replace('"', '\\"') + '"' for value in values)
    share = lake.ask(f'SELECT count("{column}") * 1e0 / count(*) FROM {source}', database)[0][0]
    threshold = "" if share == 1 else f" with threshold >= {math.floor(100 * share) / 100:g}"
    return f'ColumnValues "{column}" in [{listed}]{threshold}'
