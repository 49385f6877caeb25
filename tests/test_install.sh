# SPDX-License-Identifier: Apache-2.0
#
# Installs into a temporary prefix, moves that, and builds a program against it: by pkg-config, by CMake's find_package, shared and static.
# ghl-test: timeout=300 no-sanitize
set -eu
[ -n "$GHL" ] || exit 77
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "test_install: $*" >&2; exit 1; }

DESTDIR="$work/stage" cmake --install "$BUILD_DIR" --prefix /opt/ghl >"$work/log" 2>&1 || { cat "$work/log"; fail "cmake --install"; }
prefix="$work/moved here"                       # the tree must be movable, also to a path with a space
mv "$work/stage/opt/ghl" "$prefix"
for file in bin/ghl include/ghl.h include/ghl_ext.h include/ghl_ops.def share/ghl/recipes/quickstart.yaml; do
    [ -e "$prefix/$file" ] || fail "$file was not installed"
done
lib=$(dirname "$(find "$prefix" -name libghl.a)")
[ -e "$lib/libghl.so" ] || fail "libghl.so was not installed"
for header in include/ghl.h include/ghl_ext.h; do
    grep -oE '#include "[^"]+"' "$prefix/$header" | cut -d'"' -f2 | while read -r needed; do
        [ -e "$prefix/include/$needed" ] || fail "$header includes $needed, which was not installed"
    done
done
"$prefix/bin/ghl" --version >/dev/null || fail "the installed command does not run"
ldd "$prefix/bin/ghl" | grep -q "not found" && fail "the installed command lacks libraries"

cat >"$work/main.c" <<'C'
#include <ghl.h>
#include <ghl_ext.h>
#include <stdio.h>
int main(void)
{
    ghl_net *net = NULL;
    if (ghl_net_create("one", 8, 8, 1, &net) != GHL_OK || ghl_net_append(net, "fc", "linear", "features: 3") != GHL_OK) {
        fprintf(stderr, "%s\n", ghl_error_message());
        return 1;
    }
    printf("%s %lld\n", ghl_version(), (long long)ghl_net_parameters(net));
    ghl_net_free(net);
    return 0;
}
C
expected="$("$GHL" --version | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -n 1) 195"
is_right() { [ "$1" = "$expected" ] || fail "$2: printed \"$1\", expected \"$expected\""; }
flags="-std=c11 -Wall -Wextra -Wpedantic -Werror"

if command -v pkg-config >/dev/null; then
    export PKG_CONFIG_PATH="$lib/pkgconfig"
    # eval: pkg-config quotes paths with spaces for a shell
    eval "cc $flags \"\$work/main.c\" -o \"\$work/shared\" $(pkg-config --cflags --libs ghl)"
    is_right "$(LD_LIBRARY_PATH="$lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" "$work/shared")" "pkg-config, shared"
    eval "cc $flags \"\$work/main.c\" -o \"\$work/static\" $(pkg-config --cflags ghl) \"\$lib/libghl.a\" $(pkg-config --static --libs-only-l ghl | sed 's/-lghl//')"
    is_right "$("$work/static")" "pkg-config, static"
fi

mkdir "$work/project"
cp "$work/main.c" "$work/project/"
cat >"$work/project/CMakeLists.txt" <<'CMAKE'
cmake_minimum_required(VERSION 3.20)
project(user C)
find_package(ghl 0.1 REQUIRED)
add_executable(shared main.c)
target_link_libraries(shared ghl::ghl)
add_executable(static main.c)
target_link_libraries(static ghl::static)
CMAKE
cmake -S "$work/project" -B "$work/project/build" -DCMAKE_PREFIX_PATH="$prefix" >"$work/log" 2>&1 &&
    cmake --build "$work/project/build" >>"$work/log" 2>&1 || { cat "$work/log"; fail "find_package"; }
is_right "$("$work/project/build/shared")" "find_package, shared"
is_right "$("$work/project/build/static")" "find_package, static"

if command -v c++ >/dev/null; then
    printf '#include <ghl.h>\nint main() { return ghl_version() == nullptr; }\n' >"$work/main.cpp"
    c++ -Wall -Wextra -Werror -fsyntax-only -I"$prefix/include" "$work/main.cpp" || fail "ghl.h in C++"
fi

# Nothing but the public names leaves the shared library; the linker's own do where a library below has them.
strangers=$(nm -D --defined-only "$lib/libghl.so" | awk '$2 ~ /[TDBR]/ && $3 !~ /^(ghl_.*|__bss_start|_edata|_end)$/ {print $3}')
[ -z "$strangers" ] || fail "libghl.so exports $strangers"
exit 0
