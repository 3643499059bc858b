"""The shell that both programs share: settings, output, progress, provenance."""
