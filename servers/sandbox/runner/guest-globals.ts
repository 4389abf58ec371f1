/**
 * The globals that the prelude gives the guest beside ECMAScript's own: console, timers, a seeded Math.random,
 * TextEncoder and TextDecoder (utf-8), structuredClone, performance. The engine itself has atob, btoa, queueMicrotask.
 * quickjs-wasi's own extensions for some of these cost 0.3 ms of each instance, and its URL does not load on Node 20
 * (its binary needs extended constant expressions), so that one is left out.
 */
export const GUEST_GLOBALS = String.raw`
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

let begun = 0;
give('performance', { timeOrigin: 0, now: () => timeNow() - begun });

const start = (fixed, console, a, b, c, d) => {
  frozen = fixed;
  room = console;
  s0 = a; s1 = b; s2 = c; s3 = d;
  for (let i = 0; i < 12; i++) draw();
  begun = timeNow();
};
const define = (text, named) => {
  const input = text === undefined ? undefined : parse(text);
  if (named) give('input', input);
  return input;
};
// A snippet may end with a function: then it is the function that takes the input.
const finish = async (given, input) => {
  const value = await given;
  return typeof value === 'function' ? await value(input) : value;
};
const dropped = () => lost;

give('TextEncoder', class TextEncoder {
  get encoding() { return 'utf-8'; }
  encode(text = '') {
    const bytes = [];
    for (const char of String(text)) {
      let code = char.codePointAt(0);
      if (code >= 0xd800 && code < 0xe000) code = 0xfffd;
      if (code < 0x80) bytes.push(code);
      else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 63));
      else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
      else bytes.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
    }
    return Uint8Array.from(bytes);
  }
});

// https://encoding.spec.whatwg.org/#utf-8-decoder
give('TextDecoder', class TextDecoder {
  #fatal;
  constructor(label = 'utf-8', { fatal = false } = {}) {
    if (!/^utf-?8$/i.test(label)) throw new RangeError('TextDecoder here reads utf-8 only');
    this.#fatal = fatal;
  }
  get encoding() { return 'utf-8'; }
  get fatal() { return this.#fatal; }
  decode(source = new Uint8Array()) {
    const bytes = isView(source) ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength) : new Uint8Array(source);
    let text = '', code = 0, needed = 0, low = 0x80, high = 0xbf;
    const bad = () => {
      if (this.#fatal) throw new TypeErrorNow('the bytes are not valid utf-8');
      text += '\ufffd';
    };
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[i];
      if (needed === 0) {
        if (byte < 0x80) text += String.fromCharCode(byte);
        else if (byte >= 0xc2 && byte <= 0xdf) { needed = 1; code = byte & 31; }
        else if (byte >= 0xe0 && byte <= 0xef) {
          if (byte === 0xe0) low = 0xa0;
          if (byte === 0xed) high = 0x9f;
          needed = 2; code = byte & 15;
        } else if (byte >= 0xf0 && byte <= 0xf4) {
          if (byte === 0xf0) low = 0x90;
          if (byte === 0xf4) high = 0x8f;
          needed = 3; code = byte & 7;
        } else bad();
        continue;
      }
      const fits = byte >= low && byte <= high;
      low = 0x80; high = 0xbf;
      if (!fits) { needed = 0; bad(); i--; continue; }
      code = (code << 6) | (byte & 63);
      if (--needed === 0) text += String.fromCodePoint(code);
    }
    if (needed > 0) bad();
    return text[0] === '\ufeff' ? text.slice(1) : text;
  }
});

give('structuredClone', function structuredClone(value) {
  const seen = new Map();
  const clone = (from) => {
    if (typeof from === 'function' || typeof from === 'symbol') throw new TypeErrorNow('structuredClone cannot copy a ' + typeof from);
    if (from === null || typeof from !== 'object') return from;
    if (seen.has(from)) return seen.get(from);
    const keep = (to) => { seen.set(from, to); return to; };
    if (from instanceof Date) return keep(new Date(from.getTime()));
    if (from instanceof RegExp) return keep(new RegExp(from.source, from.flags));
    if (from instanceof ArrayBuffer) return keep(from.slice(0));
    if (from instanceof DataView) return keep(new DataView(clone(from.buffer), from.byteOffset, from.byteLength));
    if (isView(from)) return keep(new from.constructor(clone(from.buffer), from.byteOffset, from.length));
    if (from instanceof Map) {
      const to = keep(new Map());
      for (const [key, each] of from) to.set(clone(key), clone(each));
      return to;
    }
    if (from instanceof Set) {
      const to = keep(new Set());
      for (const each of from) to.add(clone(each));
      return to;
    }
    if (from instanceof Promise || from instanceof WeakMap || from instanceof WeakSet || from instanceof WeakRef) {
      throw new TypeErrorNow('structuredClone cannot copy this object');
    }
    const to = keep(isArray(from) ? new Array(from.length) : from instanceof Error ? new (globalThis[from.name] ?? Error)(from.message) : {});
    for (const key of keys(from)) to[key] = clone(from[key]);
    return to;
  };
  return clone(value);
});
`;
