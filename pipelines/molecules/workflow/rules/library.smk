# The library of a score: seeds pooled, optionally scored by a second file, filtered, ranked.


rule pool:
    input:
        seeds_of("library.csv"),
    output:
        "results/{score}/pooled.csv",
    log:
        "logs/pool/{score}.log",
    benchmark:
        "benchmarks/pool/{score}.tsv"
    params:
        seeds=SEEDS,
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    retries: config["resources"]["retries"]
    conda:
        "../envs/molgen.yaml"
    script:
        "../scripts/pool.py"


# Exit code 1 means that some molecules have no score; the table marks them, and they are left out.
rule screen:
    input:
        molecules="results/{score}/pooled.csv",
        scoring=[SCREEN] if SCREEN else [],
    output:
        "results/{score}/screened.csv",
    log:
        "logs/screen/{score}.log",
    benchmark:
        "benchmarks/screen/{score}.tsv"
    threads: config["resources"]["threads"]
    resources:
        mem_mb=memory_of_run,
        runtime=lambda wildcards, attempt: config["resources"]["screen_minutes"] * attempt,
    retries: config["resources"]["retries"]
    conda:
        "../envs/molgen.yaml"
    shell:
        """
        molgen score {input.molecules:q} --config {input.scoring:q} --threads {threads} \
            > {output:q} 2> {log:q} || [ $? -eq 1 ]
        """


rule rank:
    input:
        pooled="results/{score}/pooled.csv",
        screened=["results/{score}/screened.csv"] if SCREEN else [],
    output:
        table=report(
            "results/{score}/library.csv",
            caption="../report/library.rst",
            category="Libraries",
            labels={"score": "{score}"},
        ),
        smiles="results/{score}/library.smi",
        counts="results/{score}/counts.json",
    log:
        "logs/rank/{score}.log",
    benchmark:
        "benchmarks/rank/{score}.tsv"
    params:
        library=config["library"],
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 15 * attempt,
    retries: config["resources"]["retries"]
    conda:
        "../envs/molgen.yaml"
    script:
        "../scripts/rank.py"
