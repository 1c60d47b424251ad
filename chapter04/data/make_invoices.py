"""Make `invoices.parquet`, the files of notebook 1, out of `retail.parquet` of this folder.

    python make_invoices.py

The invoice lines of the first week of December 2010, in which the shop was closed on Saturday only.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
SOURCE, OUTPUT = HERE / "retail.parquet", HERE / "invoices.parquet"
FIRST, AFTER = "2010-12-01", "2010-12-08"


def make(source: Path = SOURCE) -> pa.Table:
    """The lines of the week, in the order of the source.

    Raises:
        FileNotFoundError: if `retail.parquet` is not there; `make_retail.py` makes it.
    """
    if not source.is_file():
        raise FileNotFoundError(f"{source} is missing; make it with make_retail.py")
    table = pq.read_table(source)
    first, after = (pa.scalar(day).cast(pa.timestamp("s")) for day in (FIRST, AFTER))
    dates = table["invoice_date"]
    return table.filter(pc.and_(pc.greater_equal(dates, first), pc.less(dates, after)))


if __name__ == "__main__":
    made = make()
    handle, name = tempfile.mkstemp(dir=HERE, suffix=".parquet")
    os.close(handle)
    pq.write_table(made, name, compression="zstd", compression_level=19)
    Path(name).chmod(0o644)
    Path(name).replace(OUTPUT)
    print(f"{OUTPUT.name}: {made.num_rows:,} rows")
