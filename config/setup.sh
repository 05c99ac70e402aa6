#!/usr/bin/env bash
# Makes this machine and this checkout ready: Debian packages, .venv/, locked dependencies, `trimtab`.
#
#   config/setup.sh run      what `trimtab` needs
#   config/setup.sh lab      the same, and what the lab of real libvirt hosts needs
#
# Repeatable; with nothing missing it only looks, in well under two seconds.
# Works on Debian 12 and Ubuntu 24.04 as root, or with sudo. Starts no service.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
self=$root/config/setup.sh
venv=$root/.venv
stamp=$venv/.trimtab-setup
kernels_stamp=$venv/.trimtab-kernels

# libvirt-python has no wheels: it is compiled against libvirt-dev.
runtime_packages=(python3 python3-venv python3-dev gcc libc6-dev pkg-config libvirt-dev redis-server)
lab_packages=(libvirt-daemon libvirt-daemon-driver-qemu libvirt-daemon-system libvirt-clients qemu-system-x86 qemu-utils tini
    iproute2 openssl openipmi ipmitool)

say() { printf 'setup: %s\n' "$*" >&2; }
die() {
    say "$@"
    exit 1
}

# --- Debian packages -----------------------------------------------------------------------------

missing_packages() { # those of "$@" that are not installed, one per line
    local known
    known=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true)
    local package
    for package in "$@"; do
        grep -qxF "installed $package" <<<"$known" || echo "$package"
    done
}

as_root() { # 125 when there is no way to be root
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        sudo -- "$@"
    else
        return 125
    fi
}

units_of() { # the units that installing package $1 would have started
    case $1 in
        redis-server) echo redis-server.service ;;
        openipmi) echo openipmi.service ;;
        libvirt-daemon-system)
            echo libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirt-guests.service \
                virtlogd.socket virtlogd-admin.socket virtlockd.socket virtlockd-admin.socket
            ;;
    esac
}

# A package's scripts ask policy-rc.d whether they may start its services; 101 says no.
policy=/usr/sbin/policy-rc.d
saved_policy=$policy.before-trimtab

forbid_services() {
    if [ -e "$policy" ] && [ ! -e "$saved_policy" ]; then mv "$policy" "$saved_policy"; fi
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
}

restore_policy() {
    rm -f "$policy"
    if [ -e "$saved_policy" ]; then mv "$saved_policy" "$policy"; fi
}

install_packages() { # as root; "$@" were all missing, so a service among them is nobody's but ours
    say "installing Debian packages: $*"
    local log
    log=$(mktemp)
    trap restore_policy EXIT
    forbid_services
    local apt=(env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -q -y -o DPkg::Lock::Timeout=300)
    if ! { "${apt[@]}" update && "${apt[@]}" install --no-install-recommends "$@"; } >"$log" 2>&1 </dev/null; then
        tail -n 15 "$log" >&2
        die "apt-get could not install: $*; what it said is above and in $log"
    fi
    rm -f "$log"

    if [ -d /run/systemd/system ]; then
        local package unit
        for package in "$@"; do
            for unit in $(units_of "$package"); do
                systemctl disable --quiet --now "$unit" 2>/dev/null || true # a unit this release does not have
            done
        done
    fi
}

want_packages() { # $1: required | optional; then the packages
    local need=$1
    shift
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        say "not a Debian or Ubuntu machine: install the counterparts of these yourself: $*"
        return 0
    fi
    local missing
    mapfile -t missing <<<"$(missing_packages "$@")"
    if [ -z "${missing[0]}" ]; then return 0; fi
    local status=0
    as_root "$self" --install "${missing[@]}" || status=$?
    if [ "$status" -eq 0 ]; then return 0; fi
    if [ "$status" -eq 125 ]; then say "neither root nor sudo here: ask for 'apt-get install ${missing[*]}'"; fi
    if [ "$need" = required ]; then exit 1; fi
    say "going on without the lab's packages: tests that need real hosts will be skipped"
}

# --- Python --------------------------------------------------------------------------------------

usable_python() { # 3.11 or newer, able to make environments and to compile against
    "$1" - 2>/dev/null <<'PY'
import pathlib, sys, sysconfig
import ensurepip, venv
header = pathlib.Path(sysconfig.get_path("include")) / "Python.h"
sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 14) and header.exists()))
PY
}

choose_python() {
    local candidate
    for candidate in python3 /usr/bin/python3 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null && usable_python "$candidate"; then
            command -v "$candidate"
            return 0
        fi
    done
    die "no Python 3.11 to 3.14 with venv and headers found: install python3, python3-venv and python3-dev"
}

setup_key() { # changes when the environment has to be made anew or brought up to date
    cd "$root"
    { sha256sum requirements-build.lock requirements.lock pyproject.toml config/setup.sh && echo "$root"; } | sha256sum
}

kernels_key() { # changes when the search has to be compiled anew
    cd "$root"
    {
        grep -rlF kernels.compiled --include='*.py' scheduler/solver | sort | xargs sha256sum
        sha256sum scheduler/solver/kernels/*.py requirements.lock
    } | sha256sum
}

warm_kernels() {
    say "compiling the search, which takes a minute or two"
    rm -f "$kernels_stamp"
    local status=0
    (cd "$root" && env -u NUMBA_CACHE_DIR "$venv/bin/python" -m scheduler.solver.kernels.warm >&2) || status=$?
    # 1: it said why not; the search works all the same, it compiles at its first plan.
    if [ "$status" -gt 1 ]; then die "could not compile the search: status $status"; fi
    kernels_key >"$kernels_stamp"
}

make_venv() {
    local pip=("$venv/bin/python" -m pip --disable-pip-version-check install -qq)
    if [ ! -x "$venv/bin/python" ] || ! head -n 3 "$venv/bin/pip" 2>/dev/null | grep -qF "$venv/bin/"; then
        local python
        python=$(choose_python)
        say "making .venv with $python"
        "$python" -m venv --clear "$venv"
    fi
    rm -f "$stamp"
    say "installing locked dependencies"
    # Not isolated, so that libvirt-python is built by the locked setuptools and not by the newest.
    "${pip[@]}" --require-hashes -r "$root/requirements-build.lock"
    "${pip[@]}" --require-hashes --no-build-isolation -r "$root/requirements.lock"
    "${pip[@]}" --no-index --no-deps --no-build-isolation -e "$root"
    (cd "$root" && "$venv/bin/python" -m compileall -q cluster collectors policies scheduler executors simulator reports)
    setup_key >"$stamp"
}

main() {
    case ${1:-run} in
        --install)
            shift
            install_packages "$@"
            ;;
        run | lab)
            # One set-up at a time: a second one would pull packages from under the first.
            exec 9<"$self"
            flock 9
            want_packages required "${runtime_packages[@]}"
            if [ "${1:-run}" = lab ]; then want_packages optional "${lab_packages[@]}"; fi
            if [ ! -x "$venv/bin/trimtab" ] || [ "$(cat "$stamp" 2>/dev/null)" != "$(setup_key)" ]; then
                make_venv
                say "ready: .venv/bin/trimtab"
            fi
            if [ ! -d "$venv/cache/trimtab" ] || [ "$(cat "$kernels_stamp" 2>/dev/null)" != "$(kernels_key)" ]; then
                warm_kernels
            fi
            ;;
        *) die "unknown word '$1': use 'run' or 'lab'" ;;
    esac
}

main "$@"
