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
    """Return the text of a file of custom content; figures that are not known are left out.

    Parameters
    ----------
    identity : str
        Of the table, as MultiQC calls it.
    name, description : str
        Of the section.
    columns : mapping
        Headers by the key of the column, with the settings of MultiQC's tables.
    rows : mapping
        Figures by the name of the sample; each has all keys of `columns`.
    parent : mapping
        ``parent_id``, ``parent_name`` and ``parent_description``: what sections are grouped under.
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
