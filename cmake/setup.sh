# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What ./check and ./quickstart share: packages, and how a preset is built. Sourced, in the root of the tree.

PACKAGES_BUILD="gcc libc6-dev cmake libdnnl-dev libyaml-dev libjansson-dev zlib1g-dev libjpeg62-turbo-dev libspng-dev"
PACKAGES_CHECK="libcmocka-dev python3 pkg-config"

say() { printf '== %s\n' "$*" >&2; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 5; }

is_debian() { command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; }

missing_packages() {
    local package
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf '%s ' "$package"
    done
}

# Whether as_root can work: as root, or by a sudo that needs no password or has a terminal to ask for it.
can_be_root() {
    [ "$(id -u)" = 0 ] && return 0
    command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# install_packages must|may PACKAGE...: "may" returns 1 where one cannot be had, "must" ends the script.
updated=""
install_packages() {
    local need="$1" missing
    shift
    if ! is_debian; then
        [ "$need" = may ] && return 1
        say "not a Debian-like system: these are taken for granted (Debian's names): $*"
        return 0
    fi
    missing=$(missing_packages "$@")
    [ -z "$missing" ] && return 0
    if ! can_be_root; then
        [ "$need" = may ] && return 1
        die "packages are missing, and neither root nor sudo is at hand; as root, run: apt-get install $missing"
    fi
    say "installing $missing"
    if [ -z "$updated" ]; then
        as_root apt-get update -qq >&2 || say "apt-get update failed; trying with the lists at hand"
        updated=yes
    fi
    # shellcheck disable=SC2086
    if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >"$setup_log" 2>&1; then
        tail -n 5 "$setup_log" >&2
        [ "$need" = may ] && return 1
        die "could not install: $missing"
    fi
}
setup_log=$(mktemp)
trap 'rm -f "$setup_log"' EXIT

cores() { getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1; }

# build PRESET FOLDER [TARGET...]: configures where needed, builds; prints the end of the log where that fails.
build() {
    local preset="$1" folder="$2" targets=()
    shift 2
    [ $# -gt 0 ] && targets=(--target "$@")
    if [ ! -f "$folder/CMakeCache.txt" ] && command -v ninja >/dev/null; then
        export CMAKE_GENERATOR=Ninja
    fi
    if ! cmake --preset "$preset" >"$setup_log" 2>&1 ||
       ! cmake --build "$folder" --parallel "$(cores)" "${targets[@]}" >>"$setup_log" 2>&1; then
        grep -E 'error|Error|FAILED|Not found|sudo ' "$setup_log" | head -n 20 >&2
        tail -n 20 "$setup_log" >&2
        return 1
    fi
}
