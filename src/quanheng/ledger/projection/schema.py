"""Tables and views of the projection, in the words of SQLite and of PostgreSQL.

Ids, owners and user data are 32 hexadecimal digits as text, NULL where there is none. An amount is a 64-bit integer in
minor units. A total may need 127 bits: PostgreSQL has it as numeric(39); SQLite as an integer up to 2**63 - 1 and as
its decimal digits, text, above. Times are milliseconds since 1970-01-01 UTC, business days days since then; the views
give both as ISO 8601 text too. Limits are NULL where there is none.
"""

from __future__ import annotations

from typing import NamedTuple

SCHEMA_VERSION = 1

ACCOUNTS = (
    "id", "asset", "code", "entity", "owner", "user_data", "opened_ms", "log_offset", "flags", "is_debits_bound",
    "is_credits_bound", "keeps_history", "is_imported", "is_debits_frozen", "is_credits_frozen", "is_closed",
    "overdraft_minor", "payment_max_minor", "day_max_minor", "balance_max_minor", "net_debit_cap_minor",
    "amended_offset", "debits_posted_minor", "debits_held_minor", "credits_posted_minor", "credits_held_minor", "lines",
)  # fmt: skip
AMENDED = ACCOUNTS[8:22]
"""Columns that an amendment changes."""
TOTALS = ACCOUNTS[22:26]
TRANSFERS = (
    "log_offset", "id", "is_expiry", "debit_account", "credit_account", "amount_minor", "asked_minor", "code", "flags",
    "is_linked", "is_hold", "posts", "voids", "reverses", "is_balancing_debit", "is_balancing_credit", "is_imported",
    "burns_if_refused", "reference", "expires_ms", "applied_ms", "value_ms", "business_day", "user_data", "hold_state",
    "settled_offset", "reversed_minor",
)  # fmt: skip
DAYS = "account", "business_day", *TOTALS

_TABLES = """
CREATE TABLE projection (
  one {int} PRIMARY KEY CHECK (one = 1), schema_version {int} NOT NULL, projected_upto {int} NOT NULL,
  digest TEXT NOT NULL
){strict};
CREATE TABLE accounts (
  id TEXT PRIMARY KEY, asset {int} NOT NULL, code {int} NOT NULL, entity {int} NOT NULL, owner TEXT, user_data TEXT,
  opened_ms {int} NOT NULL, log_offset {int} NOT NULL,
  flags {int} NOT NULL, is_debits_bound {bool} NOT NULL, is_credits_bound {bool} NOT NULL,
  keeps_history {bool} NOT NULL, is_imported {bool} NOT NULL, is_debits_frozen {bool} NOT NULL,
  is_credits_frozen {bool} NOT NULL,
  is_closed {bool} NOT NULL, overdraft_minor {int} NOT NULL, payment_max_minor {int}, day_max_minor {int},
  balance_max_minor {int}, net_debit_cap_minor {int}, amended_offset {int},
  debits_posted_minor {total} NOT NULL, debits_held_minor {total} NOT NULL,
  credits_posted_minor {total} NOT NULL, credits_held_minor {total} NOT NULL, lines {int} NOT NULL
){strict};
CREATE TABLE transfers (
  log_offset {int} PRIMARY KEY, id TEXT UNIQUE, is_expiry {bool} NOT NULL, debit_account TEXT NOT NULL,
  credit_account TEXT NOT NULL, amount_minor {int} NOT NULL, asked_minor {int} NOT NULL, code {int} NOT NULL,
  flags {int} NOT NULL, is_linked {bool} NOT NULL, is_hold {bool} NOT NULL, posts {bool} NOT NULL,
  voids {bool} NOT NULL, reverses {bool} NOT NULL,
  is_balancing_debit {bool} NOT NULL, is_balancing_credit {bool} NOT NULL,
  is_imported {bool} NOT NULL, burns_if_refused {bool} NOT NULL, reference TEXT, expires_ms {int},
  applied_ms {int} NOT NULL, value_ms {int} NOT NULL, business_day {int} NOT NULL, user_data TEXT,
  hold_state TEXT, settled_offset {int}, reversed_minor {int} NOT NULL
){strict};
CREATE TABLE burnt_ids (log_offset {int} PRIMARY KEY, id TEXT NOT NULL, applied_ms {int} NOT NULL){strict};
CREATE TABLE balances_daily (
  account TEXT NOT NULL, business_day {int} NOT NULL, debits_posted_minor {total} NOT NULL,
  debits_held_minor {total} NOT NULL, credits_posted_minor {total} NOT NULL, credits_held_minor {total} NOT NULL,
  PRIMARY KEY (account, business_day)
){strict_without_rowid};
CREATE INDEX transfers_of_debit ON transfers (debit_account, log_offset);
CREATE INDEX transfers_of_credit ON transfers (credit_account, log_offset);
CREATE INDEX transfers_of_reference ON transfers (reference) WHERE reference IS NOT NULL
"""
_VIEWS = """
CREATE VIEW holds AS
  SELECT id, debit_account, credit_account, amount_minor, code, hold_state, {expires} AS expires_at, expires_ms,
    {applied} AS applied_at, applied_ms, business_day, user_data, log_offset, settled_offset
  FROM transfers WHERE is_hold;
CREATE VIEW entries AS
  SELECT debit_account AS account, 'debit' AS side, credit_account AS other_account, id, is_expiry, amount_minor, code,
    {applied} AS applied_at, {value} AS value_at, {date} AS business_date, business_day, is_hold, posts, voids,
    reverses, reference, hold_state, log_offset
  FROM transfers
  UNION ALL
  SELECT credit_account, 'credit', debit_account, id, is_expiry, amount_minor, code, {applied}, {value}, {date},
    business_day, is_hold, posts, voids, reverses, reference, hold_state, log_offset
  FROM transfers;
CREATE VIEW balances_dated AS SELECT {date} AS business_date, balances_daily.* FROM balances_daily
"""
VIEW_NAMES = "balances_dated", "entries", "holds"
TABLE_NAMES = "balances_daily", "burnt_ids", "transfers", "accounts", "projection"


class Dialect(NamedTuple):
    """How a database says it.

    mark : placeholder of a value in a statement
    time : ISO 8601 text of `{}`, milliseconds; NULL outside the years 1 to 9999
    date : date of `business_day`
    """

    mark: str
    integer: str
    boolean: str
    total: str
    strict: str
    strict_without_rowid: str
    time: str
    date: str

    def statements(self) -> list[str]:
        """Makes every table, index and view."""
        words = {name: self.time.format(f"{name}_ms") for name in ("expires", "applied", "value")}
        text = (_TABLES + ";" + _VIEWS).format(
            int=self.integer, bool=self.boolean, total=self.total, strict=self.strict,
            strict_without_rowid=self.strict_without_rowid, date=self.date, **words,
        )  # fmt: skip
        return [one.strip() for one in text.split(";")]

    def insert(self, table: str, columns: tuple[str, ...], more: str = "") -> str:
        """An INSERT of one row."""
        return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join([self.mark] * len(columns))}){more}"

    def update(self, table: str, columns: tuple[str, ...], key: str) -> str:
        """An UPDATE of some columns by a key, which is the last value."""
        changes = ", ".join(f"{column} = {self.mark}" for column in columns)
        return f"UPDATE {table} SET {changes} WHERE {key} = {self.mark}"


_YEARS = "BETWEEN -62135596800000 AND 253402300799999"
SQLITE = Dialect(
    "?", "INTEGER", "INTEGER", "ANY", " STRICT", " STRICT, WITHOUT ROWID",
    f"CASE WHEN {{0}} {_YEARS} THEN strftime('%Y-%m-%dT%H:%M:%fZ', {{0}} / 1000.0, 'unixepoch') END",
    "date(business_day * 86400, 'unixepoch')",
)  # fmt: skip
POSTGRES = Dialect(
    "%s", "bigint", "boolean", "numeric(39)", "", "",
    f"CASE WHEN {{0}} {_YEARS} THEN"
    " to_char(to_timestamp({0} / 1000.0) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') END",
    "date '1970-01-01' + business_day::integer",
)  # fmt: skip
