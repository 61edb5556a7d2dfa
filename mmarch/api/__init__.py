"""The Python API: what a notebook calls, and what the command line is a thin layer over.

A workload is a name or a path as on the command line, a `Scenario`, or what `open_workload` returned, which
reads a recording only once. The keywords of a configuration are the fields of `Choosing`. Errors are those of
`mmarch.errors`; operations of a recording that failed are in a result's `failures`.
"""

from mmarch.api.answers import Ablation, Comparison, FeatureAblation, Result, render
from mmarch.api.architectures import (
    check,
    diff_releases,
    list_archs,
    list_costs,
    list_cpus,
    list_releases,
    load_arch,
    new_arch,
    rests_on,
    show_arch,
    show_costs,
    show_cpu,
    show_release,
)
from mmarch.api.choosing import Choosing, config, open_workload
from mmarch.api.drawing import make_page
from mmarch.api.kernels import (
    clean_recordings,
    doctor,
    get_kernel,
    list_kernels,
    measure,
    measured_results,
    record,
    validate,
)
from mmarch.api.papers import fit_costs, list_papers, reproduce
from mmarch.api.recordings import convert_trace, show_trace
from mmarch.api.running import ablate, between, compare, judge, run, run_all, trend
from mmarch.api.seeing import explain, load_history, record_history, save_history
from mmarch.api.series import list_series, load_series, new_series, update_series
from mmarch.api.sweeping import estimate_sweep, plan_sweep, read_sweep, show_sweep, sweep

__all__ = [
    "Ablation", "Choosing", "Comparison", "FeatureAblation", "Result", "ablate", "between", "check",
    "clean_recordings", "compare", "config", "convert_trace", "diff_releases", "doctor", "estimate_sweep",
    "explain", "fit_costs", "get_kernel", "judge", "list_archs", "list_costs", "list_cpus", "list_kernels",
    "list_papers", "list_releases", "list_series", "load_arch", "load_history", "load_series", "make_page", "measure",
    "measured_results", "new_arch", "new_series", "open_workload", "plan_sweep", "read_sweep", "record",
    "record_history", "render", "reproduce", "rests_on", "run", "run_all", "save_history", "show_arch", "show_costs",
    "show_cpu", "show_release", "show_sweep", "show_trace", "sweep", "trend", "update_series", "validate",
]  # fmt: skip
