"""A reader and verifier of POZ v0 records of its own, which answers the questions of the line
protocol of `poz conformance` about records, and has faults to switch on:

    python3 planted.py [--fault NAME]...

Python's standard library only: Ed25519 is written out below, strictly as format.md §3 asks;
what an ML-DSA-65 key has signed it does not support. It knows nothing of identity entries'
status and of warnings. Each of FAULTS is a mistake that somebody could make.
"""
import hashlib
import json
import sys

FAULTS = {
    'genesis-time': 'does not hold original_timestamp against timestamp at serial 1',
    'unsorted': 'takes lists that descend',
    'optional': 'takes any first byte of an optional but 0 for presence',
    'trailing': 'takes bytes after the last field of a section',
    'spare': 'takes a revision with a spare signature',
    'groups': 'adds up the values of all master groups',
    'former-keys': 'asks only a revision\'s own master keys',
    'interrupted': 'holds an authority against the cited and the current revision only',
    'deny-context': 'verifies a deny under the context of a grant',
    'deny-early': 'takes a deny that is older than its grant',
}
faults = set()

# Ed25519, strictly

P = 2 ** 255 - 19
L = 2 ** 252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
D2 = 2 * D % P
ROOT = pow(2, (P - 1) // 4, P)
NEUTRAL = (0, 1, 1, 0)


def add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = p[3] * D2 * q[3] % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def double(p):
    a, b, c = p[0] * p[0] % P, p[1] * p[1] % P, 2 * p[2] * p[2] % P
    h = a + b
    e = h - (p[0] + p[1]) ** 2 % P
    g = a - b
    f = c + g
    return e * f % P, g * h % P, f * g % P, e * h % P


def negative(p):
    return -p[0] % P, p[1], p[2], -p[3] % P


def table(p):
    """p, 2p … 15p, behind nothing."""
    t = [NEUTRAL, p]
    for _ in range(14):
        t.append(add(t[-1], p))
    return t


def scaled_sum(pairs):
    """The sum of n·point of `(n, table of the point)`, four bits at a time."""
    r = NEUTRAL
    for i in range(252, -4, -4):
        if r is not NEUTRAL:
            r = double(double(double(double(r))))
        for n, t in pairs:
            digit = n >> i & 15
            if digit:
                r = add(r, t[digit])
    return r


def same(p, q):
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


def point(b):
    """The point that 32 bytes are in their canonical form, or None."""
    y = int.from_bytes(b, 'little')
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= P:
        return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P == -u % P:
        x = x * ROOT % P
    if v * x * x % P != u or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


BASE = table(point(bytes([0x58]) + bytes([0x66] * 31)))
keys = {}
verified = {}


def key_table(b):
    """The table of -A of a key that is in the prime-order subgroup and not the neutral point."""
    if b not in keys:
        a = point(b)
        good = a and not same(a, NEUTRAL) and same(scaled_sum([(L, table(a))]), NEUTRAL)
        keys[b] = table(negative(a)) if good else None
    return keys[b]


def small_order(p):
    return same(double(double(double(p))), NEUTRAL)


def ed25519(key, message, signature):
    if len(signature) != 64:
        return False
    a, r = key_table(key), point(signature[:32])
    s = int.from_bytes(signature[32:], 'little')
    if a is None or r is None or s >= L or small_order(r):
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), 'little') % L
    return same(scaled_sum([(s, BASE), (k, a)]), r)


def verifies(algorithm, key, message, signature):
    if algorithm == 3:
        raise Unsupported
    what = (key, message, signature)
    if what not in verified:
        verified[what] = ed25519(*what)
    return verified[what]


def sha(*parts):
    return hashlib.sha3_256(b''.join(parts)).digest()


# Reading

class Malformed(Exception):
    pass


ZERO = bytes(32)
ZONES = {0x10: 'identity', 0x20: 'feed', 0x30: 'email', 0x40: 'auth', 0x50: 'service'}
SIGN, AGREE = 'sign', 'agree'
WHITE = set(map(chr, [0x20, 0xa0, 0x1680, *range(0x2000, 0x200b), 0x2028, 0x2029, 0x202f, 0x205f, 0x3000]))


def need(condition, why):
    if not condition:
        raise Malformed(why)


class Reader:
    """Bytes between two places; `cites` are the key indexes read, `spans` what is marked."""

    def __init__(self, b, at, end, algorithms=None):
        self.b, self.at, self.end, self.algorithms, self.cites = b, at, end, algorithms, []

    def take(self, n):
        need(self.at + n <= self.end, 'format/truncated')
        self.at += n
        return self.b[self.at - n:self.at]

    def number(self, width, low=0, high=None):
        n = int.from_bytes(self.take(width), 'big')
        need(low <= n and (high is None or n <= high), 'format/range')
        return n

    def u8(self, low=0, high=None):
        return self.number(1, low, high)

    def u16(self, low=0, high=None):
        return self.number(2, low, high)

    def u32(self, low=0, high=None):
        return self.number(4, low, high)

    def time(self):
        return self.number(8, 0, 253402300799999)

    def hash(self):
        return self.take(32)

    def bytes(self, low=0, high=65535):
        n = self.u16()
        need(low <= n <= high, 'format/length')
        return self.take(n)

    def code(self, width, codes):
        n = self.number(width)
        need(n in codes, 'format/code')
        return n

    def text(self, low, high):
        b = self.take(self.u16())
        try:
            s = b.decode('utf-8')
        except UnicodeDecodeError:
            raise Malformed('format/utf8') from None
        need(not any(c < ' ' or '\x7f' <= c <= '\x9f' for c in s), 'format/control-char')
        need(low <= len(b) <= high, 'format/length')
        return s

    def handle(self, high=255):
        s = self.text(1, high)
        need(not any(c in '@/:' or c in WHITE for c in s), 'format/handle')
        return s

    def domain(self):
        s = self.text(0, 65535)
        letters = set('abcdefghijklmnopqrstuvwxyz0123456789-')
        need(0 < len(s) <= 253 and all(
            0 < len(label) < 64 and set(label) <= letters and label[0] != '-' and label[-1] != '-'
            for label in s.split('.')), 'format/domain')
        return s

    def index(self, use=None):
        i = self.u16()
        need(i < len(self.algorithms), 'format/index')
        if use == SIGN:
            need(self.algorithms[i] != 2, 'format/key-use')
        if use == AGREE:
            need(self.algorithms[i] == 2, 'format/key-use')
        self.cites.append(i)
        return i

    def optional(self, item):
        present = self.u8()
        need(present < 2 or 'optional' in faults, 'format/optional')
        return item() if present else None

    def list(self, item, low=0, high=65535, sort=None, distinct=None, counts=None):
        """Items, with the bytes of each; sorted strictly by `sort` of (item, bytes)."""
        n = self.u16()
        need(low <= n <= high and (counts is None or n in counts), 'format/count')
        items, last, seen = [], None, set()
        for _ in range(n):
            start = self.at
            value = item()
            raw = self.b[start:self.at]
            if sort:
                key = sort(value, raw)
                need(last is None or key != last, 'format/duplicate')
                need(last is None or key > last or 'unsorted' in faults, 'format/unsorted')
                last = key
            if distinct:
                need(distinct(value) not in seen, 'format/duplicate')
                seen.add(distinct(value))
            items.append(value)
        return items

    def done(self):
        need(self.at == self.end or 'trailing' in faults, 'format/trailing')


def first(value, _):
    return value[0]


def signatures(r):
    before = r.cites
    r.cites = []
    found = r.list(lambda: (r.index(), r.bytes()), high=64, sort=first)
    r.cites = before
    return found


def foreign_signatures(r):
    return r.list(lambda: (r.u16(), r.bytes()), high=64, sort=first)


def key_map(r):
    def entry():
        algorithm, key = r.u8(), r.bytes(1, 8192)
        need(len(key) == {1: 32, 2: 32, 3: 1952}.get(algorithm, len(key)), 'format/length')
        return algorithm, key
    return r.list(entry, 1, 1024, distinct=lambda e: e)


def share(r):
    return r.u8(0, 100)


def delegation(r):
    d = r.code(2, ZONES), r.index(SIGN), share(r), share(r)
    need(d[2] + d[3], 'format/range')
    return d


def revision(r):
    start = r.at
    r.cites = []
    m = {'original': r.hash(), 'original_time': r.time(), 'hash': r.hash()}
    after = r.at
    m.update(previous=r.hash(), serial=r.u32(1), time=r.time())
    m['keys'] = r.list(lambda: (r.u8(), r.index(SIGN), r.u8(1, 100)), 1, sort=lambda v, _: v[:2])
    m['delegations'] = r.list(lambda: delegation(r), sort=lambda v, _: v[:2])
    signed = r.at
    m['cites'] = sorted(set(r.cites))
    m['signatures'] = signatures(r)
    m['raw_signatures'] = r.b[signed:r.at]
    genesis = m['serial'] == 1
    m['content'] = (ZERO if genesis else m['original']) + r.b[start + 32:start + 40] + r.b[after:signed]
    need((m['previous'] == ZERO) == genesis, 'format/consistency')
    need(not genesis or m['original_time'] == m['time'] or 'genesis-time' in faults, 'format/consistency')
    need(not genesis or m['original'] == m['hash'], 'format/consistency')
    return m


def authority(r):
    start = r.at
    r.cites = []
    a = {'revision': r.hash(), 'keys': r.list(lambda: (r.index(SIGN), share(r), share(r)), sort=first)}
    a.update(raw=r.b[start:r.at], cites=set(r.cites))
    return a


def by_encoding(_, raw):
    return raw


def body(r, zone):
    if zone == 'identity':
        def entry():
            r.code(1, [1])
            who = r.hash()
            r.domain()
            path = tuple(r.list(lambda: r.handle(63), high=8))
            handle = r.handle()
            r.hash()
            foreign_signatures(r)
            return who, path, handle
        return r.list(entry, sort=by_encoding, distinct=lambda e: e)
    if zone == 'feed':
        def chain():
            number = r.u16()
            r.list(lambda: (r.index(SIGN),), sort=first)
            r.list(lambda: (r.code(1, [1, 2, 3]), r.u32(), r.hash(), r.time()), sort=lambda v, _: (v[1], v[0]))
            return (number,)

        def feed():
            name = r.text(1, 255)
            r.hash()
            r.list(chain, 1, sort=first)
            return name
        return r.list(feed, sort=by_encoding, distinct=lambda e: e)
    if zone == 'email':
        return r.list(lambda: (r.take(16), r.text(1, 255), r.index(AGREE), r.hash()), sort=by_encoding, distinct=lambda e: e[0])
    if zone == 'auth':
        def group():
            return r.u8(), r.list(lambda: (r.index(SIGN),), sort=first, counts=[2, 4, 8])
        r.list(group, sort=first)
        return r.optional(r.hash)

    def host():
        r.domain()
        r.u16(1)
        r.code(1, [1, 2])
        r.code(1, [0, 1, 2])
        r.optional(r.hash)
        r.optional(lambda: r.index(SIGN))
        r.u16()
        r.u16()

    def service():
        name, kind = r.text(0, 255), r.code(1, [1, 2, 3, 4, 5, 6, 255])
        r.list(host, 1)
        return kind, name
    return r.list(service, sort=by_encoding, distinct=lambda e: e)


def denials(r):
    return r.list(lambda: (r.hash(), r.time(), r.u8(0, 4)), sort=first)


def zone_section(r, zone):
    r.cites = []
    start = r.at
    grant = {'serial': r.u32(1), 'time': r.time(), 'previous': r.hash()}
    body(r, zone)
    denials(r)
    grant.update(raw=r.b[start:r.at], cites=set(r.cites))
    grant['signatures'] = signatures(r)
    need((grant['serial'] == 1) == (grant['previous'] == ZERO), 'format/consistency')
    start = r.at
    deny = {'serial': r.u32(), 'time': r.time(), 'denied': denials(r)}
    deny['raw'] = r.b[start:r.at]
    deny['signatures'] = signatures(r)
    nothing = deny['serial'] == 0
    need(not nothing or deny['time'] == 0, 'format/consistency')
    need(nothing == (not deny['denied']), 'format/consistency')
    need(not nothing or not deny['signatures'], 'format/consistency')
    return grant, deny


def private_key_map(r):
    r.code(1, [1])
    memory, passes, lanes = r.u32(0, 1048576), r.u32(1, 32), r.u8(1, 16)
    r.take(16)
    r.code(1, [1])
    r.take(12)
    n = r.u32()
    need(n >= 16, 'format/length')
    r.take(n)
    need(memory >= 8 * lanes and memory * passes >= 8192, 'format/range')


def history(r):
    def item():
        inside = Reader(r.b, 0, 0, r.algorithms)
        n = r.u32()
        inside.at, inside.end = r.at, r.at + n
        r.take(n)
        found = revision(inside)
        inside.done()
        return found
    return r.list(item, 1)


def record(b):
    r = Reader(b, 0, len(b))
    need(r.take(3) == b'POZ', 'format/magic')
    need(r.u8() == 0, 'format/version')
    need(r.u32() == len(b), 'format/size')
    toc = r.list(lambda: (r.u16(), r.u32(), r.u32()), 1, 64, sort=first)
    at = r.at
    for kind, offset, length in toc:
        need(offset == at and at + length <= len(b), 'format/gap')
        at += length
    need(at == len(b), 'format/trailing')
    there = {kind for kind, _, _ in toc}
    need({0, 1} <= there, 'format/section-missing')
    need(all((z in there) == (z + 1 in there) for z in ZONES), 'format/section-pair')
    found = {'algorithms': None}
    for kind, offset, length in toc:
        r = Reader(b, offset, offset + length, found['algorithms'])
        if kind == 0:
            found['keys'] = key_map(r)
            found['algorithms'] = [a for a, _ in found['keys']]
        elif kind == 1:
            found['master'] = revision(r)
        elif kind in ZONES:
            found[kind] = authority(r)
        elif kind - 1 in ZONES:
            found[kind] = zone_section(r, ZONES[kind - 1])
        elif kind == 0x8002:
            private_key_map(r)
        elif kind == 0x8003:
            found['history'] = history(r)
        elif kind == 0x8004:
            r.list(lambda: (r.index(), r.text(1, 255)), 1, sort=first)
        else:
            continue
        r.done()
    return found


def dearmored(b):
    """The bytes of the one whole block of a text, or the bytes themselves."""
    if b[:4] == b'POZ\0':
        return b
    import base64
    import re
    text = b.decode('latin-1')
    lines = [line[:-1] if line.endswith('\r') else line for line in text.split('\n')]
    blocks, begun = [], None
    for i, line in enumerate(lines):
        if line == '-----BEGIN POZ RECORD-----':
            begun = i
        elif line == '-----END POZ RECORD-----' and begun is not None:
            blocks.append(lines[begun + 1:i])
            begun = None
    if not blocks:
        return b
    need(len(blocks) == 1, 'format/text-form')
    block = blocks[0]
    need(block and all(len(line) == 64 for line in block[:-1]) and 0 < len(block[-1]) <= 64, 'format/text-form')
    joined = ''.join(block)
    need(len(joined) % 4 == 0 and re.fullmatch('[A-Za-z0-9+/]*={0,2}', joined), 'format/text-form')
    found = base64.b64decode(joined)
    need(base64.b64encode(found).decode() == joined, 'format/text-form')
    return found


# Judging: each judgement is 'valid', 'invalid' or 'unknown', and the code of what broke

DAY = 24 * 60 * 60 * 1000


class Broken(Exception):
    pass


class Unsupported(Exception):
    pass


def rule(condition, code):
    if not condition:
        raise Broken(code)


class Record:
    def __init__(self, found, now):
        self.found, self.now = found, now
        self.keys = found['keys']
        self.chain = found.get('history', []) + [found['master']]
        self.key_hash = [sha(bytes([a]), k) for a, k in self.keys]

    def bindings(self, cites):
        return b''.join(self.key_hash[i] for i in sorted(cites))

    def check_signatures(self, context, hash, signatures):
        alien = False
        for i, signature in signatures:
            algorithm, key = self.keys[i]
            if algorithm in (1, 3):
                rule(verifies(algorithm, key, context + b'\0' + hash, signature), 'signature/bad')
            else:
                alien = True
        return ['signature/unknown-algorithm'] if alien else []

    def stray(self, signatures, named):
        for i, _ in signatures:
            rule(self.keys[i][0] != 2 and (named is None or i in named), 'signature/stray')

    def late(self, time):
        return ['time/far-future'] if time > self.now + DAY else []

    def judge_revision(self, m, parent):
        rule(m['hash'] != ZERO, 'chain/draft')
        genesis = m['serial'] == 1
        unknown = [] if parent or genesis else ['chain/history-missing']
        unknown += self.late(m['time'])
        if parent:
            rule(m['serial'] == parent['serial'] + 1, 'chain/serial')
            rule(m['previous'] == parent['hash'], 'chain/previous-hash')
            rule(m['original'] == parent['original'], 'chain/original-hash')
            rule(m['original_time'] == parent['original_time'], 'chain/original-timestamp')
            rule(m['time'] > parent['time'], 'chain/timestamp')
        bound = self.bindings(m['cites'])
        rule(m['hash'] == sha(m['content'], bound, m['raw_signatures']), 'chain/current-hash')
        signers = {i for i, _ in m['signatures']}
        lists = ([parent['keys']] if parent and 'former-keys' not in faults else []) + [m['keys']]
        named = {k for some in ([parent['keys']] if parent else []) + [m['keys']] for _, k, _ in some}
        self.stray(m['signatures'], named if parent or genesis else None)
        rule(all(enough(some, signers) for some in lists), 'survivorship/below-threshold')
        if (parent or genesis) and 'spare' not in faults:
            rule(not any(all(enough(some, signers - {i}) for some in lists) for i in signers), 'signature/spare')
        return unknown + self.check_signatures(b'POZ0 master', sha(m['content'], bound), m['signatures'])

    def judge_authority(self, code, a):
        def same(m):
            return [(k, g, d) for z, k, g, d in m['delegations'] if z == code] == a['keys']
        cited = [i for i, m in enumerate(self.chain) if m['hash'] == a['revision']]
        if cited:
            rule(same(self.chain[cited[-1]]), 'authority/not-as-authorised')
            later = self.chain[cited[-1]:]
        else:
            rule(self.chain[0]['serial'] != 1, 'authority/unknown-revision')
            later = self.chain
        if 'interrupted' in faults:
            later = later[-1:]
        rule(same(later[-1]), 'authority/not-current')
        rule(all(map(same, later)), 'authority/interrupted')
        return [] if cited else ['authority/history-missing']

    def judge_part(self, a, part, kind, context, content, cites):
        signers = {i for i, _ in part['signatures']}
        self.stray(part['signatures'], {k for k, _, _ in a['keys']})
        rule(sum(k[kind] for k in a['keys'] if k[0] in signers) >= 100, 'zone/%s-below-threshold' % ['', 'grant', 'deny'][kind])
        return self.check_signatures(context, sha(content, self.bindings(cites)), part['signatures'])

    def judge_grant(self, zone, a, grant):
        unknown = self.late(grant['time'])
        content = self.found['master']['original'] + a['raw'] + grant['raw']
        return unknown + self.judge_part(a, grant, 1, b'POZ0 %s grant' % zone, content, a['cites'] | grant['cites'])

    def judge_deny(self, zone, a, grant, deny):
        if deny['serial'] == 0:
            return []
        unknown = self.late(deny['time'])
        rule(deny['time'] >= grant['time'] or 'deny-early' in faults, 'zone/deny-timestamp')
        original = self.found['master']['original']
        hash = sha(original + a['raw'] + grant['raw'], self.bindings(a['cites'] | grant['cites']))
        context = b'POZ0 %s grant' if 'deny-context' in faults else b'POZ0 %s deny'
        return unknown + self.judge_part(a, deny, 2, context % zone, original + a['raw'] + hash + deny['raw'], a['cites'])

    def judgements(self):
        for parent, m in zip([None] + self.chain, self.chain):
            yield lambda m=m, parent=parent: self.judge_revision(m, parent)
        for code, name in ZONES.items():
            if code in self.found:
                zone, a, (grant, deny) = name.encode(), self.found[code], self.found[code + 1]
                yield lambda code=code, a=a: self.judge_authority(code, a)
                yield lambda zone=zone, a=a, grant=grant: self.judge_grant(zone, a, grant)
                yield lambda zone=zone, a=a, grant=grant, deny=deny: self.judge_deny(zone, a, grant, deny)


def enough(master_keys, signers):
    sums = {}
    for group, key, value in master_keys:
        if key in signers:
            group = 0 if 'groups' in faults else group
            sums[group] = sums.get(group, 0) + value
    return any(s >= 100 for s in sums.values())


def verdict(b, now):
    try:
        found = record(dearmored(b))
    except Malformed as e:
        return {'status': 'malformed', 'problems': [str(e)]}
    broken, unknown = set(), set()
    for judge in Record(found, now).judgements():
        try:
            unknown.update(judge())
        except Broken as e:
            broken.add(str(e))
    return {'status': 'invalid' if broken else 'unknown' if unknown else 'valid'}


def answer(line):
    target, *words = line.split(' ')
    if target != 'record':
        return {'status': 'unsupported'}
    try:
        return verdict(b'' if words[1] == '-' else bytes.fromhex(words[1]), int(words[0]))
    except Unsupported:
        return {'status': 'unsupported'}


if __name__ == '__main__':
    asked = sys.argv[1:]
    while asked:
        assert asked.pop(0) == '--fault' and asked[0] in FAULTS, FAULTS
        faults.add(asked.pop(0))
    for line in sys.stdin:
        said = answer(line.strip())
        if said['status'] == 'malformed':
            said.pop('problems')
        print(json.dumps(said), flush=True)
