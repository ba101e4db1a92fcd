"""The examples of the reference page run as they stand, in order."""

import re
from pathlib import Path

from quanheng.features.fold import BUILT

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "reference" / "features.md").read_text(encoding="utf-8")


def test_examples_run():
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    assert len(blocks) >= 5
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "features.md", "exec"), names)


def test_every_kind_has_a_row():
    table = PAGE.split("## Kinds")[1].split("## ")[0]
    for kind in BUILT:
        assert re.search(rf"^\|.*`{kind}`", table, re.M), f"no row for {kind}"
