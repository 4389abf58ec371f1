/**
 * What runs inside QuickJS before any user code, once, when the snapshot is taken. It captures the intrinsics that
 * our side relies on, so that a program that tampers with prototypes hurts only its own call, and gives the guest
 * the few globals that ECMAScript lacks: console, timers, a seeded Math.random.
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

const capture = String.raw`
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

const results = String.raw`
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

const globals = String.raw`
const give = (name, value) => defineProperty(globalThis, name, { __proto__: null, value, writable: true, enumerable: false, configurable: true });

let room = 0;
let lost = 0;
const show = (value) => {
  switch (typeof value) {
    case 'string': return value;
    case 'function': return '[function]';
    case 'symbol': return '[symbol]';
    case 'object': break;
    default: return '' + value;
  }
  if (isPrototypeOf(refused[3][0], value)) return value.name + ': ' + value.message;
  const text = write(value, room + 1);
  if (text[0] === 'J') return slice(text, 1);
  return text[0] === 'L' ? '[an object too long to print]' : '[' + slice(text, 1) + ']';
};
const log = (...parts) => {
  if (room <= 0) { lost++; return; }
  let text = '';
  for (let i = 0; i < parts.length && text.length <= room; i++) {
    let one;
    try { one = show(parts[i]); } catch { one = '[an object that cannot be printed]'; }
    text += (i === 0 ? '' : ' ') + slice(one, 0, room + 1);
  }
  if (text.length > room) { text = slice(text, 0, room) + '…'; lost++; }
  // Every line counts for a few bytes more than its text, so that a flood of empty lines ends too.
  room -= text.length + 8;
  print(text);
};
const quiet = () => {};
give('console', {
  log, info: log, warn: log, error: log, debug: log, dir: log, table: log, trace: log,
  group: log, groupEnd: quiet, time: quiet, timeEnd: quiet, timeLog: quiet, count: quiet,
  assert: (held, ...parts) => { if (!held) log('Assertion failed:', ...parts); },
});

// Timers wait in a list sorted by due time. Under the fixed clock waiting is only a jump of this counter.
let frozen = false;
let virtual = 0;
let serial = 0;
let queue = null;
const timeNow = () => (frozen ? virtual : clockNow());
const schedule = (node) => {
  let before = null;
  let at = queue;
  while (at !== null && at.due <= node.due) { before = at; at = at.next; }
  node.next = at;
  if (before === null) queue = node; else before.next = node;
};
const timer = (run, wait, again, parts) => {
  if (typeof run !== 'function') throw new TypeErrorNow('a timer needs a function to call');
  const ms = wait > 0 ? +wait : 0;
  serial++;
  schedule({ __proto__: null, id: serial, due: timeNow() + ms, every: again ? ms || 1 : 0, run, parts, next: null });
  return serial;
};
const cancel = (id) => {
  for (let before = null, at = queue; at !== null; before = at, at = at.next) {
    if (at.id !== id) continue;
    if (before === null) queue = at.next; else before.next = at.next;
    return;
  }
};
give('setTimeout', function setTimeout(run, wait, ...parts) { return timer(run, wait, false, parts); });
give('setInterval', function setInterval(run, wait, ...parts) { return timer(run, wait, true, parts); });
give('clearTimeout', function clearTimeout(id) { cancel(id); });
give('clearInterval', function clearInterval(id) { cancel(id); });
const delay = () => {
  if (queue === null) return -1;
  const wait = queue.due - timeNow();
  return wait > 0 ? wait : 0;
};
const fire = () => {
  const node = queue;
  if (node === null) return '';
  queue = node.next;
  if (frozen && node.due > virtual) virtual = node.due;
  if (node.every > 0) { node.due = timeNow() + node.every; schedule(node); }
  try { apply(node.run, undefined, node.parts); } catch (error) { return describe(error); }
  return '';
};

// sfc32: the engine's own Math.random is seeded when the context is made, so every copy of the snapshot would
// draw the same numbers.
let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
const draw = () => {
  const sum = (((s0 + s1) | 0) + s3) | 0;
  s3 = (s3 + 1) | 0;
  s0 = s1 ^ (s1 >>> 9);
  s1 = (s2 + (s2 << 3)) | 0;
  s2 = (s2 << 21) | (s2 >>> 11);
  s2 = (s2 + sum) | 0;
  return sum >>> 0;
};
defineProperty(Math, 'random', {
  __proto__: null, writable: true, enumerable: false, configurable: true,
  value: function random() { return (draw() * 2097152 + (draw() >>> 11)) / 9007199254740992; },
});

const start = (fixed, console, a, b, c, d) => {
  frozen = fixed;
  room = console;
  s0 = a; s1 = b; s2 = c; s3 = d;
  for (let i = 0; i < 12; i++) draw();
};
const define = (text) => {
  const input = text === undefined ? undefined : parse(text);
  give('input', input);
  return input;
};
// A snippet may end with a function: then it is the function that takes the input.
const finish = async (given, input) => {
  const value = await given;
  return typeof value === 'function' ? await value(input) : value;
};
const dropped = () => lost;
`;

/** The prelude: a script whose value is a function of the host's `print`, giving the functions listed above. */
export const GUEST_SOURCE = `(function (print) {
'use strict';
${capture}${results}${globals}
return [${GUEST_FUNCTIONS.join(', ')}];
})`;
