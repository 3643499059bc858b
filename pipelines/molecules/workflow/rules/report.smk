# Tables over all scores, the report, and content for MultiQC.


rule tables:
    input:
        summaries=expand(f"{RUN}/summary.json", score=SCORES, seed=SEEDS),
        pooled=of_scores("pooled.csv"),
        libraries=of_scores("library.csv"),
        counts=of_scores("counts.json"),
    output:
        runs=report(
            "results/tables/runs.tsv",
            caption="../report/runs.rst",
            category="Tables",
            labels={"table": "runs"},
        ),
        libraries=report(
            "results/tables/libraries.tsv",
            caption="../report/libraries.rst",
            category="Tables",
            labels={"table": "libraries"},
        ),
        molecules=report(
            "results/library.csv",
            caption="../report/molecules.rst",
            category="Libraries",
            labels={"score": "all"},
        ),
    log:
        "logs/tables.log",
    benchmark:
        "benchmarks/tables.tsv"
    params:
        scores=list(SCORES),
    resources:
        mem_mb=2000,
        runtime=15,
    conda:
        "../envs/molgen.yaml"
    script:
        "../scripts/tables.py"


rule page:
    input:
        runs=rules.tables.output.runs,
        libraries=rules.tables.output.libraries,
        molecules=rules.tables.output.molecules,
    output:
        report(
            "results/report.html",
            caption="../report/page.rst",
            category="Comparison",
            labels={"file": "report"},
        ),
    log:
        "logs/page.log",
    benchmark:
        "benchmarks/page.tsv"
    params:
        settings=config,
    resources:
        mem_mb=2000,
        runtime=15,
    conda:
        "../envs/molgen.yaml"
    script:
        "../scripts/page.py"


rule multiqc_content:
    input:
        runs=rules.tables.output.runs,
        libraries=rules.tables.output.libraries,
    output:
        runs="results/multiqc/molgen_runs_mqc.json",
        libraries="results/multiqc/molgen_libraries_mqc.json",
    log:
        "logs/multiqc_content.log",
    benchmark:
        "benchmarks/multiqc_content.tsv"
    resources:
        mem_mb=1000,
        runtime=10,
    conda:
        "../envs/molgen.yaml"
    script:
        "../scripts/multiqc.py"
