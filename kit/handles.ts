import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { jsonOrNothing } from './json.ts';
import { otpEntry, nextCode } from './secret-otp.ts';
import { accessToken } from './secret-oauth.ts';
import { codeOf } from './secret-lock.ts';
import { secretStore } from './secret-store.ts';
import { markUsed } from './secret-used.ts';
import { registerCode, registerSecret } from './secrets.ts';
import { ToolError } from './tool.ts';

/** What a value may be used for: a code to be typed, a link to be opened, a password or token to be typed. */
type Purpose = 'two-factor' | 'link' | 'password';

/** Where and for what a field takes a secret: `{ purpose: 'two-factor', origin: 'https://gitlab.example' }`. */
export interface Use {
  purpose: Purpose;
  /** Scheme, host and port of the page or API that gets the value, as `new URL(address).origin` gives it. */
  origin: string;
}

interface Held extends Use {
  value: string;
  label: string;
  expiresAt: number;
  /** Of the handle, which ends before the code does. */
  until: number;
}

const HANDLE_MS = 2 * 60_000;
const MOST_HELD = 1000;
const ANSWER_MS = 5_000;
const LONGEST_LINE = 4096;
const MOST_CONNECTIONS = 64;
/** What sun_path of unix(7) holds on macOS, the shortest. */
const LONGEST_PATH = 103;

const handle = /^code:([0-9a-f]{12})\.([A-Za-z0-9_-]{22})$/;
const asked = z.object({
  handle: z.string(),
  purpose: z.enum(['two-factor', 'link', 'password']),
  origin: z.string(),
});
const answered = z.object({
  value: z.string().optional(),
  label: z.string().default('code'),
  expiresAt: z.number().default(0),
  refused: z.string().default('it gave no reason'),
});

const digest = (text: string) => createHash('sha256').update(text).digest('base64url');

/** Issues one-time handles, and gives their values out over a socket that only this user can reach. */
export class Handles {
  readonly #home: string;
  readonly #issuer = randomBytes(6).toString('hex');
  readonly #held = new Map<string, Held>();
  readonly #sockets = new Set<Socket>();
  readonly #now: () => number;
  #server: Promise<Server> | undefined;

  constructor(home: string, now: () => number = Date.now) {
    this.#home = home;
    this.#now = now;
  }

  /** A handle for the value: 128 random bits, good once, for 2 minutes, for this use alone. */
  async issue(value: string, { label, expiresAt, ...use }: Omit<Held, 'value' | 'until'>): Promise<string> {
    this.#server ??= this.#listen();
    await this.#server;
    const now = this.#now();
    for (const [key, { until }] of this.#held) if (until <= now) this.#held.delete(key);
    const oldest = this.#held.keys().next();
    if (this.#held.size >= MOST_HELD && !oldest.done) this.#held.delete(oldest.value);
    const secret = randomBytes(16).toString('base64url');
    // Kept by its digest: looking a guess up takes a time that says nothing about what is held.
    this.#held.set(digest(secret), { value, label, expiresAt, ...use, until: now + HANDLE_MS });
    return `code:${this.#issuer}.${secret}`;
  }

  /** The value of a handle, once; whatever comes of it, the handle is spent. Throws ToolError. */
  spend(ref: string, use: Use): Held {
    const [, issuer, secret = ''] = handle.exec(ref) ?? [];
    const key = digest(secret);
    const held = issuer === this.#issuer ? this.#held.get(key) : undefined;
    this.#held.delete(key);
    if (!held) throw refused('it was spent already, is older than 2 minutes, or never was');
    if (held.until <= this.#now()) throw refused('it is older than 2 minutes');
    if (held.origin !== use.origin) throw refused(`it was made for ${held.origin}, not for ${use.origin}`);
    if (held.purpose !== use.purpose)
      throw refused(`it was made for ${held.purpose}, not for ${use.purpose}`);
    return held;
  }

  async close(): Promise<void> {
    this.#held.clear();
    const server = await this.#server?.catch(() => undefined);
    for (const socket of this.#sockets) socket.destroy();
    if (server) await new Promise((resolve) => server.close(resolve));
    rmSync(socketPath(this.#home, this.#issuer), { force: true });
  }

  async #listen(): Promise<Server> {
    const folder = join(this.#home, 'run');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    // Where somebody made it before, with the mode that folders have.
    if (process.platform !== 'win32') chmodSync(folder, 0o700);
    const path = socketPath(this.#home, this.#issuer);
    if (Buffer.byteLength(path) > LONGEST_PATH) {
      throw new ToolError(`KUZNIA_HOME is too long a path for a socket (${path}). Set it to a shorter one.`);
    }
    const server = createServer((socket) => this.#answer(socket));
    // Made private before anyone can know its name: between bind and chmod nobody has a handle.
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
    chmodSync(path, 0o600);
    server.unref();
    // Each takes a descriptor of ours.
    server.maxConnections = MOST_CONNECTIONS;
    sweep(folder, path);
    return server;
  }

  #answer(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket)).on('error', () => socket.destroy());
    socket.setTimeout(ANSWER_MS, () => socket.destroy());
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.length > LONGEST_LINE) socket.destroy();
      if (!text.endsWith('\n')) return;
      socket.end(`${JSON.stringify(this.#reply(text))}\n`);
    });
  }

  #reply(line: string): object {
    try {
      const { handle, ...use } = asked.parse(JSON.parse(line));
      const { value, label, expiresAt } = this.spend(handle, use);
      return { value, label, expiresAt };
    } catch (error) {
      return { refused: error instanceof ToolError ? error.message : 'That is no request for a handle.' };
    }
  }
}

const refused = (why: string) =>
  new ToolError(`The code was not given out: ${why}. Get a new handle and use it at once.`);

const socketPath = (home: string, issuer: string) => join(home, 'run', `code-${issuer}.sock`);

/** Sockets of servers that were killed: nobody listens on them. */
function sweep(folder: string, own: string): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (!/^code-[0-9a-f]{12}\.sock$/.test(name) || path === own) continue;
    const probe = connect(path, () => probe.destroy());
    probe.unref();
    probe.on('error', (error) => {
      if ('code' in error && error.code === 'ECONNREFUSED') rmSync(path, { force: true });
    });
  }
}

/**
 * The value that a field stands for, at the moment it is typed or sent: a one-time handle (`code:…`), a stored secret
 * (`secret://name`) or the next code of a two-factor entry (`totp://name`), given out only to an origin that it belongs
 * to. Anything else is plain text, and comes back as it is. Throws ToolError.
 */
export async function redeem(ref: string, use: Use, home: string): Promise<string> {
  if (handle.test(ref)) return overSocket(ref, use, home);
  const [, scheme, name = ''] = /^(secret|totp):\/\/([a-z0-9][a-z0-9._-]{0,63})$/.exec(ref) ?? [];
  if (scheme === undefined) {
    if (!/^(?:code:[0-9a-f]{6,}\.|secret:\/\/|totp:\/\/)/.test(ref)) return ref;
    throw new ToolError('That reference is mistyped, and is not typed in as it stands. Copy it exactly.');
  }
  if (scheme === 'totp') {
    await otpEntry(home, name);
    await allowed(home, name, use);
    return (await nextCode(home, name)).code;
  }
  const entry = await secretStore(home).get(name);
  if (!entry || entry.kind === 'otp') {
    throw new ToolError(
      `There is no secret ${name} to be typed. A person adds it: kuznia secret add ${name} --origin ${use.origin}`,
    );
  }
  await allowed(home, name, use);
  const value = entry.kind === 'oauth' ? await accessToken(home, name) : entry.value;
  registerSecret(value, { label: name });
  markUsed(home, name);
  return value;
}

/** Refuses an origin that the person who added the secret did not name. */
export async function allowed(home: string, name: string, { origin }: Pick<Use, 'origin'>): Promise<void> {
  const entry = await secretStore(home).get(name);
  if (entry?.origins.includes(origin)) return;
  const known = entry && entry.origins.length > 0 ? `only at ${entry.origins.join(', ')}` : 'nowhere yet';
  throw new ToolError(
    `${name} may be used ${known}, not at ${origin}. If that is right, a person allows it: kuznia secret allow ${name} ${origin}`,
  );
}

async function overSocket(ref: string, use: Use, home: string): Promise<string> {
  const path = socketPath(home, handle.exec(ref)?.[1] ?? '');
  const said = answered.safeParse(jsonOrNothing(await exchange(path, { handle: ref, ...use })));
  // Killed in the middle of its answer.
  if (!said.success) throw gone();
  const answer = said.data;
  if (answer.value === undefined) throw new ToolError(answer.refused);
  registerCode(answer.value, { label: answer.label, expiresAt: answer.expiresAt });
  return answer.value;
}

const gone = () =>
  new ToolError('The server that made this handle is gone, and the code with it. Get a new handle.');

async function exchange(path: string, request: object): Promise<string> {
  for (const end = performance.now() + ANSWER_MS; ;) {
    try {
      const answer = await once(path, request);
      if (answer !== '' || performance.now() > end) return answer;
    } catch (error) {
      if (performance.now() > end || codeOf(error) !== 'EAGAIN') throw gone();
    }
    // So many ask at once that it, or the system (connect(2), EAGAIN), took no more. One that is gone refuses the next.
    await pause(10 + Math.random() * 20);
  }
}

function once(path: string, request: object): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let text = '';
    socket.setTimeout(ANSWER_MS, () => socket.destroy(new Error('no answer')));
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.length > LONGEST_LINE) socket.destroy(new Error('no answer of ours'));
    });
    socket.on('error', reject).on('end', () => resolve(text));
    socket.write(`${JSON.stringify(request)}\n`);
  });
}
