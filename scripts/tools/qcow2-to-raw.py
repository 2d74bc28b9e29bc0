#!/usr/bin/env python3
"""qcow2-to-raw.py IN OUT : the contents of a qcow2 disk (version 2 or 3) as a sparse raw file.

Reads what disk images in packages use: no backing file, no encryption, deflate-compressed
clusters. (QEMU, docs/interop/qcow2.rst)
"""

import struct
import sys
import zlib

OFFSET = 0x00FFFFFFFFFFFE00
COMPRESSED = 1 << 62
ZERO = 1


def cluster(disk, entry, bits):
    """The bytes of one cluster; None for one that holds zeros."""
    size = 1 << bits
    if entry & COMPRESSED:
        offset_bits = 62 - (bits - 8)
        offset = entry & ((1 << offset_bits) - 1)
        sectors = ((entry >> offset_bits) & ((1 << (bits - 8)) - 1)) + 1
        disk.seek(offset)
        packed = disk.read(sectors * 512 - (offset & 511))
        return zlib.decompressobj(-15).decompress(packed, size)
    if not entry & OFFSET or entry & ZERO:
        return None
    disk.seek(entry & OFFSET)
    return disk.read(size)


def main():
    with open(sys.argv[1], "rb") as disk, open(sys.argv[2], "wb") as out:
        header = disk.read(104)
        if header[:4] != b"QFI\xfb":
            sys.exit(f"{sys.argv[1]} is no qcow2 disk")
        (bits,) = struct.unpack(">I", header[20:24])
        (size,) = struct.unpack(">Q", header[24:32])
        (tables,) = struct.unpack(">I", header[36:40])
        (tables_at,) = struct.unpack(">Q", header[40:48])
        out.truncate(size)
        disk.seek(tables_at)
        position = 0
        for table in struct.unpack(f">{tables}Q", disk.read(8 * tables)):
            entries = (1 << bits) // 8
            if not table & OFFSET:
                position += entries << bits
                continue
            disk.seek(table & OFFSET)
            for entry in struct.unpack(f">{entries}Q", disk.read(8 * entries)):
                data = cluster(disk, entry, bits) if position < size else None
                if data is not None:
                    out.seek(position)
                    out.write(data[: size - position])
                position += 1 << bits


if __name__ == "__main__":
    main()
