"""The arithmetic by which the store finds a key: its slot, and place and tag in there (src/store/slot.rs, hash.rs)."""

import collections

MASK = (1 << 64) - 1
SLOTS = 8192
PAGE_ENTRIES_MAX = 512

# The constant of fxhash, and that of the multiplication behind it.
FX_SEED = 0x517CC1B727220A95
GOLDEN = 0x9E3779B97F4A7C15


def random_numbers():
    """The same ones each time: xorshift."""
    state = 0x2545F4914F6CDD1D
    while True:
        state ^= state << 13 & MASK
        state ^= state >> 7
        state ^= state << 17 & MASK
        yield state


def fx_add(hashed, word):
    rotated = (hashed << 5 | hashed >> 59) & MASK
    return (rotated ^ word) * FX_SEED & MASK


def fast(key):
    """fxhash of the key's length and its bytes, folded and multiplied once more."""
    hashed = fx_add(0, len(key))
    words = len(key) // 8 * 8
    sizes = [8] * (words // 8) + ([4] if len(key) - words >= 4 else [])
    sizes += [1] * (len(key) - sum(sizes))
    at = 0
    for size in sizes:
        hashed = fx_add(hashed, int.from_bytes(key[at : at + size], "little"))
        at += size
    return (hashed ^ hashed >> 32) * GOLDEN & MASK


def colliding_key(first, number):
    """A key that begins with these eight bytes and has one fast hash: its last word undoes what those before did."""
    middle = number * GOLDEN & MASK
    hashed = 0
    for word in (24, int.from_bytes(first, "little"), middle):
        hashed = fx_add(hashed, word)
    last = ((hashed << 5 | hashed >> 59) & MASK) ^ 0x123456789ABCDEF0
    return first + middle.to_bytes(8, "little") + last.to_bytes(8, "little")


def crc_table():
    table = []
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xFFFF
        table.append(crc)
    return table


CRC_TABLE = crc_table()


def slot(key):
    begin = key.find(b"{")
    end = key.find(b"}", begin + 1)
    if begin >= 0 and end > begin + 1:
        key = key[begin + 1 : end]
    crc = 0
    for byte in key:
        crc = (crc << 8 & 0xFFFF) ^ CRC_TABLE[byte ^ crc >> 8]
    return crc % SLOTS


def slot_fill(keys):
    """How many slots have keys, and the fullest one to the mean of those."""
    counts = collections.Counter(map(slot, keys))
    return len(counts), max(counts.values()) * len(counts) / len(keys)


def compares(keys):
    """How many keys a lookup compares at most, on the mean: its own, and those of its page that have the same tag.

    A search ends when it has found its key, and pages of several groups are searched from the key's own one, so that
    fewer are compared in fact.
    """
    slots = collections.defaultdict(list)
    for key in keys:
        slots[slot(key)].append(fast(key))
    total = 0
    waiting = [(hashes, 63) for hashes in slots.values()]
    while waiting:
        hashes, bit = waiting.pop()
        if len(hashes) > PAGE_ENTRIES_MAX:
            for side in (0, 1):
                waiting.append(([hashed for hashed in hashes if hashed >> bit & 1 == side], bit - 1))
            continue
        tags = collections.Counter(max(1, hashed >> 32 & 0xFF) for hashed in hashes)
        total += sum(count * count for count in tags.values())
    return total / len(keys)
