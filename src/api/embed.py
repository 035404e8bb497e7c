#!/usr/bin/env python3
"""embed.py FILE NAME: writes a C header with the bytes of a file as text NAME."""
import sys

data = open(sys.argv[1], "rb").read() + b"\0"
print(f"/* Made from {sys.argv[1].rsplit('/', 1)[-1]} by embed.py. */")
print(f"static const char {sys.argv[2]}[] = {{")
for at in range(0, len(data), 20):
    print("\t" + ", ".join(str(b if b < 128 else b - 256) for b in data[at:at + 20]) + ",")
print("};")
