"""A twin of Linux where core-mm meets an architecture: the Python API, and what a person touches.

``mmarch.run``, ``mmarch.compare`` and the others are in `mmarch.api`, which is loaded when one is asked for.
"""

from importlib import import_module

__version__ = "0.1.0"
__all__ = [
    "Ablation", "Choosing", "Comparison", "FeatureAblation", "Result", "Scenario", "ablate",
    "between", "check", "clean_recordings", "compare", "config", "convert_trace", "diff_releases",
    "doctor", "estimate_sweep", "explain", "fit_costs", "get_kernel", "judge", "list_archs", "list_costs",
    "list_cpus", "list_kernels", "list_papers", "list_releases", "list_series", "load_arch", "load_history",
    "load_series", "make_page", "measure", "measured_results", "new_arch", "new_series",
    "open_workload", "plan_sweep", "read_sweep", "record", "record_history", "render", "reproduce", "rests_on",
    "run", "run_all", "save_history", "show_arch", "show_costs", "show_cpu", "show_release", "show_sweep",
    "show_trace", "sweep", "trend", "update_series", "validate",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name in __all__:
        home = "mmarch.scenario.build" if name == "Scenario" else "mmarch.api"
        return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
