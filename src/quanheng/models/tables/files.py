"""Files that hold a table: delimited text (also in .gz and .zip), Parquet, Excel."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from pathlib import Path

import polars as pl

from quanheng.kernel.errors import InputError, MissingExtra, NotFound
from quanheng.models.tables.delimited import Header, Text, read_delimited, unique
from quanheng.models.tables.findings import Finding, count

_EXCEL = (".xlsx", ".xlsm")
_TEXT = (".csv", ".tsv", ".txt", ".data", ".dat", ".tab", ".psv")


def read_file(path: Path, header: Header = "auto") -> Text:
    """The cells of a file: text as text, other values with the types that the file gives them.

    Raises
    ------
    NotFound : there is no such file
    InputError : it is no table, is broken, or an archive of several files
    MissingExtra : Excel without the extra `excel`
    """
    if not path.is_file():
        raise NotFound("there is no such file", where=str(path), cure="Correct the path.")
    return read_content(path.read_bytes(), path.name, header)


def read_content(content: bytes, name: str, header: Header = "auto") -> Text:
    """Like `read_file`, of the bytes of a file of that name."""
    suffix = Path(name).suffix.lower()
    if content[:4] == b"PAR1":
        return _parquet(content, name)
    if content[:2] == b"\x1f\x8b":
        return read_content(_gunzip(content, name), Path(name).stem, header)
    if content[:4] == b"PK\x03\x04":
        return _excel(content, name) if suffix in _EXCEL else _unzip(content, name, header)
    if content[:8] == b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1":
        raise InputError(
            "the old Excel format is not read", where=name, allowed=".xlsx", cure="Save it as .xlsx or .csv in Excel."
        )
    if b"\x00" in content[:4096] and content[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(
            "the file is not text and of no known kind", where=name,
            allowed="delimited text, .gz, .zip, .parquet, .xlsx", cure="Convert it to .csv.",
        )  # fmt: skip
    return read_delimited(content, name, header)


def _gunzip(content: bytes, name: str) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise _broken(name, str(error)) from error


def _unzip(content: bytes, name: str, header: Header) -> Text:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = [
                one for one in archive.namelist() if not one.endswith("/") and not Path(one).name.startswith((".", "_"))
            ]
            tables = [one for one in files if Path(one).suffix.lower() in (*_TEXT, *_EXCEL, ".parquet", ".gz")]
            chosen = tables if len(tables) != 1 else files if len(files) == 1 else tables
            if len(chosen) != 1:
                raise InputError(
                    "the archive must hold one table", where=name, found=", ".join(files[:8]) or "no file",
                    allowed="one .csv or .parquet file", cure="Unpack it and give the file.",
                )  # fmt: skip
            inner = archive.read(chosen[0])
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, zlib.error) as error:
        raise _broken(name, str(error)) from error
    found = read_content(inner, Path(chosen[0]).name, header)
    note = Finding(kind="format", where="table", found=f"an archive with the file {chosen[0]}", done="unpacked")
    return Text(found.rows, [note, *found.findings])


def _parquet(content: bytes, name: str) -> Text:
    try:
        rows = pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _broken(name, str(error).splitlines()[0]) from error
    return _checked(rows, name, "Parquet")


def _excel(content: bytes, name: str) -> Text:
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise MissingExtra("openpyxl", "excel", "reading Excel files") from None
    try:
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
    except Exception as error:  # openpyxl raises whatever its parts do on a broken file.
        raise _broken(name, str(error)) from error
    sheets = {
        sheet.title: [row for row in sheet.iter_rows(values_only=True) if any(c is not None for c in row)]
        for sheet in book
    }
    title, rows = max(sheets.items(), key=lambda item: len(item[1]))
    if len(rows) < 2:
        raise InputError("the file holds no rows", where=name, cure="Check that it is the right file.")
    findings: list[Finding] = []
    names = unique([str(cell) if cell is not None else f"column_{at}" for at, cell in enumerate(rows[0], 1)], findings)
    # Cells go through the same reading as text: Excel's own types differ from cell to cell.
    columns = list(zip(*rows[1:], strict=True))
    frame = pl.DataFrame(
        {
            one: pl.Series(one, [_cell(value) for value in column], pl.String)
            for one, column in zip(names, columns, strict=True)
        }
    )
    sheet = f"the sheet {title!r}" + (f" of {len(sheets)}" if len(sheets) > 1 else "")
    findings.insert(
        0, Finding(kind="format", where="table", found=f"Excel, {sheet}", done=f"read {count(len(frame), 'row')}")
    )
    return Text(frame, findings)


def _cell(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value).strip() or None


def _checked(rows: pl.DataFrame, name: str, kind: str) -> Text:
    if not rows.height or rows.width < 2:
        raise InputError(
            "the file holds no table to fit on", where=name, found=f"{rows.height} rows, {rows.width} columns",
            allowed="rows, and two columns or more", cure="Check that it is the right file.",
        )  # fmt: skip
    note = Finding(kind="format", where="table", found=kind, done=f"read {count(rows.height, 'row')}")
    return Text(rows, [note])


def _broken(name: str, found: str) -> InputError:
    return InputError("the file is broken", where=name, found=found, cure="Fetch it again, or convert it to .csv.")
