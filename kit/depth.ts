/** What is nested deeper than this no tool asks for, and most code that walks through it would run out of stack. */
export const MOST_DEPTH = 1_000;

export const TOO_DEEP = `The message is nested over ${MOST_DEPTH} levels deep. Send it flatter.`;

/** Whether a value, as JSON has them, is nested too deep; looks at no level past that. */
export function isTooDeep(value: unknown): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MOST_DEPTH) return true;
    level = level.flatMap((one) =>
      typeof one === 'object' && one !== null
        ? Object.values(one).filter((part) => typeof part === 'object')
        : [],
    );
  }
  return false;
}
