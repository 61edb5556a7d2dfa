"""Random walks: a pool of forked workers, a pass with threads, a C helper compiled and run on the way."""

import subprocess
import tempfile
import threading
from multiprocessing import get_context
from pathlib import Path

import numpy as np

STEPS = 1 << 18
HELPER = """#include <stdio.h>
int main(void) { double x, s = 0; while (scanf("%lf", &x) == 1) s += x; printf("%g\\n", s); }
"""

table = np.linspace(-1.0, 1.0, STEPS)  # built before the fork, shared by the workers


def walk(seed: int) -> float:
    """One walk; the first quarter of the shared table is adjusted in place (copy-on-write)."""
    steps = np.random.default_rng(seed).permutation(table)
    table[: STEPS // 4] += steps[0]
    return float(np.cumsum(steps).max())


def smooth(out: list[float], seed: int) -> None:
    """A pass that runs in a thread."""
    noise = np.random.default_rng(seed).normal(size=STEPS // 2)
    out.append(float(np.convolve(noise, np.ones(8), "same").max()))


def compiled_sum(values: list[float], folder: Path) -> str:
    """Compile the helper and let it add the values up."""
    (folder / "helper.c").write_text(HELPER)
    subprocess.run(["gcc", "-O1", "-o", folder / "helper", folder / "helper.c"], check=True)
    text = "\n".join(map(str, values))
    return subprocess.run([folder / "helper"], input=text, text=True, capture_output=True, check=True).stdout


def main() -> None:
    """Run the three parts."""
    with get_context("fork").Pool(2) as pool:
        results = pool.map(walk, range(6))
    threads = [threading.Thread(target=smooth, args=(results, seed)) for seed in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log = bytearray()
    for value in results * 100_000:  # grows by realloc, that is mremap
        log += b"%.3f\n" % value
    with tempfile.TemporaryDirectory() as folder:
        print(len(log), compiled_sum(results, Path(folder)), end="")


if __name__ == "__main__":
    main()
