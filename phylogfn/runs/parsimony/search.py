"""The first part of ``phylogfn parsimony``: the search for the shortest trees."""

from __future__ import annotations

from gfncore.program.messages import Note
from phylogfn.parsimony.search import SearchFacts, SearchProgress, SearchResult, search
from phylogfn.runs.parsimony.run import ParsimonyRun
from phylogfn.runs.parsimony.state import ParsimonyState

__all__ = ["searched"]


def searched(run: ParsimonyRun) -> ParsimonyState:
    """Return the state of a new run: trees of the best score, and of nearly the best."""
    effort = run.effort
    settings, progress = run.settings, run.progress
    progress.phase("searching for the shortest trees")

    def report(at: SearchProgress) -> None:
        progress.update(
            best_score=at.best_score,
            detail=f"{at.stage}: {at.hits} of {at.runs} searches ended at the best score, "
            f"{at.n_trees} trees",
        )

    seed = int(run.rng("search").integers(2**31))
    seconds = effort.search_share * settings.budget_seconds
    cap = effort.most_found if run.characters.n_characters else effort.enough_found
    excess = effort.first_excess if settings.excess is None else settings.excess
    widest = max(effort.widest * max(settings.temperature), effort.first_excess)

    def within_steps(within: float) -> SearchResult:
        left = seconds - run.seconds()
        return search(run.scorer, seed, excess=within, cap=cap, seconds=left, progress=report)

    result = within_steps(excess)
    hurried = result.out_of_time
    while settings.excess is None and len(result.table) < effort.enough_found and excess < widest:
        if hurried or not run.characters.n_characters or run.past(effort.wider_share):
            break
        wider = within_steps(min(2 * excess, widest))
        hurried = wider.out_of_time
        if not hurried:  # else it may have found less than the one before
            result, excess = wider, min(2 * excess, widest)
    if hurried:
        run.warn(
            Note(
                "search-time-limit",
                f"the search reached its time limit ({effort.search_share:.0%} of "
                f"{settings.budget}); results of the same seed may differ between machines",
            )
        )
    lowest, highest = float(run.betas.min()), float(run.betas.max())
    state = ParsimonyState(
        table=result.table,
        search=SearchFacts.of(result),
        excess=excess,
        n_scores=run.scorer.n_scores,
        range=(lowest / effort.headroom, highest * effort.widening),
        checksum=run.checksum,
    )
    run.sampler.prepare(state, lowest)
    state.save(run.checkpoint, run.clock, run.settings.origin())
    return state
