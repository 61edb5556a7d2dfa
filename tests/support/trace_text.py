"""Traces written by hand, in the recorder's form."""

HEADER = "# tracer: nop\n#\n# mmarch trace: 1\n# kernel: 6.18.0\n# arch: x86_64\n#\n"


def event(pid, body):
    """One line of ftrace text."""
    return f"           <...>-{pid:<7d} [000] d....     0.000001: {body}"


def mark(text):
    """A line the recorder wrote through trace_marker."""
    return event(0, f"tracing_mark_write: {text}")


def newtask(parent, child, flags):
    """A birth."""
    return event(parent, f"task_newtask: pid={child} comm=<...> clone_flags={flags:x} oom_score_adj=0")


START = (
    event(1, "sched_prepare_exec: -"),
    event(1, "sched_process_exec: filename=- pid=1 old_pid=1"),
    mark("mmarch_exec: pid=1 start_brk=0x555000010000"),
    mark("mmarch_file: file=0 size=20480 kind=ext4"),
    mark("mmarch_vma: pid=1 start=0x555000000000 end=0x555000004000 prot=0x5 flags=0x2 file=0 off=0x1000"),
    mark("mmarch_vma: pid=1 start=0x7ffd00000000 end=0x7ffd00021000 prot=0x3 flags=0x20122 file=-1 off=0x0"),
    mark("mmarch_special: pid=1 start=0x7ffe00000000 end=0x7ffe00002000"),
    mark("mmarch_present: pid=1 start=0x7ffd00020000 pages=1"),
    mark("mmarch_exec_end: pid=1"),
    event(1, "sys_execve -> 0x0"),
)
IMAGE = 5  # rows START makes


def trace(*events):
    """A complete trace of `events`."""
    return HEADER + "".join(f"{line}\n" for line in events) + f"# end: {len(events)} events\n"
