"""Feast's historical join for features.build, run by an interpreter that has Feast: seconds of the join, as JSON.

    python bench/features_build_feast.py TTL_DAYS FIRST_FOLDER FOLDER

A folder holds customer.parquet and terminal.parquet (the feature tables, written before) and spine.parquet;
feast.parquet is written. Definitions are applied outside the measured time. Offline store: DuckDB on local files, no
network. TTL_DAYS 0: as far back as the widest window of the key reaches.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

DAYS = (1, 7, 30)
DELAYS = {"customer": 0, "terminal": 7}


def defined(folder: Path, ttl_days: int) -> Any:
    """A store with two views over the feature tables; Feast looks for a row of a key so far back."""
    from feast import (  # type: ignore[import-not-found]
        Entity,
        FeatureStore,
        FeatureView,
        Field,
        FileSource,
        RepoConfig,
        ValueType,
    )
    from feast.types import Float64, Int64  # type: ignore[import-not-found]

    store = FeatureStore(
        config=RepoConfig(
            project="build", provider="local", registry=str(folder / "registry.db"), offline_store={"type": "duckdb"},
            online_store=None, entity_key_serialization_version=3,
        )
    )  # fmt: skip
    for key, second, kind in (("customer", "mean", Float64), ("terminal", "fraud_count", Int64)):
        entity = Entity(name=key, join_keys=[key], value_type=ValueType.INT64)
        source = FileSource(name=f"{key}s", path=str(folder / f"{key}.parquet"), timestamp_field="event_timestamp")
        fields = [Field(name=f"{key}_count_{days}d", dtype=Int64) for days in DAYS]
        fields += [Field(name=f"{key}_{second}_{days}d", dtype=kind) for days in DAYS]
        ttl = timedelta(days=ttl_days or max(DAYS) + DELAYS[key])
        store.apply([entity, FeatureView(name=key, entities=[entity], ttl=ttl, schema=fields, source=source)])
    return store


def join(store: Any, folder: Path) -> None:
    """get_historical_features: the spine's file in, the training set's file out, rows in the spine's order."""
    import pandas as pd
    import pyarrow.parquet as pq  # type: ignore[import-not-found]

    spine = pd.read_parquet(folder / "spine.parquet")
    spine["event_timestamp"] = pd.to_datetime(spine.pop("time_ms"), unit="ms", utc=True)
    names = [f"customer:customer_{kind}_{days}d" for kind in ("count", "mean") for days in DAYS]
    names += [f"terminal:terminal_{kind}_{days}d" for kind in ("count", "fraud_count") for days in DAYS]
    table = store.get_historical_features(entity_df=spine, features=names).to_arrow()
    pq.write_table(table.sort_by("row"), folder / "feast.parquet")


def main() -> None:
    """The first folder warms; its time, with imports and definitions, is told apart."""
    began = time.perf_counter()
    ttl, small, folder = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    join(defined(small, ttl), small)
    found = {"first_call_s": time.perf_counter() - began}
    store = defined(folder, ttl)
    start, before = time.perf_counter(), os.times()
    join(store, folder)
    found["join_s"], after = time.perf_counter() - start, os.times()
    found["join_cpu_s"] = after.user + after.system - before.user - before.system
    print(json.dumps(found))


if __name__ == "__main__":
    main()
