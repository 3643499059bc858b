"""Tables for MultiQC: texts of its custom content, files whose names end in ``_mqc.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

__all__ = ["table_content"]


def table_content(
    identity: str,
    name: str,
    description: str,
    columns: Mapping[str, Mapping[str, Any]],
    rows: Mapping[str, Mapping[str, Any]],
    parent: Mapping[str, str],
) -> str:
    """Return the text of a custom-content file; unknown figures are left out.

    Parameters
    ----------
    identity : str
        Identifier of the table for MultiQC.
    name, description : str
        Name and description of the section.
    columns : mapping
        Headers by column key, with the settings of MultiQC's tables.
    rows : mapping
        Figures by sample name; each has all keys of `columns`.
    parent : mapping
        ``parent_id``, ``parent_name`` and ``parent_description``: the group of the section.
    """
    data = {
        sample: {key: row[key] for key in columns if pd.notna(row[key])}
        for sample, row in rows.items()
    }
    return json.dumps(
        {
            "id": identity,
            **parent,
            "section_name": name,
            "description": description,
            "plot_type": "table",
            "pconfig": {"id": f"{identity}_table", "title": name, "no_violin": True},
            "headers": columns,
            "data": data,
        },
        indent=2,
    )
