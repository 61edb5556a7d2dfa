# What type checkers see: a runtime import would load all of it.
from mmarch.api import Ablation as Ablation
from mmarch.api import Choosing as Choosing
from mmarch.api import Comparison as Comparison
from mmarch.api import FeatureAblation as FeatureAblation
from mmarch.api import Result as Result
from mmarch.api import ablate as ablate
from mmarch.api import between as between
from mmarch.api import check as check
from mmarch.api import compare as compare
from mmarch.api import config as config
from mmarch.api import convert_trace as convert_trace
from mmarch.api import diff_releases as diff_releases
from mmarch.api import doctor as doctor
from mmarch.api import explain as explain
from mmarch.api import get_kernel as get_kernel
from mmarch.api import judge as judge
from mmarch.api import list_archs as list_archs
from mmarch.api import list_costs as list_costs
from mmarch.api import list_cpus as list_cpus
from mmarch.api import list_kernels as list_kernels
from mmarch.api import list_releases as list_releases
from mmarch.api import list_series as list_series
from mmarch.api import load_arch as load_arch
from mmarch.api import load_series as load_series
from mmarch.api import make_page as make_page
from mmarch.api import measure as measure
from mmarch.api import measured_results as measured_results
from mmarch.api import new_arch as new_arch
from mmarch.api import new_series as new_series
from mmarch.api import open_workload as open_workload
from mmarch.api import record as record
from mmarch.api import record_history as record_history
from mmarch.api import render as render
from mmarch.api import run as run
from mmarch.api import run_all as run_all
from mmarch.api import show_arch as show_arch
from mmarch.api import show_costs as show_costs
from mmarch.api import show_cpu as show_cpu
from mmarch.api import show_release as show_release
from mmarch.api import show_trace as show_trace
from mmarch.api import trend as trend
from mmarch.api import update_series as update_series
from mmarch.api import validate as validate
from mmarch.scenario.build import Scenario as Scenario

__version__: str
__all__: list[str]
