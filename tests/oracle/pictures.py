# SPDX-License-Identifier: Apache-2.0
"""Writes tests/corpus/picture/ (small JPEG and PNG files of every kind) and tests/golden/pictures.{txt,bin}: views of them by Pillow.

    python3 tests/oracle/pictures.py

pictures.txt has a line a view: file, whether EXIF turns it, region x y width height, size width height; pictures.bin holds the RGB bytes
of the views one behind the other. A view is resize(BILINEAR, box=region, reducing_gap=None) of convert("RGB").
"""
import io
import math
import random
import struct
import zlib
from pathlib import Path

from PIL import Image, ImageOps

ROOT = Path(__file__).resolve().parent.parent
FILES = ROOT / "corpus" / "picture"
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]    # x, y, step x, step y
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}


def scene(width, height, seed=1):
    """Slopes, edges, circles and some noise, as in a photograph."""
    draw = random.Random(seed)
    discs = [(draw.random() * width, draw.random() * height, (0.1 + 0.2 * draw.random()) * min(width, height),
              [draw.randrange(256) for _ in range(3)]) for _ in range(8)]
    image = Image.new("RGB", (width, height))
    for y in range(height):
        for x in range(width):
            colour = [255 * x / width, 255 * y / height, 128 + 100 * math.sin(x / 7 + y / 11)]
            for cx, cy, radius, disc in discs:
                share = min(max(radius - math.hypot(x - cx, y - cy) + 0.5, 0), 1)
                colour = [share * d + (1 - share) * c for d, c in zip(disc, colour)]
            image.putpixel((x, y), tuple(min(max(int(c + draw.gauss(0, 3)), 0), 255) for c in colour))
    return image


def jpeg(name, image, patch=None, **options):
    data = io.BytesIO()
    image.save(data, "JPEG", **options)
    (FILES / name).write_bytes(patch(data.getvalue()) if patch else data.getvalue())


def ycck(data):
    """The Adobe segment's last byte says that the first three inks are stored as Y, Cb, Cr."""
    at = data.index(b"Adobe") + 11
    return data[:at] + b"\2" + data[at + 1:]


def exif(orientation, order):
    """A TIFF header and a directory of two entries."""
    kind = {"II": "<", "MM": ">"}[order]
    entries = struct.pack(kind + "HHIHH", 0x0100, 3, 1, 24, 0) + struct.pack(kind + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return order.encode() + struct.pack(kind + "HIH", 42, 8, 2) + entries + struct.pack(kind + "I", 0)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pack_row(samples, depth):
    """Samples as bytes, the first in the highest bits."""
    if depth == 16:
        return b"".join(struct.pack(">H", s) for s in samples)
    bits = "".join(format(s, f"0{depth}b") for s in samples)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))


def png(name, size, colour, depth, pixel, interlaced=False, extra=b""):
    """pixel(x, y): the samples of a pixel, each below 2^depth."""
    width, height = size
    passes = ADAM7 if interlaced else [(0, 0, 1, 1)]
    rows = b""
    for x0, y0, dx, dy in passes:
        if x0 >= width:
            continue
        for y in range(y0, height, dy):
            samples = [s for x in range(x0, width, dx) for s in pixel(x, y)]
            rows += b"\0" + pack_row(samples, depth)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    (FILES / name).write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def make_jpegs():
    photo = scene(96, 64)
    jpeg("444.jpg", photo, quality=90, subsampling=0)
    jpeg("422.jpg", photo, quality=90, subsampling=1)
    jpeg("420.jpg", photo, quality=85, subsampling=2)
    jpeg("progressive.jpg", photo, quality=80, progressive=True)
    jpeg("grey.jpg", photo.convert("L"), quality=85)
    jpeg("grey_progressive.jpg", photo.convert("L"), quality=85, progressive=True)
    jpeg("cmyk.jpg", photo.convert("CMYK"), quality=85)
    jpeg("ycck.jpg", Image.merge("CMYK", [*photo.convert("YCbCr").split(), photo.convert("L")]), patch=ycck, quality=85)
    jpeg("large_420.jpg", scene(416, 320, 2), quality=70)
    jpeg("large_444_progressive.jpg", scene(300, 260, 3), quality=60, subsampling=0, progressive=True)
    jpeg("large_422.jpg", scene(300, 260, 3), quality=60, subsampling=1)
    jpeg("pixel.jpg", scene(1, 1), quality=85)
    jpeg("row.jpg", scene(200, 1), quality=85)
    jpeg("column.jpg", scene(3, 150), quality=85)
    small = scene(24, 16, 4)
    for orientation in range(1, 9):
        jpeg(f"exif_{orientation}.jpg", small, quality=90, exif=b"Exif\0\0" + exif(orientation, "II" if orientation % 2 else "MM"))
    jpeg("exif_9.jpg", small, quality=90, exif=b"Exif\0\0" + exif(9, "II"))
    jpeg("exif_cut.jpg", small, quality=90, exif=b"Exif\0\0" + exif(6, "II")[:20])
    jpeg("garbage_behind.jpg", small, quality=90, patch=lambda data: data + b"garbage behind the end")


def make_pngs():
    image = scene(45, 29, 5)
    palette = [(7 * i % 256, 31 * i % 256, 255 - i) for i in range(256)]
    plte = {n: chunk(b"PLTE", bytes(c for entry in palette[:n] for c in entry)) for n in (2, 4, 11, 256)}

    def grey(depth):
        return lambda x, y: [sum(image.getpixel((x, y))) * ((1 << depth) - 1) // 765]

    def colours(depth, alpha=False):
        return lambda x, y: [c * ((1 << depth) - 1) // 255 for c in image.getpixel((x, y))] + [(x * y * 97) % (1 << depth)] * alpha

    def grey_alpha(depth):
        return lambda x, y: grey(depth)(x, y) + [(x * 977 + y) % (1 << depth)]

    def index(n):
        return lambda x, y: [(x * 3 + y * 5) % n]

    kinds = {"grey1": (GREY, 1, grey(1), b""), "grey2": (GREY, 2, grey(2), b""), "grey4": (GREY, 4, grey(4), b""), "grey8": (GREY, 8, grey(8), b""),
             "grey16": (GREY, 16, lambda x, y: [grey(16)(x, y)[0] % 400], b""),
             "grey_alpha8": (GREY_ALPHA, 8, grey_alpha(8), b""), "grey_alpha16": (GREY_ALPHA, 16, grey_alpha(16), b""),
             "rgb8": (RGB, 8, colours(8), b""), "rgb16": (RGB, 16, colours(16), b""),
             "rgb8_transparent": (RGB, 8, colours(8), chunk(b"tRNS", b"\0\1\0\2\0\3")),
             "rgba8": (RGBA, 8, colours(8, True), b""), "rgba16": (RGBA, 16, colours(16, True), b""),
             "palette1": (PALETTE, 1, index(2), plte[2]), "palette2": (PALETTE, 2, index(4), plte[4]),
             "palette4": (PALETTE, 4, index(11), plte[11]), "palette8": (PALETTE, 8, index(256), plte[256]),
             "palette8_transparent": (PALETTE, 8, index(256), plte[256] + chunk(b"tRNS", bytes(range(200))))}
    for name, (colour, depth, pixel, extra) in kinds.items():
        png(f"{name}.png", image.size, colour, depth, pixel, extra=extra)
    for name in "grey1", "grey16", "rgb8", "rgba16", "palette4":
        colour, depth, pixel, extra = kinds[name]
        png(f"{name}_interlaced.png", image.size, colour, depth, pixel, interlaced=True, extra=extra)
    png("rgb8_interlaced_tiny.png", (3, 2), RGB, 8, colours(8), interlaced=True)
    png("exif_6.png", (24, 16), RGB, 8, colours(8), extra=chunk(b"eXIf", exif(6, "MM")))
    image.save(FILES / "filtered.png", optimize=True)
    (FILES / "a_png_as.jpg").write_bytes((FILES / "palette2.png").read_bytes())


def views_of(name, width, height):
    """Regions and sizes: all of it, a part at a fraction, a part enlarged, a corner."""
    yield (0, 0, width, height), (12, 9)
    if min(width, height) < 16:
        return
    yield (width * 0.3 + 0.21, height * 0.25 + 0.4, width * 0.41, height * 0.55), (11, 13)
    yield (width * 0.5, height * 0.5, 7.5, 5), (16, 10)
    if name.startswith("large"):
        for share in 1, 0.8, 0.6, 0.45, 0.3:
            yield (width * (1 - share) * 0.6, height * (1 - share) * 0.3, width * share, height * share), (24, 19)
        return
    yield (width - 10.25, 0, 10.25, 9.5), (8, 8)


def main():
    FILES.mkdir(parents=True, exist_ok=True)
    make_jpegs()
    make_pngs()
    lines, pixels = [], b""
    for path in sorted(FILES.iterdir()):
        for orient in (False, True) if path.name.startswith("exif") else (False,):
            image = Image.open(path)
            if orient:
                image = ImageOps.exif_transpose(image)
            image = image.convert("RGB")
            for (x, y, w, h), size in views_of(path.name, *image.size):
                lines.append(f"{path.name} {int(orient)} {x!r} {y!r} {w!r} {h!r} {size[0]} {size[1]}")
                pixels += image.resize(size, Image.BILINEAR, box=(x, y, x + w, y + h), reducing_gap=None).tobytes()
    (ROOT / "golden" / "pictures.txt").write_text("\n".join(lines) + "\n")
    (ROOT / "golden" / "pictures.bin").write_bytes(pixels)


main()
