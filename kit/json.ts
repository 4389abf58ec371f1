/** Whether a value is an object as JSON has them: neither null nor an array. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What a text says as JSON; undefined where it is none, as an answer of a model that was cut at its length. */
export function jsonOrNothing(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * The first key that stands twice in one object of a valid JSON text, and where: `JSON.parse` takes the last without a word
 * (RFC 8259, section 4).
 */
export function repeatedKey(text: string): { key: string; at: number } | undefined {
  const open: Set<string>[] = [];
  for (const { 0: token, 1: name, index } of text.matchAll(
    /("(?:[^"\\]|\\.)*")(?=\s*:)|"(?:[^"\\]|\\.)*"|[{}]/g,
  )) {
    if (token === '{') open.push(new Set());
    else if (token === '}') open.pop();
    else if (name !== undefined) {
      const keys = open.at(-1);
      if (keys?.has(name)) return { key: name, at: index };
      keys?.add(name);
    }
  }
  return undefined;
}
