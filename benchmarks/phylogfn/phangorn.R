# Scores trees and searches by R phangorn, as `benchmarks.phylogfn.parsimony` asks line by line.
#
#   Rscript phangorn.R FOLDER      FOLDER holds contrast.txt (a row a set of states) and sets.txt
#                                  (a row a taxon: which row of contrast.txt), without headings
#
# Questions on standard input, an answer of one line each:
#   version                        of phangorn
#   scores TREES                   scores of the Newick trees of a file
#   time TREES REPETITIONS         seconds to score all of them so many times
#   search SECONDS SEED OUT        parsimony ratchet; writes the trees it met, and answers seconds
#                                  used, best score, and seconds after which that was reached
suppressMessages(library(phangorn))

folder <- commandArgs(trailingOnly = TRUE)[1]
contrast <- as.matrix(read.table(file.path(folder, "contrast.txt")))
dimnames(contrast) <- list(paste0("c", seq_len(nrow(contrast))), paste0("s", seq_len(ncol(contrast))))
sets <- as.matrix(read.table(file.path(folder, "sets.txt")))
sets <- matrix(paste0("c", sets), nrow(sets), dimnames = list(paste0("t", seq_len(nrow(sets)) - 1), NULL))
data <- phyDat(sets, type = "USER", contrast = contrast)
trees <- list()

read_trees <- function(file) {
  if (is.null(trees[[file]])) {
    found <- read.tree(file)
    if (inherits(found, "phylo")) found <- c(found)
    trees[[file]] <<- .compressTipLabel(found)
  }
  trees[[file]]
}

binary <- function(tree) unroot(multi2di(tree))

search <- function(seconds, seed, out) {
  set.seed(seed)
  start <- proc.time()[["elapsed"]]
  elapsed <- function() proc.time()[["elapsed"]] - start
  tree <- NULL
  best <- Inf
  reached <- 0
  met <- list()
  while (elapsed() < seconds) {
    # Five rounds at a time, from where the last five ended: a ratchet that looks at the clock.
    found <- pratchet(data, start = tree, minit = 5, maxit = 5, k = 5, trace = 0, all = TRUE)
    rounds <- attr(found, "env")$search_trees
    if (inherits(found, "phylo")) found <- c(found)
    new <- lapply(c(found, rounds), binary)
    class(new) <- "multiPhylo"
    score <- min(parsimony(new[seq_along(found)], data))
    if (score < best) {
      best <- score
      reached <- elapsed()
    }
    tree <- new[[1]]
    met <- c(met, lapply(new, function(one) { one$node.label <- NULL; one$edge.length <- NULL; one }))
  }
  used <- elapsed()
  class(met) <- "multiPhylo"
  write.tree(met, out)
  c(used, best, reached)
}

input <- file("stdin")
open(input)
while (length(line <- readLines(input, n = 1)) > 0) {
  words <- strsplit(line, " ")[[1]]
  answer <- switch(words[1],
    version = as.character(packageVersion("phangorn")),
    scores = parsimony(read_trees(words[2]), data),
    time = {
      asked <- read_trees(words[2])
      system.time(for (i in seq_len(as.integer(words[3]))) parsimony(asked, data))[["elapsed"]]
    },
    search = search(as.numeric(words[2]), as.integer(words[3]), words[4])
  )
  cat(answer, "\n")
}
