"""Finds, checks and activates packs; knows none by name."""

from quanheng.loading.declared import Declared
from quanheng.loading.files import PackFiles, read_pack
from quanheng.loading.find import find_packs, read_packs
from quanheng.loading.pack import check_pack, load_packs

__all__ = ["Declared", "PackFiles", "check_pack", "find_packs", "load_packs", "read_pack", "read_packs"]
