import { isObject } from '../../../kit/json.ts';
import type { TestCase } from '../registry/records.ts';

/** The first place where two JSON values differ, as a sentence; undefined when they are equal. */
export function difference(expected: unknown, got: unknown, path = 'output'): string | undefined {
  if (Object.is(expected, got) || (expected === 0 && got === 0)) return undefined;
  if (Array.isArray(expected) && Array.isArray(got)) {
    if (expected.length !== got.length) {
      return `${path} has ${got.length} elements, expected ${expected.length}: ${short(got)} instead of ${short(expected)}`;
    }
    return first(expected.map((one, i) => () => difference(one, got[i], `${path}[${i}]`)));
  }
  if (isObject(expected) && isObject(got)) {
    const missing = Object.keys(expected).find((key) => !Object.hasOwn(got, key));
    if (missing !== undefined) return `${path}.${missing} is missing; expected ${short(expected[missing])}`;
    const extra = Object.keys(got).find((key) => !Object.hasOwn(expected, key));
    if (extra !== undefined) return `${path}.${extra} is ${short(got[extra])}, but is not expected at all`;
    return first(
      Object.keys(expected).map((key) => () => difference(expected[key], got[key], `${path}.${key}`)),
    );
  }
  return `${path} is ${short(got)}, expected ${short(expected)}`;
}

/** Equality of JSON values; the order of keys does not count. */
export const equal = (a: unknown, b: unknown): boolean => difference(a, b) === undefined;

/** A value as JSON in at most 160 characters. */
export function short(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 160 ? `${text.slice(0, 150)}… (${text.length} characters)` : text;
}

/**
 * Which stub would pass these tests: a constant, the first test's output, the input itself, a constant error. Such
 * tests prove nothing about the code.
 */
export function passingStub(tests: TestCase[]): string | undefined {
  const outputs = tests.flatMap((test) => ('output' in test ? [test.output] : []));
  const errors = tests.flatMap((test) => ('error' in test ? [test.error] : []));
  if (errors.length === tests.length) return 'always throws the same error';
  if (errors.length > 0) return undefined; // no stub that returns passes a test of an error
  const [firstOutput] = outputs;
  if (outputs.every((output) => equal(output, firstOutput))) return `always returns ${short(firstOutput)}`;
  if (tests.every((test) => 'output' in test && equal(test.output, test.input)))
    return 'returns its input unchanged';
  return undefined;
}

function first(checks: (() => string | undefined)[]): string | undefined {
  for (const check of checks) {
    const found = check();
    if (found !== undefined) return found;
  }
  return undefined;
}
