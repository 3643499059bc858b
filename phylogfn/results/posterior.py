"""The answer of a run as an object: tables, trees, files, and a view for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from phylogfn.results.phylogeny import Phylogeny
from phylogfn.results.posterior_data import PosteriorData
from phylogfn.results.posterior_files import consensus_of, write_directory
from phylogfn.results.report.notebook import render_view
from phylogfn.results.summaries.clades import clade_frame
from phylogfn.results.summaries.models import model_frame
from phylogfn.results.summaries.parameters import parameter_frame
from phylogfn.results.summaries.point_trees import map_tree, mcc_tree
from phylogfn.results.summaries.topologies import topology_frame
from phylogfn.results.warnings import failure, verdict, verdict_reasons
from phylogfn.trees.rooting import rooted_tree

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Posterior"]


@dataclass(frozen=True, eq=False, repr=False)
class Posterior(PosteriorData):
    """A posterior over unrooted phylogenetic trees, which states its own accuracy.

    Its numbers are the attributes of `phylogfn.results.posterior_data.PosteriorData`, such as
    ``log_evidence``, ``log_evidence_se``, ``ess``, ``pareto_k`` and ``warnings``.
    """

    @property
    def verdict(self) -> str:
        """``trusted``, ``unconfirmed`` (by a second run), ``doubtful`` or ``failed``."""
        return verdict(self)

    @property
    def verdict_reasons(self) -> tuple[str, ...]:
        """The reasons for the verdict in plain words."""
        return verdict_reasons(self)

    def topologies(self) -> DataFrame:
        """Return the posterior over topologies, best first.

        The columns are those of ``topologies.tsv``, with all digits: ``rank``, ``probability``,
        ``probability_se``, ``cumulative``, ``log_evidence`` and ``newick``.
        """
        return topology_frame(self)

    def clades(self) -> DataFrame:
        """Return the clades, the most probable first.

        A clade is the smaller side of a split, because trees are unrooted. The columns are
        ``taxa``, ``n_taxa``, ``probability``, ``probability_se`` (its standard error),
        ``mean_length`` and ``sd_length`` (of its branch).
        """
        return clade_frame(self)

    def model_table(self) -> DataFrame:
        """Return the models that ``model="auto"`` compared, the most probable first.

        The columns are those of ``models.tsv``: ``model``, ``n_parameters``, ``log_likelihood`` and
        ``bic`` on the starting tree, ``log_evidence`` and ``log_bayes_factor`` (to the best model)
        with their standard errors, and ``probability``. It is empty if the model was given.
        """
        return model_frame(self)

    def parameters(self) -> DataFrame:
        """Return the posterior of the tree length and of the parameters of the model.

        The columns are those of ``parameters.tsv``: ``parameter`` (as MrBayes names it; ``TL`` is
        the tree length), ``mean``, ``sd``, ``lower_95``, ``median``, ``upper_95`` (quantiles) and
        ``ess``.
        """
        return parameter_frame(self)

    def consensus(self, outgroup: str | Sequence[str] | None = None) -> Phylogeny:
        """Return the majority-rule consensus with clade probabilities and mean branch lengths.

        Parameters
        ----------
        outgroup : str or sequence of str, optional
            A taxon, or the taxa of a clade, on whose branch the tree is rooted. Default: the
            outgroup of the run; unrooted if it has none.

        Raises
        ------
        UserError
            The outgroup is unknown, or not a clade of the consensus.
        """
        tree = consensus_of(self)
        return tree if outgroup is None else tree.rooted_at(outgroup)

    def map_tree(self) -> Phylogeny:
        """Return the maximum a posteriori topology with clade probabilities and mean lengths.

        Lengths are averaged over the draws with this topology; if there are none, over those that
        have the clade.
        """
        return map_tree(self)

    def mcc_tree(self) -> Phylogeny:
        """Return the maximum clade credibility tree with clade probabilities and mean lengths.

        The sum of the log probabilities of its clades is the largest of all listed topologies and
        draws. Each length is averaged over the draws that have the clade.
        """
        return mcc_tree(self)

    def trees(self) -> list[Phylogeny]:
        """Return the draws, each with its branch lengths; all have the same weight.

        They are rooted if the run has an outgroup.
        """
        failed, outgroup = failure(self), self.outgroup_numbers
        return [
            Phylogeny(
                self.names,
                rooted_tree(self.draw(index), outgroup),
                rooted=bool(outgroup),
                exact=True,
                warning=failed,
            )
            for index in range(self.n_draws)
        ]

    def write(self, directory: str | Path, force: bool = False) -> None:
        """Write the result files that ``phylogfn sample`` writes, all but the checkpoint.

        Parameters
        ----------
        directory : str or Path
            Made if it does not exist.
        force : bool
            Replace the files of an earlier run in the directory.

        Raises
        ------
        UserError
            The directory is not empty, or cannot be written.
        """
        write_directory(Path(directory), self, force=force)

    def __repr__(self) -> str:
        return (
            f"Posterior({self.n_taxa} taxa, log evidence {self.log_evidence:.2f} "
            f"\u00b1 {self.log_evidence_se:.2g}, ESS {self.ess:.0f}, "
            f"{self.n_topologies} topologies, {self.verdict})"
        )

    def _repr_html_(self) -> str:
        return render_view(self, consensus_of(self))
