/** Reciprocal rank fusion (Cormack, Clarke, Buettcher 2009) takes 60 for long lists; here only eight places count. */
const K = 5;

/** Two rankings as one: what is high in either comes first, what is high in both before it. */
export function fuse(words: Map<string, number>, meanings: Map<string, number>): Map<string, number> {
  const fused = new Map<string, number>();
  for (const scores of [words, meanings]) {
    const order = [...scores].sort((a, b) => b[1] - a[1]);
    for (const [place, [id]] of order.entries()) fused.set(id, (fused.get(id) ?? 0) + 1 / (K + place + 1));
  }
  return fused;
}
