"""What reading a table found and what was done about it: data that is shown to people, never kept silent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

Severity = Literal["note", "warning"]

TITLES: Mapping[str, tuple[str, str]] = {
    "format": ("how the file was read", "文件读取方式"),
    "encoding": ("encoding", "字符编码"),
    "header": ("header", "表头"),
    "rows": ("rows", "行"),
    "lines": ("lines left out", "被略去的行"),
    "name": ("name changed", "列名已改"),
    "missing": ("missing values", "缺失值"),
    "number": ("numbers", "数值写法"),
    "ambiguous": ("ambiguous spelling", "写法有歧义"),
    "boolean": ("yes or no", "是与否"),
    "date": ("dates", "日期"),
    "special": ("codes among numbers", "数值中的特殊代码"),
    "identifier": ("identifier", "标识符"),
    "constant": ("constant", "常量列"),
    "empty": ("empty", "空列"),
    "levels": ("many categories", "类别过多"),
    "duplicate_column": ("same as another column", "与另一列相同"),
    "duplicate_rows": ("rows that occur twice", "重复行"),
    "leakage": ("predicts too well", "预测能力可疑地强"),
    "missing_tells": ("missing tells the target", "缺失即暴露目标"),
    "target": ("target", "目标"),
    "unlabelled": ("rows without a target", "无目标值的行"),
    "dropped": ("left out as asked", "按要求略去"),
    "time": ("time", "时间"),
    "type": ("type that is no input", "不能作为输入的类型"),
    "zeros": ("zeros in front", "前导零"),
    "indeterminate": ("rows that are neither", "非好非坏的行"),
    "too_good": ("figures too good", "指标好得可疑"),
    "unreadable": ("cells that cannot be read", "无法读取的单元格"),
    "absent": ("column that is not there", "缺少的列"),
    "unknown": ("column that is not used", "未使用的列"),
}
"""Kind of finding → title in English and Chinese."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One finding.

    kind : a key of `TITLES`
    where : the column as the file names it, or `table`
    found : what was seen, with counts
    done : what became of it
    severity : a `warning` is to be looked at before the model is believed
    """

    kind: str
    where: str
    found: str
    done: str
    severity: Severity = "note"

    def title(self, language: str = "en") -> str:
        """The kind in words, in `en` or `zh`."""
        english, chinese = TITLES[self.kind]
        return chinese if language == "zh" else english

    def __str__(self) -> str:
        return f"{self.where}: {self.title()}: {self.found}; {self.done}"


def count(number: int, one: str, many: str = "") -> str:
    """`1 row`, `1,204 rows`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def shown(names: list[str], most: int = 5) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
