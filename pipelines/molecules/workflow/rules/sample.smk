# The library of one score and one seed.


# An interrupted run (killed, out of memory or time) leaves its checkpoint, which is not an output
# and hence not deleted: the next attempt resumes from it. It starts from the beginning if a file of
# the score, or a setting that must not change, differs from that of the interrupted run.
rule sample:
    input:
        score=scoring_file,
        files=scoring_files,
    output:
        summary=f"{RUN}/summary.json",
        library=f"{RUN}/library.csv",
        smiles=f"{RUN}/library.smi",
        provenance=f"{RUN}/provenance.json",
        page=report(
            f"{RUN}/report.html",
            caption="../report/run.rst",
            category="Runs",
            subcategory="{score}",
            labels={"seed": "{seed}", "file": "report"},
        ),
    log:
        "logs/sample/{score}/seed{seed}.log",
    benchmark:
        "benchmarks/sample/{score}/seed{seed}.tsv"
    params:
        run=subpath(output.summary, parent=True),
        fixed=sample_options,
        budget=budget_of,
        samples=config["sample"]["samples"],
        device=config["sample"]["device"],
    threads: config["resources"]["threads"]
    resources:
        mem_mb=memory_of_run,
        runtime=minutes_of_run,
        **GPU,
    retries: config["resources"]["retries"]
    conda:
        "../envs/molgen.yaml"
    shell:
        """
        exec > {log} 2>&1
        began_with={params.run}/workflow.inputs
        {{ cksum {input:q}; echo {params.fixed:q}; }} > $began_with.new
        if [ -f {params.run}/run.toml ] && cmp -s $began_with $began_with.new
        then how=--resume; else how=--force; fi
        mv $began_with.new $began_with
        molgen sample --config {input.score:q} --output {params.run} {params.fixed:q} \
            --budget {params.budget:q} --samples {params.samples} \
            --device {params.device} --threads {threads} $how
        """
