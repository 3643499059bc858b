# The posterior of one alignment, one model and one seed.


# An interrupted run (killed, out of memory or time) leaves its checkpoint, which is not an output
# and hence not deleted: the next attempt resumes from it. It starts from the beginning if the
# alignment, or a setting that must not change, differs from that of the interrupted run.
rule sample:
    input:
        alignment_file,
    output:
        summary=f"{RUN}/summary.json",
        topologies=f"{RUN}/topologies.tsv",
        trees=f"{RUN}/trees.nwk",
        tree=f"{RUN}/consensus.con.tre",
        provenance=f"{RUN}/provenance.json",
        page=report(
            f"{RUN}/report.html",
            caption="../report/run.rst",
            category="Runs",
            subcategory="{alignment}",
            labels={"model": "{model}", "seed": "{seed}", "file": "report"},
        ),
    log:
        "logs/sample/{alignment}/{model}/seed{seed}.log",
    benchmark:
        "benchmarks/sample/{alignment}/{model}/seed{seed}.tsv"
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
        "../envs/phylogfn.yaml"
    shell:
        """
        exec > {log} 2>&1
        began_with={params.run}/workflow.inputs
        {{ cksum {input:q}; echo {params.fixed:q}; }} > $began_with.new
        if [ -f {params.run}/run.toml ] && cmp -s $began_with $began_with.new
        then how=--resume; else how=--force; fi
        mv $began_with.new $began_with
        code=0
        phylogfn sample {input:q} --output {params.run} {params.fixed:q} \
            --budget {params.budget:q} --samples {params.samples} \
            --device {params.device} --threads {threads} $how || code=$?
        # 3: very low effective sample size; the files, and the tables and pages of all runs, say so
        [ $code -eq 3 ] || exit $code
        """
