import { GUEST_GLOBALS } from './guest-globals.ts';

/**
 * What runs inside QuickJS before any user code. It captures the intrinsics that our side relies on, so that a program
 * that tampers with prototypes hurts only its own call, and gives the guest the globals that ECMAScript lacks.
 *
 * It is a string, and not a function printed with toString(), because bundlers rewrite functions.
 * `print` is the only host function in the instance; the guest never holds it, only the closure here does.
 */

/** Stack frames in this file are ours, and are left out of what the user is shown. */
export const GUEST_FILE = 'kuznia:guest';

/** Nested deeper than this is refused, in inputs and results alike: recursive readers further on would overflow. */
export const MAX_DEPTH = 256;

/** The names of the functions that the prelude evaluates to, in order. */
export const GUEST_FUNCTIONS = [
  'start',
  'define',
  'finish',
  'read',
  'describe',
  'delay',
  'fire',
  'dropped',
] as const;

/** A function of the prelude. */
export type GuestFunction = (typeof GUEST_FUNCTIONS)[number];

const CAPTURE = String.raw`
const { apply, getPrototypeOf, defineProperty } = Reflect;
const { keys } = Object;
const { isArray } = Array;
const { isFinite, isInteger } = Number;
const { isView } = ArrayBuffer;
const { stringify, parse } = JSON;
const clockNow = Date.now;
const uncurry = (method) => Function.prototype.call.bind(method);
const isPrototypeOf = uncurry(Object.prototype.isPrototypeOf);
const SetNow = Set;
const has = uncurry(Set.prototype.has);
const add = uncurry(Set.prototype.add);
const remove = uncurry(Set.prototype.delete);
const slice = uncurry(String.prototype.slice);
const test = uncurry(RegExp.prototype.exec);
const getTime = uncurry(Date.prototype.getTime);
const TypeErrorNow = TypeError;
const plain = Object.prototype;
const dates = Date.prototype;
const boxed = [
  [Number.prototype, uncurry(Number.prototype.valueOf)],
  [String.prototype, uncurry(String.prototype.valueOf)],
  [Boolean.prototype, uncurry(Boolean.prototype.valueOf)],
];
const refused = [
  [Promise.prototype, ' is a promise; await it before returning it'],
  [Map.prototype, ' is a Map, which JSON would empty; return Object.fromEntries(map) or [...map]'],
  [Set.prototype, ' is a Set, which JSON would empty; return [...set]'],
  [Error.prototype, ' is an Error, which JSON would empty; throw it, or return its message'],
  [RegExp.prototype, ' is a RegExp, which JSON would empty; return its source'],
  [ArrayBuffer.prototype, ' is an ArrayBuffer; return a string or an array of numbers'],
];
const word = /^[A-Za-z_$][\w$]*$/;
const matches = (text) => { word.lastIndex = 0; return test(word, text) !== null; };
`;

const RESULTS = String.raw`
const pathOf = (frame, key) => {
  let path = '';
  for (let at = frame, name = key, hops = 0; at !== null; name = at.key, at = at.up, hops++) {
    const short = slice('' + name, 0, 60);
    const step = at.list ? '[' + short + ']' : matches(short) ? '.' + short : '[' + stringify(short) + ']';
    path = step + path;
    if (hops === 11 && at.up !== null) { path = '…' + path; break; }
  }
  return 'output' + path;
};

// JSON text of a result, or what is wrong with it: 'J' + text, 'L' (too long), 'E' + fault, 'X' + what a getter
// threw. Iterative, so that depth costs no stack; frames have no prototype, so that setters planted on
// Object.prototype see nothing.
const write = (root, limit) => {
  const open = new SetNow();
  let out = '';
  let frame = null;
  let key = '';
  let value = root;
  let depth = 0;
  for (;;) {
    let piece;
    let entered = null;
    if (value !== null && typeof value === 'object') {
      if (isPrototypeOf(dates, value) && !isFinite(getTime(value))) {
        return 'E' + pathOf(frame, key) + ' is an invalid date; check how it was made';
      }
      const own = value.toJSON;
      if (typeof own === 'function') value = apply(own, value, ['' + key]);
    }
    if (value !== null && typeof value === 'object') {
      const proto = getPrototypeOf(value);
      if (proto !== plain && proto !== null && !isArray(value)) {
        for (let i = 0; i < refused.length; i++) {
          if (isPrototypeOf(refused[i][0], value)) return 'E' + pathOf(frame, key) + refused[i][1];
        }
        if (isView(value)) {
          return 'E' + pathOf(frame, key) + ' is binary data; return a string or Array.from(it)';
        }
        for (let i = 0; i < boxed.length; i++) {
          if (isPrototypeOf(boxed[i][0], value)) { value = boxed[i][1](value); break; }
        }
      }
    }
    switch (typeof value) {
      case 'string':
        if (value.length > limit) return 'L';
        piece = stringify(value);
        break;
      case 'number':
        if (!isFinite(value)) {
          return 'E' + pathOf(frame, key) + ' is ' + value + '; JSON has no such number, return null or a string';
        }
        piece = '' + value;
        break;
      case 'boolean':
        piece = value ? 'true' : 'false';
        break;
      case 'undefined':
        if (frame === null) return 'U';
        if (frame.list) piece = 'null';
        break;
      case 'bigint':
        return 'E' + pathOf(frame, key) + ' is a BigInt; JSON has none, return Number(it) or String(it)';
      case 'function':
        return 'E' + pathOf(frame, key) + ' is a function; call it, or leave it out';
      case 'symbol':
        return 'E' + pathOf(frame, key) + ' is a symbol; return a string';
      default:
        if (value === null) { piece = 'null'; break; }
        if (has(open, value)) return 'E' + pathOf(frame, key) + ' refers back to an object that holds it; JSON has no cycles, return ids or copies';
        if (depth === ${MAX_DEPTH}) return 'E' + pathOf(frame, key) + ' is nested more than ${MAX_DEPTH} deep; return something flatter';
        add(open, value);
        const list = isArray(value);
        const names = list ? null : keys(value);
        entered = { __proto__: null, up: frame, key, list, value, names, size: list ? value.length : names.length, next: 0, any: false };
        piece = list ? '[' : '{';
    }
    if (piece !== undefined) {
      if (frame !== null) {
        out += frame.list ? (frame.any ? ',' : '') : (frame.any ? ',' : '') + stringify(key) + ':';
        frame.any = true;
      }
      out += piece;
      if (out.length > limit) return 'L';
    }
    if (entered !== null) { frame = entered; depth++; }
    for (;;) {
      if (frame === null) return 'J' + out;
      if (frame.next < frame.size) {
        key = frame.list ? frame.next : frame.names[frame.next];
        frame.next++;
        value = frame.value[key];
        break;
      }
      out += frame.list ? ']' : '}';
      remove(open, frame.value);
      key = frame.key;
      frame = frame.up;
      depth--;
    }
  }
};

const read = (root, limit) => {
  try { return write(root, limit); } catch (error) { return 'X' + describe(error); }
};

const part = (get, limit) => {
  try {
    const text = get();
    return typeof text === 'string' ? slice(text, 0, limit) : '';
  } catch { return ''; }
};

// What was thrown, as the JSON text of [name, message, stack]. Built from single strings, because stringify of an
// array would ask Array.prototype for a toJSON.
const describe = (error) => {
  let name = '', message = '', stack = '';
  if (error !== null && (typeof error === 'object' || typeof error === 'function')) {
    name = part(() => error.name, 100);
    message = part(() => error.message, 4000);
    stack = part(() => error.stack, 8000);
    if (message === '' && !isPrototypeOf(refused[3][0], error)) {
      message = 'threw ' + part(() => slice(write(error, 2000), 1), 2000);
      name = '';
    }
  } else {
    message = 'threw ' + part(() => (typeof error === 'string' ? error : typeof error === 'symbol' ? 'a symbol' : '' + error), 4000);
  }
  return '[' + stringify(name) + ',' + stringify(message) + ',' + stringify(stack) + ']';
};
`;

/** The prelude: a script whose value is a function of the host's `print`, giving the functions listed above. */
export const GUEST_SOURCE = `(function (print) {
'use strict';
${CAPTURE}${RESULTS}${GUEST_GLOBALS}
return [${GUEST_FUNCTIONS.join(', ')}];
})`;
