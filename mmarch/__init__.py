"""What a person touches: the command line, workloads and traces, plugins, results and reports."""

__version__ = "0.1.0"
