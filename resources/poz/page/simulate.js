"use strict";
// Who can do what with these keys: the rules of poz.simulate, on the same numbers.
// A power is {lists: [[{keys: [...], values: [...]}]]}: one set of at most 64 signers must
// reach 100 in some one group of every list. `held` is a Set of key indexes.

const THRESHOLD = 100, SIGNERS = 64;

// How few of the keys that are held reach 100 in the group, or -1. The heaviest come first.
function fewest(group, held) {
  let sum = 0, count = 0;
  for (let i = 0; i < group.keys.length && count < SIGNERS; i++) {
    if (!held.has(group.keys[i])) continue;
    sum += group.values[i];
    count++;
    if (sum >= THRESHOLD) return count;
  }
  return -1;
}

// Whether 64 keys or fewer reach 100 in both groups: best[n][a] is the greatest sum in the
// second of n keys that have the sum a in the first.
function bothFit(a, b, held) {
  const values = new Map(), row = THRESHOLD + 1;
  a.keys.forEach((k, i) => { if (held.has(k)) values.set(k, [a.values[i], 0]); });
  b.keys.forEach((k, i) => { if (held.has(k)) values.set(k, [values.has(k) ? values.get(k)[0] : 0, b.values[i]]); });
  const best = new Int32Array((SIGNERS + 1) * row).fill(-1);
  best[0] = 0;
  for (const [va, vb] of values.values()) {
    for (let i = SIGNERS * row - 1; i >= 0; i--) {
      if (best[i] < 0) continue;
      const to = row * (Math.floor(i / row) + 1) + Math.min(THRESHOLD, va + i % row);
      best[to] = Math.max(best[to], Math.min(THRESHOLD, best[i] + vb));
    }
  }
  for (let n = 0; n <= SIGNERS; n++) if (best[n * row + THRESHOLD] >= THRESHOLD) return true;
  return false;
}

function jointly(a, b, held) {
  const na = fewest(a, held), nb = fewest(b, held);
  return na > 0 && nb > 0 && (na + nb <= SIGNERS || bothFit(a, b, held));
}

// Whether who holds the keys has the power.
function can(power, held) {
  const [first, second] = power.lists;
  return second ? first.some(a => second.some(b => jointly(a, b, held)))
                : first.some(a => fewest(a, held) > 0);
}
