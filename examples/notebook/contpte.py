"""What contiguous PTEs cost and buy, as in a notebook: run all cells, or `python contpte.py`."""

# %%
import mmarch

# %% A scenario by hand: a block is written, half of it is given back, a child is forked.
scenario = (
    mmarch.Scenario(name="blocks")
    .map("A", 512)
    .write("A")
    .madvise("A", "dontneed", 8, 8)
    .fork()
    .write("A", 16, 16, child=True)
    .reap()
)

# %% Counts of one run; a notebook shows its tables.
result = mmarch.run(scenario, release="7.3")
print(mmarch.render(result).decode())

# %% The same numbers as a data frame.
counts = result.frame()
print(counts.filter(event="fault").select("release", "operation", "event", "count"))

# %% How much of anonymous memory is in whole large folios, and folded, after each operation.
coverage = result.coverage_frame()
print(
    coverage.pivot("key", index="operation", values="bytes").select(
        "operation", "anon-rss", "anon-cont-pte-folded-64kB"
    )
)

# %% Folio sizes side by side.
found = mmarch.compare(scenario, {f"order {n}": {"folio_orders": n} for n in (0, 2, 4)})
faults = found.frame().filter(event="fault").select("configuration", "operation", "count")
print(faults)

# %% Page tables after the write, and the leaf of one page.
history = mmarch.record_history(scenario)
tables = history.tables(history.find("end"), 0)
print(len(tables), "leaf entries at the end")

# %% The same comparison for a letter.
print(mmarch.render(found, "fastpath").decode())
