#!/bin/sh
# Make a folder with Debian trixie and its Swift compiler, for the tests on Linux: sudo ios_bench/swift-root.sh ROOT
# What is there already is kept, so that it can be run again, for example after a restart.
set -eu
if [ $# -ne 1 ]; then
    echo "usage: swift-root.sh ROOT: give the folder to make" >&2
    exit 2
fi
if ! command -v debootstrap > /dev/null; then
    echo "swift-root.sh: debootstrap is not installed: apt-get install debootstrap" >&2
    exit 2
fi
if [ ! -x "$1/usr/bin/swiftc" ]; then
    debootstrap --variant=minbase \
        --include=swiftlang,swiftlang-dev,libc6-dev,libstdc++-14-dev,ca-certificates,zlib1g-dev trixie "$1"
fi
# The compiler looks for its own folder in /proc, and writes to /dev/null.
if ! mountpoint -q "$1/proc"; then mount -t proc proc "$1/proc"; fi
if [ ! -c "$1/dev/null" ]; then mknod -m 666 "$1/dev/null" c 1 3; fi
TMPDIR=/tmp chroot "$1" swiftc --version  # the folder of this system is not in that one
