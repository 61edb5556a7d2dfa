"""The third engine: a real kernel under QEMU, a guest that executes operations, a plugin that counts.

image, debian      which kernel: a file, or one of Debian's
tools, build       QEMU and compilers; guest and plugin, built once
program, initrd    operations as the guest reads them
qemu, boot         one process with bounds; one boot and what it recorded
records, arm64     the recording, decoded
measure            scenarios in, a measurement out
"""
