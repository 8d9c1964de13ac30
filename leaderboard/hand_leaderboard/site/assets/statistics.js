// Paired comparison from sums by cluster, as `hand-bench compare` makes it: clusters are drawn with
// replacement, both methods' ratios are taken of the same draw; p exchanges the methods by cluster.
"use strict";

HandBench.statistics = (() => {
  const MIN_CLUSTERS = 5;
  const RESAMPLES = 4000;

  /** Random whole numbers from a seed (mulberry32): the same in every browser. */
  function generator(seed) {
    let state = seed >>> 0;
    return () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return (t ^ (t >>> 14)) >>> 0;
    };
  }

  const draws = new Map();

  /** How often each cluster is drawn in each resample, and a sign for each: made once by number. */
  function drawn(clusters) {
    if (!draws.has(clusters)) {
      const random = generator(0x48414e44 ^ clusters);
      const counts = new Uint16Array(RESAMPLES * clusters);
      const signs = new Int8Array(RESAMPLES * clusters);
      for (let r = 0; r < RESAMPLES; r++) {
        const row = r * clusters;
        for (let k = 0; k < clusters; k++) {
          counts[row + Math.floor((random() / 4294967296) * clusters)] += 1;
          signs[row + k] = random() & 65536 ? 1 : 0;
        }
      }
      draws.set(clusters, { counts, signs });
    }
    return draws.get(clusters);
  }

  const sum = (values) => values.reduce((a, b) => a + b, 0);

  /** What `np.quantile` gives. */
  function quantile(sorted, share) {
    const at = share * (sorted.length - 1), low = Math.floor(at);
    return sorted[low] + (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]) * (at - low);
  }

  /**
   * Compare two ratios of sums ({total, weight}, by cluster).
   * Clusters where one of them has nothing are left out of both.
   * Returns null where nothing is shared; no interval with fewer than five clusters.
   */
  function paired(a, b) {
    const keep = a.weight.map((_, k) => k).filter((k) => a.weight[k] > 0 && b.weight[k] > 0);
    const n = keep.length;
    if (!n) return null;
    const pick = (values) => Float64Array.from(keep, (k) => values[k]);
    const [ta, wa, tb, wb] = [pick(a.total), pick(a.weight), pick(b.total), pick(b.weight)];
    const first = sum(ta) / sum(wa), second = sum(tb) / sum(wb);
    const result = { a: first, b: second, difference: second - first, low: null, high: null, p: null, clusters: n, same: wa.every((w, k) => w === wb[k]) };
    if (n < MIN_CLUSTERS) return result;
    const { counts, signs } = drawn(n);
    const values = new Float64Array(RESAMPLES);
    const limit = Math.abs(result.difference) * (1 - 1e-12);
    let asLarge = 0;
    for (let r = 0; r < RESAMPLES; r++) {
      let sa = 0, va = 0, sb = 0, vb = 0, xa = 0, xva = 0, xb = 0, xvb = 0;
      for (let k = 0, at = r * n; k < n; k++, at++) {
        const c = counts[at];
        sa += c * ta[k]; va += c * wa[k]; sb += c * tb[k]; vb += c * wb[k];
        if (signs[at]) { xa += ta[k]; xva += wa[k]; xb += tb[k]; xvb += wb[k]; }
        else { xa += tb[k]; xva += wb[k]; xb += ta[k]; xvb += wa[k]; }
      }
      values[r] = sb / vb - sa / va;
      if (Math.abs(xb / xvb - xa / xva) >= limit) asLarge += 1;
    }
    values.sort();
    result.low = quantile(values, 0.025);
    result.high = quantile(values, 0.975);
    result.p = (1 + asLarge) / (1 + RESAMPLES);
    return result;
  }

  return { paired, RESAMPLES };
})();
