// In every test process (`node --import`): looks for planted secrets in what children write, and in what is left in data
// folders when they are removed. What it finds, and how much it looked through, goes to the folder KUZNIA_TEST_SCAN.
import childProcess from 'node:child_process';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename, join } from 'node:path';
import { scanner } from './marker.mjs';

const folder = process.env['KUZNIA_TEST_SCAN'];
const seen = { output: 0, results: 0, files: 0, bytes: 0 };
const { appendFileSync, readFileSync, readdirSync, statSync } = fs;

/** Told at once: a process may be killed. */
function told(where, found) {
  for (const one of found) appendFileSync(join(folder, 'leaks'), `${where}: ${one}\n`);
}

function look(kind, where, look, part) {
  if (part === null || part === undefined) return;
  seen[kind]++;
  seen.bytes += part.length;
  told(where, look(part));
}

/** For what the clients of the tests are given; see client.mjs. */
globalThis.kuzniaResult = (what, result) =>
  look(
    'results',
    `${basename(process.argv[1] ?? '')}, result of ${what}`,
    scanner(),
    JSON.stringify(result) ?? '',
  );

/** Somebody else's programs, which repeat what they were given; the run that leaks on purpose. */
const notOurs = /foreign\.mjs|leaking\.ts|^glab /;

const { ChildProcess } = childProcess;
const spawn = ChildProcess.prototype.spawn;
ChildProcess.prototype.spawn = function (options) {
  const result = spawn.call(this, options);
  const what = [options.file, ...(options.args ?? []).slice(1)].map((word) =>
    basename(String(word)).slice(0, 40),
  );
  for (const [name, stream] of Object.entries({ stdout: this.stdout, stderr: this.stderr })) {
    if (!stream || notOurs.test(what.join(' '))) continue;
    const where = `${basename(process.argv[1] ?? '')}, ${name} of ${what.join(' ').slice(0, 120)}`;
    const scan = scanner();
    const push = stream.push;
    stream.push = function (part, ...more) {
      look('output', where, scan, part);
      return push.call(this, part, ...more);
    };
  }
  return result;
};

/** Written by a person, or sealed. */
const theirs = new Set(['kuznia.json', 'identity.txt', 'store.age', 'store.age.last']);
const MOST = 4_000_000;

function files(path, each) {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const below = join(path, entry.name);
    if (entry.isDirectory() && entry.name !== '.git' && entry.name !== 'node_modules') files(below, each);
    else if (entry.isFile() && !theirs.has(entry.name) && statSync(below).size < MOST) each(below);
  }
}

/** A folder that is a KUZNIA_HOME, or has one right below. */
function homes(path) {
  const isHome = (one) =>
    ['journal', 'sessions', 'secrets', 'kuznia.json'].some((name) => fs.existsSync(join(one, name)));
  if (isHome(path)) return [path];
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(path, entry.name))
    .filter(isHome);
}

function lookInto(path) {
  try {
    if (!statSync(path).isDirectory()) return;
    for (const home of homes(path)) {
      files(home, (file) =>
        look('files', `${basename(process.argv[1] ?? '')}, file ${file}`, scanner(), readFileSync(file)),
      );
    }
  } catch {
    // Gone, or never there: nothing was left.
  }
}

const { rmSync } = fs;
fs.rmSync = (path, options) => {
  if (options?.recursive) lookInto(String(path));
  return rmSync(path, options);
};
const { rm } = fs.promises;
fs.promises.rm = (path, options) => {
  if (options?.recursive) lookInto(String(path));
  return rm(path, options);
};
syncBuiltinESMExports();

process.on('exit', () => appendFileSync(join(folder, 'seen'), `${JSON.stringify(seen)}\n`));
