# Comparison and consensus of the seeds of one alignment and model.


rule compare:
    input:
        seeds_of(TREES),
    output:
        "results/{alignment}/{model}/comparison.tsv",
    log:
        "logs/compare/{alignment}/{model}.log",
    benchmark:
        "benchmarks/compare/{alignment}/{model}.tsv"
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    retries: config["resources"]["retries"]
    conda:
        "../envs/phylogfn.yaml"
    shell:
        "phylogfn compare {input:q} > {output:q} 2> {log:q}"


rule consensus:
    input:
        seeds_of("trees.nwk"),
    output:
        plain="results/{alignment}/{model}/consensus.nwk",
        figtree=report(
            "results/{alignment}/{model}/consensus.con.tre",
            caption="../report/consensus.rst",
            category="Consensus trees",
            labels={"alignment": "{alignment}", "model": "{model}"},
        ),
    log:
        "logs/consensus/{alignment}/{model}.log",
    benchmark:
        "benchmarks/consensus/{alignment}/{model}.tsv"
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    retries: config["resources"]["retries"]
    conda:
        "../envs/phylogfn.yaml"
    shell:
        """
        phylogfn consensus {input:q} > {output.plain:q} 2> {log:q}
        phylogfn consensus {input:q} --nexus > {output.figtree:q} 2>> {log:q}
        """
