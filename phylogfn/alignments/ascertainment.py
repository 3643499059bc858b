"""Models of variable sites alone, and the alignments that they are for.

Under such a model (Mkv of morphological characters, +ASC of SNP data) the likelihood of a site is
divided by the probability that a site is variable, all taxa being known. A site at which one state
is possible in all taxa, such as ``A-AR`` or missing data alone, may be constant: it does not belong
to such data, as in IQ-TREE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gfncore.errors import UserError
from phylogfn.alignments.alignment import Alignment, variable_sites
from phylogfn.models.partitioned import PartitionedSpec

if TYPE_CHECKING:
    from phylogfn.models import ModelSpec

__all__ = ["check_ascertainment", "conditioned_sites"]

_LISTED = 10  # numbers of columns in a message


def conditioned_sites(spec: ModelSpec, alignment: Alignment) -> NDArray[np.bool_]:
    """Return whether the model of each site is one of variable sites alone, bool (n_sites,)."""
    if not isinstance(spec, PartitionedSpec):
        return np.full(alignment.n_sites, spec.variable_only)
    found = np.zeros(alignment.n_sites, bool)
    for part, own in zip(alignment.parts, spec.parts, strict=True):
        found[part.columns] = own.spec.variable_only
    return found


def check_ascertainment(spec: ModelSpec, alignment: Alignment) -> None:
    """Refuse a model of variable sites alone for sites that may be constant.

    Parameters
    ----------
    spec : ModelSpec
        Of the alignment, or `PartitionedSpec` of its parts.
    alignment : Alignment

    Raises
    ------
    UserError
        With the number of such sites, and what to do.
    """
    constant = conditioned_sites(spec, alignment) & ~variable_sites(alignment.masks)
    wrong = np.flatnonzero(constant)
    if not wrong.size:
        return
    name, standard = spec.name, alignment.alphabet.name == "standard"
    if isinstance(spec, PartitionedSpec):  # the first part with such sites
        parts = zip(alignment.parts, spec.parts, strict=True)
        part, own = next((x, y) for x, y in parts if constant[x.columns].any())
        name, standard = f"{own.spec.name}' of part '{part.name}", part.alphabet.name == "standard"
        wrong = part.columns[constant[part.columns]]
    numbers = ", ".join(str(alignment.column_number(int(i))) for i in wrong[:_LISTED])
    more = f" and {wrong.size - _LISTED} more" if wrong.size > _LISTED else ""
    found = f"{wrong.size} columns are" if wrong.size > 1 else "1 column is"
    raise UserError(
        f"model '{name}': is for variable sites alone, but {found} constant or "
        f"may be ({numbers}{more}); exclude them (in NEXUS: exclude constant), or use "
        + ("MK, which allows constant characters" if standard else "the model without +ASC")
    )
