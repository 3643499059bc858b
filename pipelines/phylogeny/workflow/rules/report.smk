# Tables over all alignments, the report, and content for MultiQC.


rule tables:
    input:
        summaries=expand(
            f"{RUN}/summary.json", zip,
            alignment=[pair[0] for pair in PAIRS for _ in SEEDS],
            model=[pair[1] for pair in PAIRS for _ in SEEDS],
            seed=SEEDS * len(PAIRS),
        ),
        comparisons=runs(["comparison.tsv"]) if len(SEEDS) > 1 else [],
    output:
        runs=report(
            "results/tables/runs.tsv",
            caption="../report/runs.rst",
            category="Tables",
            labels={"table": "runs"},
        ),
        evidence=report(
            "results/tables/evidence.tsv",
            caption="../report/evidence.rst",
            category="Tables",
            labels={"table": "evidence of models"},
        ),
    log:
        "logs/tables.log",
    benchmark:
        "benchmarks/tables.tsv"
    params:
        asdsf=config["compare"]["asdsf"],
    resources:
        mem_mb=1000,
        runtime=10,
    conda:
        "../envs/phylogfn.yaml"
    script:
        "../scripts/tables.py"


rule page:
    input:
        runs=rules.tables.output.runs,
        evidence=rules.tables.output.evidence,
        trees=runs(["consensus.nwk"]),
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
        mem_mb=1000,
        runtime=10,
    conda:
        "../envs/phylogfn.yaml"
    script:
        "../scripts/page.py"


rule multiqc_content:
    input:
        runs=rules.tables.output.runs,
        evidence=rules.tables.output.evidence,
    output:
        runs="results/multiqc/phylogfn_runs_mqc.json",
        evidence="results/multiqc/phylogfn_evidence_mqc.json",
    log:
        "logs/multiqc_content.log",
    benchmark:
        "benchmarks/multiqc_content.tsv"
    resources:
        mem_mb=1000,
        runtime=10,
    conda:
        "../envs/phylogfn.yaml"
    script:
        "../scripts/multiqc.py"
