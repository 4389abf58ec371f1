import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { quickjsRunner } from '../servers/sandbox/runner/runner.ts';
import { run, told } from './runner-kit.ts';

const runner = quickjsRunner();
after(() => runner.close());

describe('tampering hurts only the call that does it', () => {
  const cases: [string, unknown][] = [
    ['JSON.stringify = () => "[1]"; JSON.parse = null; ({ a: "s" })', { a: 's' }],
    ['Array.prototype.push = Array.prototype.join = () => { throw 1 }; [1, 2]', [1, 2]],
    [
      'Object.defineProperty(Array.prototype, 0, { set() { throw 1 } }); Object.defineProperty(Object.prototype, "up", { set() { throw 1 } }); ({ a: [1] })',
      { a: [1] },
    ],
    [
      'Object.keys = Reflect.apply = Reflect.getPrototypeOf = () => { throw 1 }; Set.prototype.has = () => true; ({ a: { b: 1 } })',
      { a: { b: 1 } },
    ],
    ['Promise.prototype.then = () => { throw 1 }; Promise.prototype.constructor = null; 5', 5],
    [
      'Object.prototype.value = Object.prototype.default = "planted"; Function.prototype.call = Function.prototype.bind = null; 6',
      6,
    ],
    ['new Proxy({ a: 1 }, { get: (o, k) => k === "a" ? "trapped" : undefined })', { a: 'trapped' }],
    ['({ get a() { return { toJSON: (key) => key } } })', { a: 'a' }],
    [
      'Object.defineProperty(globalThis, "console", { value: null }); Math.random = null; Date.now = null; 7',
      7,
    ],
    ['new Function("return this")() === globalThis', true],
    ['(() => {}).constructor.constructor("return typeof process + typeof require")()', 'undefinedundefined'],
    ['[].constructor.constructor("return Object.keys(globalThis).join()")()', ''],
  ];
  for (const [code, expected] of cases) {
    test(code.slice(0, 60), async () => {
      assert.equal(told(await run(runner, code, { input: 1 })), `ok: ${JSON.stringify(expected)}`);
    });
  }

  test('what throws while its result is read', async () => {
    assert.match(
      told(await run(runner, '({ get a() { throw new Error("gotcha") } })')),
      /^error: Error: gotcha/,
    );
    assert.match(
      told(
        await run(runner, 'throw { get message() { throw 1 }, get name() { return {} }, toString: null }'),
      ),
      /^error: threw /,
    );
    assert.match(
      told(await run(runner, 'throw new Proxy(new Error("p"), { get() { throw 2 } })')),
      /^error: threw /,
    );
    assert.match(
      told(await run(runner, '({ then(resolve, reject) { reject(new Error("thenable")) } })')),
      /^error: Error: thenable/,
    );
  });
});
