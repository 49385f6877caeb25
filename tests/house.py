# SPDX-License-Identifier: Apache-2.0
#
# The rules of the house, as functions: each takes a Tree and yields (file, line, message). tests/test_house.py runs them on this
# source tree, and on small bad ones to see that each rule bites.
import os
import re
import subprocess

FILE_LIMIT, FUNCTION_LIMIT, LINE_LIMIT = 800, 100, 140

# room -> rooms whose headers it may include beside its own; public headers are for everybody
CORE = ["base", "tensor", "device", "net", "plan"]
METHODS = ["layer", "rule", "signal", "optim", "model", "probe"]
STORES = ["data", "ckpt", "metric", "dist"]
ROOMS = {room: CORE[:i] for i, room in enumerate(CORE)}
ROOMS.update({room: CORE for room in METHODS})
ROOMS.update({room: CORE[:3] for room in STORES})
ROOMS["recipe"] = CORE
ROOMS["train"] = CORE + METHODS + STORES + ["recipe"]
ROOMS["command"] = ROOMS["train"] + ["train"]
ROOMS["cli"] = []
PUBLIC = {"ghl.h", "ghl_ext.h", "ghl_ops.def", "ghl_build.h"}

STANDARD = set("""assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg stdatomic stdbool
    stddef stdint stdio stdlib stdnoreturn string tgmath threads time uchar wchar wctype""".split())
SYSTEM = set("""argp dirent dlfcn fcntl fnmatch glob malloc pthread sched semaphore strings termios unistd cpuid immintrin
    sys/auxv sys/file sys/ioctl sys/mman sys/random sys/resource sys/stat sys/syscall sys/sysinfo sys/time sys/types sys/utsname sys/wait""".split())
# foreign header -> None: one file of the library may include it; a folder: only files in there
FOREIGN = {"yaml.h": None, "jansson.h": None, "zlib.h": None, "jpeglib.h": None, "jerror.h": None, "spng.h": None, "gnu/libc-version.h": None, "link.h": None,
           "oneapi/dnnl/dnnl.h": "src/device/cpu/", "oneapi/dnnl/dnnl_types.h": "src/device/cpu/",
           "oneapi/dnnl/dnnl_config.h": "src/device/cpu/", "dnnl.h": "src/device/cpu/", "omp.h": "src/device/cpu/",
           "cuda_runtime.h": "src/device/cuda/", "cuda_runtime_api.h": "src/device/cuda/", "cudnn_backend.h": "src/device/cuda/",
           "cublasLt.h": "src/device/cuda/"}

BANNED_CALLS = """exit _exit _Exit quick_exit abort assert printf vprintf puts putchar perror getenv secure_getenv setenv putenv signal sigaction
    atexit system popen raise kill srand rand random""".split()
FILE_CALLS = "fopen freopen open openat creat rename renameat unlink remove mkdir rmdir truncate ftruncate gzopen tmpfile mkstemp".split()

SOURCES = (".c", ".h", ".def", ".py", ".sh", ".cmake", ".cu")
TEXTS = SOURCES + (".md", ".txt", ".yaml", ".json", ".cff", ".in", "")
NOT_OURS = re.compile(r"^(\.git|build|build-.*|runs|\.venv|__pycache__|\.vscode|\.idea)$")


class Tree:
    """Text files below a folder, by their path from there."""

    def __init__(self, root):
        self.root, self.files = root, {}
        for path in self.listed():
            if not path.endswith(TEXTS) and "." in os.path.basename(path):
                continue
            try:
                with open(os.path.join(root, path), encoding="utf-8") as f:
                    self.files[path] = f.read()
            except (UnicodeDecodeError, FileNotFoundError):
                pass

    def listed(self):
        """What git tracks or would track; without git, everything but build folders."""
        if os.path.exists(os.path.join(self.root, ".git")):
            git = subprocess.run(["git", "-c", "safe.directory=*", "-C", self.root, "ls-files", "-co", "--exclude-standard"],
                                 capture_output=True, text=True)
            if git.returncode == 0:
                return sorted(set(git.stdout.split("\n")) - {""})
        found = []
        for folder, folders, names in os.walk(self.root):
            folders[:] = [f for f in folders if not NOT_OURS.match(f)]
            found += [os.path.relpath(os.path.join(folder, n), self.root) for n in names]
        return sorted(found)

    def c_files(self, *prefixes):
        return [p for p in self.files if p.endswith((".c", ".h", ".cu")) and p.startswith(prefixes or ("",))]

    def library(self):
        return [p for p in self.c_files("src/") if not p.startswith("src/cli/")]

    def exists(self, path):
        return os.path.exists(os.path.join(self.root, path))


def blank(text, strings=True):
    """C text with comments (and the insides of strings) replaced by spaces; line numbers stay."""
    def spaces(match):
        piece = match.group(0)
        if piece[0] in "\"'":
            return piece[0] + " " * (len(piece) - 2) + piece[-1] if strings else piece
        return re.sub(r"[^\n]", " ", piece)
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', spaces, text, flags=re.S)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def room_of(path):
    parts = path.split("/")
    return parts[1] if parts[0] == "src" and len(parts) > 2 else None


def check_rooms(tree):
    for path in tree.c_files("src/"):
        room = room_of(path)
        if room not in ROOMS:
            yield path, 1, f"not in a room of the house ({' '.join(sorted(ROOMS))})"
            continue
        for m in re.finditer(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', blank(tree.files[path], strings=False), re.M):
            header, line = m.group(1), line_of(tree.files[path], m.start())
            if header in PUBLIC:
                continue
            if tree.exists(os.path.join(os.path.dirname(path), header)) and ".." not in header:
                continue
            target = header.split("/")[0]
            if not tree.exists("src/" + header):
                yield path, line, f'"{header}" is neither public nor in src/'
            elif target != room and target not in ROOMS[room]:
                yield path, line, f'room {room} may not include "{header}" (allowed: {" ".join(ROOMS[room]) or "public headers"})'


def check_foreign(tree):
    users = {}
    for path in tree.c_files("src/", "include/"):
        for m in re.finditer(r"^[ \t]*#[ \t]*include[ \t]+<([^>]+)>", blank(tree.files[path]), re.M):
            header, line = m.group(1), line_of(tree.files[path], m.start())
            if header[:-2] in STANDARD | SYSTEM:
                continue
            if header not in FOREIGN:
                yield path, line, f"<{header}> is not among the libraries of the house (tests/house.py lists them)"
            elif path.startswith("include/"):
                yield path, line, f"a public header may not include <{header}>"
            elif FOREIGN[header]:
                if not path.startswith(FOREIGN[header]):
                    yield path, line, f"<{header}> belongs in {FOREIGN[header]} only"
            else:
                users.setdefault(header, []).append((path, line))
    for header, where in users.items():
        for path, line in where[1:]:
            yield path, line, f"<{header}> is included in {where[0][0]} already; a foreign header has one file"


def functions(text):
    """(name, first line, last line) of every function body."""
    code = re.sub(r'extern\s+"\s*"\s*\{', lambda m: " " * len(m.group(0)), blank(text))
    code = re.sub(r"^[ \t]*#(?:[^\n\\]|\\\n|\\.)*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), code, flags=re.M)
    depth, start, name = 0, None, ""
    for m in re.finditer(r"[{}]", code):
        if m.group(0) == "{":
            if depth == 0:
                head = code[:m.start()].rstrip()
                start = line_of(code, m.start()) if head.endswith(")") else None
                if start:
                    head = head[max(head.rfind(";"), head.rfind("}")) + 1:]
                    named = re.search(r"(\w+)\s*\(", head)
                    name = named.group(1) if named else "?"
            depth += 1
        else:
            depth -= 1
            if depth == 0 and start:
                yield name, start, line_of(code, m.start())
                start = None


def check_lengths(tree):
    for path, text in tree.files.items():
        if not path.endswith((".c", ".h", ".cu", ".py", ".sh", ".cmake")):
            continue
        lines = text.split("\n")
        if len(lines) - 1 > FILE_LIMIT:
            yield path, FILE_LIMIT, f"{len(lines) - 1} lines; a file has at most {FILE_LIMIT}"
        for i, line in enumerate(lines, 1):
            if len(line) > LINE_LIMIT and path.endswith((".c", ".h", ".cu")):
                yield path, i, f"{len(line)} columns; a line has at most {LINE_LIMIT}"
            if "\t" in line and path.endswith((".c", ".h", ".cu", ".py")):
                yield path, i, "a tab; indentation is four spaces"
            if line.endswith((" ", "\r")):
                yield path, i, "white space at the end of the line"
        if path.endswith((".c", ".h", ".cu")):
            for name, first, last in functions(text):
                if last - first - 1 > FUNCTION_LIMIT:
                    yield path, first, f"{name} has {last - first - 1} lines; a function has at most {FUNCTION_LIMIT}"


def descriptor_types(tree):
    found = set()
    for path in tree.c_files("include/", "src/"):
        for m in re.finditer(r"typedef struct (\w+) \{\s*GHL_DESCRIPTOR|struct (\w+) \{\s*GHL_DESCRIPTOR", tree.files[path]):
            found.add(m.group(1) or m.group(2))
    return found - {"ghl_descriptor"}


def braces(text, start):
    """The text between the brace at `start` and the one that closes it; strings and comments do not count."""
    code, depth = blank(text), 0
    for i in range(start, len(code)):
        depth += {"{": 1, "}": -1}.get(code[i], 0)
        if depth == 0:
            return text[start + 1:i]
    return text[start + 1:]


def check_descriptors(tree):
    types = descriptor_types(tree)
    if not types:
        return
    everything = "\n".join(tree.files[p] for p in tree.c_files("src/", "examples/", "tests/"))
    for path in tree.c_files("src/", "examples/"):
        text = tree.files[path]
        pattern = r"^(static )?const (%s) (\w+) = \{" % "|".join(sorted(types))
        for m in re.finditer(pattern, text, re.M):
            body, line = braces(text, m.end() - 1), line_of(text, m.start())
            kind, name = m.group(2), m.group(3)
            for member in ["name", "summary"] + (["source"] if kind in SOURCED else []):
                if not re.search(r'\.%s = (\w+|"[^"]{2,}")' % member, body):
                    yield path, line, f"{name} has no .{member}"
            if re.search(r"\.options_size\b", body) and not re.search(r"\.options = ", body):
                yield path, line, f"{name} has .options_size but no .options"
            row = r"\bROW\(%s, %s\)" % (kind, name.removeprefix(kind + "_"))
            used = len(re.findall(r"&%s\b|%s" % (name, row), everything))
            if used == 0:
                yield path, line, f"{name} stands in no table"
        for m in re.finditer(r"\bghl_option (\w+)\[\] = \{", text):
            for row in option_rows(braces(text, m.end() - 1)):
                if not re.search(r'\.help = "[^"]{4,}|\w+\(', row):
                    yield path, line_of(text, m.start()), f"a row of {m.group(1)} has no .help: {row.strip()[:60]}"


SOURCED = {"ghl_rule", "ghl_layer", "ghl_optimiser", "ghl_schedule", "ghl_model"}


def option_rows(body):
    code, depth, start = blank(body), 0, None
    for i, c in enumerate(code):
        if c == "{":
            if depth == 0:
                start = i
            depth += 1
        elif c == "}":
            depth -= 1
            if depth == 0:
                row = body[start + 1:i]
                if row.strip() not in ("0", "", "NULL"):
                    yield row


def calls(code, names):
    """(position, name) of calls of `names`; a static function that the file itself defines under such a name is its own affair."""
    own = set(re.findall(r"^static [^;={]*?\b(%s)\(" % "|".join(names), code, re.M))
    for m in re.finditer(r"(?<![\w.>])(%s)\s*\(" % "|".join(names), code):
        if m.group(1) not in own:
            yield m.start(), m.group(1)


def check_calls(tree):
    for path in tree.library():
        code = blank(tree.files[path])
        for where, name in calls(code, BANNED_CALLS):
            yield path, line_of(code, where), f"{name}(): the library never exits, prints, reads the environment or draws hidden numbers"
        for m in re.finditer(r"\b(stdout|stderr)\b", code):
            yield path, line_of(code, m.start()), f"{m.group(1)}: the library does not print; it hands lines to its host"
        if not path.startswith("src/base/"):
            for where, name in calls(code, FILE_CALLS):
                yield path, line_of(code, where), f"{name}(): files are opened and written in src/base only (base/files.h)"


def check_heads(tree):
    for path, text in tree.files.items():
        if path.endswith(SOURCES) or path in ("check", "quickstart") or text.startswith("#!"):
            if "SPDX-License-Identifier: Apache-2.0" not in "\n".join(text.split("\n")[:2]):
                yield path, 1, "no SPDX line at the head"
        if path.endswith((".c", ".h", ".cu")) and path.startswith(("src/", "include/")):
            head = re.match(r"(\s*/\*.*?\*/)+", text, re.S)
            words = re.findall(r"[A-Za-z]{2,}", head.group(0)) if head else []
            if len(words) < 8:
                yield path, 1, "the head of the file does not say what it is for"
        if path.endswith("_body.h"):
            if "Included by" not in text:
                yield path, 1, "a body has no include guard, and says in its head which files it is \"Included by\""
        elif path.endswith(".h") and path.startswith("src/"):
            guard = "GHL_" + re.sub(r"\W", "_", path[4:]).upper()
            if f"#ifndef {guard}\n#define {guard}" not in text:
                yield path, 1, f"include guard is not {guard}"


def check_words(tree):
    words = [r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b", r"\bXX" + r"X\b", r"(?<![\w./])/wo" + r"rk/", r"(?<![\w./])/ro" + r"ot\b",
             r"/tm" + r"p/ghl\b", r"[Cc]o-[Aa]uthored" + r"-[Bb]y", r"<<<<" + r"<<<", r">>>>" + r">>>"]
    pattern = re.compile("|".join(words))
    for path, text in tree.files.items():
        for m in pattern.finditer(text):
            yield path, line_of(text, m.start()), f"{m.group(0)!r} has no place in the tree"


def commands(tree):
    """Names of the command line's commands."""
    names = set()
    for path in tree.c_files("src/cli/"):
        text = tree.files[path]
        for m in re.finditer(r"^(?:static )?const ghl_command \w+ = \{", text, re.M):
            named = re.search(r'\.name = "(\w+)"', braces(text, m.end() - 1))
            if named:
                names.add(named.group(1))
    return names


def shell_lines(text):
    """(line number, command) of fenced sh blocks; lines that end in a backslash are joined."""
    for m in re.finditer(r"^```sh\n(.*?)^```", text, re.M | re.S):
        first = line_of(text, m.start(1))
        joined, start = "", first
        for i, line in enumerate(m.group(1).split("\n")):
            if not joined:
                start = first + i
            if line.endswith("\\"):
                joined += line[:-1] + " "
                continue
            joined += line
            if joined.strip() and not joined.strip().startswith("#"):
                yield start, joined.strip()
            joined = ""


def check_documents(tree):
    known = commands(tree)
    for path, text in tree.files.items():
        if not path.endswith(".md"):
            continue
        for line, command in shell_lines(text):
            for m in re.finditer(r"(?:^|[;&|(]\s*)(?:\w+=\S+ )*(?:build/)?ghl\s+([a-z]\w*)", command):
                if known and m.group(1) not in known:
                    yield path, line, f"there is no command `ghl {m.group(1)}`"
            for m in re.finditer(r"(?<![\w/.-])((?:recipes|bench|examples|docs|tests|cmake|src|include)/[\w./-]+)", command):
                if not tree.exists(m.group(1)):
                    yield path, line, f"{m.group(1)} does not exist"
            for m in re.finditer(r"^\./([\w./-]+)", command):
                if not tree.exists(m.group(1)) and not m.group(1).startswith("build"):
                    yield path, line, f"./{m.group(1)} does not exist"
        # files that are spoken of; NAME and * stand for any, and a tutorial makes its own: **The file**, `src/rule/x.c`
        made = set(re.findall(r"\*\*(?:The|A) [a-z ]+\*\*, `([^`]+)`", text))
        for m in re.finditer(r"`((?:recipes|bench|examples|docs|tests|cmake|src|include)/[^` ]*\.[a-z]+)`", text):
            if not re.search(r"NAME|[*{]", m.group(1)) and m.group(1) not in made and not tree.exists(m.group(1)):
                yield path, line_of(text, m.start()), f"{m.group(1)} does not exist"
        for m in re.finditer(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            if not os.path.exists(os.path.join(tree.root, os.path.dirname(path), m.group(1))):
                yield path, line_of(text, m.start()), f"link to {m.group(1)}, which does not exist"


def check_scripts(tree):
    for path, text in tree.files.items():
        if path.endswith(".sh") or text.startswith("#!/bin/bash"):
            bash = subprocess.run(["bash", "-n", os.path.join(tree.root, path)], capture_output=True, text=True)
            if bash.returncode:
                yield path, 1, bash.stderr.strip().split("\n")[0]
        if text.startswith("#!") and not os.access(os.path.join(tree.root, path), os.X_OK):
            yield path, 1, "begins with #! but is not executable"


CHECKS = [check_rooms, check_foreign, check_lengths, check_descriptors, check_calls, check_heads, check_words, check_documents, check_scripts]


def problems(root):
    tree = Tree(root)
    for check in CHECKS:
        for path, line, message in check(tree):
            yield check.__name__, f"{path}:{line}: {message}"
