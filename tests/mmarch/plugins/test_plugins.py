"""A bad plugin of every kind is refused, by name and by line."""

from __future__ import annotations

import re

import pytest

from mmarch.errors import InputError, PluginError
from mmarch.plugins import load_arch
from mmarch.plugins.showing import list_archs, winners
from tests.support.plugins import Plugins, line_of


def refused(plugins: Plugins, code: str, body: str, **how: str) -> str:
    """The message with which a plugin is refused."""
    path = plugins.install(body, **how)
    with pytest.raises(PluginError) as caught:
        load_arch(how.get("name", "toy"))
    assert caught.value.code == code
    assert caught.value.exit_code == 3
    message = str(caught.value)
    assert message.startswith(f"{code}: arch 'toy' (mmarch-toy 1.2)")
    for place in re.findall(r"#AT (\w+)", body):
        assert f"{path}:{line_of(path, '#AT ' + place)}" in message
    return message


def test_a_good_plugin_loads(plugins: Plugins) -> None:
    """Hooks are those of its modules, by name."""
    plugins.install("""
        @hookimpl
        def flush_tlb_all() -> int:
            return 0
        arch = descriptor()
    """)
    loaded = load_arch("toy")
    assert loaded.descriptor.name == "toy"
    assert list(loaded.hooks) == ["flush_tlb_all"]
    assert loaded.found.version == "1.2"


def test_hookspecs_may_be_imported(plugins: Plugins) -> None:
    """Names imported from the hookspecs are calls, not implementations."""
    plugins.install("""
        from core_mm.hookspecs import ptep_get, set_ptes
        arch = descriptor()
    """)
    assert load_arch("toy").hooks == {}


def test_unknown_name_suggests() -> None:
    """A misspelt architecture is a usage error that names the nearest."""
    with pytest.raises(InputError, match=r"no|unknown arch 'arm46'\. Did you mean 'arm64'\?"):
        load_arch("arm46")


def test_mm001_import_fails(plugins: Plugins) -> None:
    """The distribution, the original error and the line in their code are named."""
    message = refused(plugins, "MM001", "import no_such_module  #AT import\n")
    assert "No module named 'no_such_module'" in message
    assert "toy = mmarch_toy:arch" in message


def test_mm001_syntax_error(plugins: Plugins) -> None:
    """A file that does not compile is named with its line."""
    message = refused(plugins, "MM001", "def broken(:  #AT syntax\n", prelude="")
    assert "SyntaxError" in message


def test_mm001_exits_at_import(plugins: Plugins) -> None:
    """Not even sys.exit() in a plugin ends mmarch."""
    assert "SystemExit: 7" in refused(plugins, "MM001", "import sys\nsys.exit(7)  #AT exit\n")


def test_mm001_module_missing(plugins: Plugins) -> None:
    """An entry point to nowhere."""
    assert "No module named 'nowhere'" in refused(plugins, "MM001", "", target="nowhere:arch")


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("arch = 'arm64'", "is str 'arm64'"),
        ("arch = descriptor", "is function"),
        ("other = descriptor()", "is nothing"),
        ("arch = descriptor(name='elsewhere')", "describes 'elsewhere'"),
        ("arch = descriptor(default_granule='8k')", "default_granule '8k' is none of 4k"),
        ("arch = descriptor(default_cpu='fast')", "default_cpu 'fast' is none of plain"),
        ("arch = descriptor(colour='red')", "colour: Extra inputs are not permitted"),
        ("arch = descriptor(event_groups={'tlbi_': 'flush'})", "event_groups.tlbi_"),
        ("arch = descriptor(events=[f'e{i}' for i in range(65)])", "events: "),
        ("arch = descriptor(cpu_scalars='cpu')", "cpu_scalars: Input should be a subclass of CpuFeatures"),
        (
            "arch = descriptor(cpus={'plain': Cpu(description='', features={'dbm': 1})})",
            "cpu 'plain' sets 'dbm'",
        ),
    ],
)
def test_mm002_no_descriptor(plugins: Plugins, body: str, shown: str) -> None:
    """What was found is shown, and what was expected."""
    assert shown in refused(plugins, "MM002", body)


CPU = """
from core_mm.cpufeature import CpuFeatures, cpu_feature, cpu_number

class cpu(CpuFeatures):
    dirty: int = cpu_feature("hardware sets the dirty bit", source="manual", requires=("young",))
    young: int = cpu_feature("hardware sets the young bit", source="manual")
    cores: int = cpu_number("how many", source="manual", most=4)

def model(name="plain", **features):
    return descriptor(cpu_scalars=cpu, default_cpu=name, cpus={name: Cpu(description="", features=features)})

"""


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("arch = model(dirty=1)", "cpu 'plain' cannot be: dirty needs young; add +young, or +nodirty"),
        ("arch = model(cores=5)", "cpu 'plain' sets 'cores' to 5; it is 0 to 4"),
        ("arch = model(youn=1)", "cpu 'plain' sets 'youn', which cpu_scalars lacks. Did you mean 'young'?"),
        ("arch = model(name='a+b')", "cpu 'a+b' has a name with one of '+,= '"),
        ("cpu.__name__ = 'other'; arch = model()", "cpu_scalars 'other' is in none of the plugin's modules"),
        (
            "class cpu(CpuFeatures):\n    nofault: int = cpu_feature('never faults', source='')\narch = model()",
            "CPU feature 'nofault' begins with 'no'",
        ),
        (
            "class cpu(CpuFeatures):\n    set_ptes: int = cpu_feature('', source='')\narch = model()",
            "CPU feature 'set_ptes' bears the name of a hook",
        ),
        (
            "class cpu(CpuFeatures):\n    young: int\narch = model()",
            "CPU feature 'young' says nothing of itself",
        ),
        (
            "class cpu(CpuFeatures):\n    a: int = cpu_feature('', source='', requires=('b',))\narch = model()",
            "CPU feature 'a' requires 'b', which is no feature here.",
        ),
        (
            "class cpu(CpuFeatures):\n    a: int = cpu_feature('', source='', capability='ttl')\narch = model()",
            "CPU feature 'a' stands for capability 'ttl', which the descriptor does not claim",
        ),
    ],
)
def test_mm002_cpu_features(plugins: Plugins, body: str, shown: str) -> None:
    """What no command line could spell, and models that contradict themselves."""
    assert shown in refused(plugins, "MM002", CPU + body)


def test_mm002_module_left_out(plugins: Plugins) -> None:
    """A hook in a module that the descriptor does not list would never run."""
    package = plugins.folder / "mmarch_toy"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "pte.py").write_text(
        "from core_mm.hookspecs import hookimpl\n\n@hookimpl\ndef flush_tlb_all() -> int:\n    return 0\n"
    )
    message = refused(
        plugins,
        "MM002",
        "from mmarch_toy.pte import flush_tlb_all\narch = descriptor(modules=('mmarch_toy.hooks',))\n",
        module="mmarch_toy.hooks",
        target="mmarch_toy.hooks:arch",
    )
    assert "module mmarch_toy.pte" in message
    assert str(package / "pte.py") + ":3" in message


def test_mm003_api_mismatch(plugins: Plugins) -> None:
    """Both numbers, and which side to upgrade."""
    message = refused(plugins, "MM003", "arch = descriptor(api_version=99)")
    assert "api 99" in message
    assert "api 1" in message
    assert "upgrade mmarch" in message


def test_mm003_old_plugin(plugins: Plugins) -> None:
    """A plugin that is too old is the one to upgrade."""
    assert "upgrade mmarch-toy" in refused(plugins, "MM003", "arch = descriptor(api_version=0)")


def test_mm004_unknown_hook(plugins: Plugins) -> None:
    """A misspelt hook, with the nearest names."""
    message = refused(
        plugins,
        "MM004",
        """
        @hookimpl  #AT typo
        def clear_pte(mm, addr, ptep, nr, full):
            return 0
        arch = descriptor()
        """,
    )
    assert "clear_pte is no hook. Did you mean 'clear_ptes'?" in message


def test_mm004_unknown_required_hook(plugins: Plugins) -> None:
    """A required hook that does not exist."""
    message = refused(plugins, "MM004", "arch = descriptor(required={'set_pts': 'because'})")
    assert "'set_pts', which is no hook. Did you mean 'set_ptes'?" in message


def test_mm005_signature_differs(plugins: Plugins) -> None:
    """The third version's argument order is not the fourth's; both are shown."""
    message = refused(
        plugins,
        "MM005",
        """
        @hookimpl  #AT signature
        def clear_ptes(mm, addr, ptep, full, nr):
            return 0
        arch = descriptor()
        """,
    )
    assert "hook:   clear_ptes(mm, addr, ptep, nr, full)\n" in message
    assert "plugin: clear_ptes(mm, addr, ptep, full, nr)" in message


def test_mm005_too_few_parameters(plugins: Plugins) -> None:
    """pluggy would accept fewer parameters, linked code would not."""
    body = """
        @hookimpl  #AT few
        def flush_tlb_page(vma):
            return 0
        arch = descriptor()
    """
    assert "flush_tlb_page(vma, addr)" in refused(plugins, "MM005", body)


def test_mm006_unmarked(plugins: Plugins) -> None:
    """A function named like a hook that pluggy would pass over."""
    body = """
        def flush_tlb_all():  #AT unmarked
            return 0
        arch = descriptor()
    """
    assert "add @hookimpl" in refused(plugins, "MM006", body)


@pytest.mark.parametrize(
    "definition",
    [
        "class Jitted:\n    def __init__(self, f): self.py_func = f\n"
        "def flush(): return 0  #AT plain\nflush_tlb_all = hookimpl(Jitted(flush))\n",
        "flush_tlb_all = hookimpl(lambda: 0)  #AT lambda\n",
        "@hookimpl  #AT async\nasync def flush_tlb_all(): return 0\n",
        "@hookimpl(tryfirst=True)  #AT first\ndef flush_tlb_all(): return 0\n",
        "@hookimpl(wrapper=True)  #AT wrapper\ndef flush_tlb_all():\n    return (yield)\n",
    ],
)
def test_mm007_no_plain_function(plugins: Plugins, definition: str) -> None:
    """Whatever is marked but is no plain function would be ignored or could not be linked."""
    refused(plugins, "MM007", definition + "arch = descriptor()\n")


@pytest.mark.parametrize(
    ("parameters", "shown"),
    [
        ("vma, addr=0", "default values"),
        ("vma, *, addr", "keyword-only"),
        ("vma, *addr", "*args"),
        ("vma, addr, /", "positional-only"),
    ],
)
def test_mm008_odd_parameters(plugins: Plugins, parameters: str, shown: str) -> None:
    """pluggy's versions disagree about these."""
    body = f"""
        @hookimpl  #AT odd
        def flush_tlb_page({parameters}):
            return 0
        arch = descriptor()
    """
    assert shown in refused(plugins, "MM008", body)


def test_mm009_two_distributions(plugins: Plugins) -> None:
    """One name from two distributions: both are named with their versions."""
    plugins.install("arch = descriptor()")
    plugins.install("arch = descriptor()", module="other_toy", distribution="other-toy", version="3.0")
    with pytest.raises(PluginError, match="MM009") as caught:
        load_arch("toy")
    assert "mmarch-toy 1.2" in str(caught.value)
    assert "other-toy 3.0" in str(caught.value)


def test_mm010_required_hook_missing(plugins: Plugins) -> None:
    """A hook that the descriptor calls required but that is not there."""
    message = refused(plugins, "MM010", "arch = descriptor(required={'set_ptes': 'blocks must stay whole'})")
    assert "hook set_ptes is required (blocks must stay whole)" in message


def test_mm010_capability_without_hook(plugins: Plugins) -> None:
    """Who claims contiguous blocks has to say how large they are; every missing hook is listed."""
    message = refused(plugins, "MM010", "arch = descriptor(capabilities={'contiguous'})")
    for hook in ("ptep_get", "set_ptes", "pte_batch_hint"):
        assert f"needs hook {hook}," in message


def test_mm010_unknown_capability(plugins: Plugins) -> None:
    """A misspelt capability would disable tests in silence."""
    message = refused(plugins, "MM010", "arch = descriptor(capabilities={'contigous'})")
    assert "Did you mean 'contiguous'?" in message


def test_all_problems_are_told_at_once(plugins: Plugins) -> None:
    """One load shows everything there is to mend."""
    message = refused(
        plugins,
        "MM004",
        """
        @hookimpl
        def clear_pte(mm):
            return 0
        def set_ptes(mm):
            return 0
        arch = descriptor()
        """,
    )
    assert "\nMM006: " in message


def test_broken_plugins_are_listed(plugins: Plugins) -> None:
    """One broken plugin does not hide the others."""
    plugins.install("import no_such_module\n")
    listed = {item.found.name: item for item in list_archs()}
    assert listed["toy"].status == "MM001"
    assert "no_such_module" in listed["toy"].problem
    assert listed["generic"].status == "ok"


def test_winners(plugins: Plugins) -> None:
    """The plugin wins the hooks it has, generic all others; what does not link is told why."""
    plugins.install("""
        @hookimpl
        def flush_tlb_all() -> int:
            return len([0]) - 1
        @hookimpl
        def flush_tlb_mm(mm: int) -> int:
            return 0
        arch = descriptor()
    """)
    found = {w.hook: w for w in winners(load_arch("toy"), load_arch("generic"), linking=True)}
    assert found["flush_tlb_mm"].plugin == "toy"
    assert found["flush_tlb_mm"].linkable == "yes"
    assert found["flush_tlb_all"].linkable.startswith("no: ")
    assert found["set_ptes"].plugin == "generic"
    assert found["set_ptes"].where.startswith("arches/generic/pgtable.py:")
