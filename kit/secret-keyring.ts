import { z } from 'zod';
import { command, CommandError } from './command.ts';
import { ToolError } from './tool.ts';

const SERVICE = 'kuznia';
/** A keyring that is locked asks for its password on the screen, and answers when somebody has typed it. */
const ANSWER_MS = 10_000;

/** Why the system's keyring gave or took nothing. */
export class KeyringError extends ToolError {
  override name = 'KeyringError';
  /** There is one, and a person can open it. */
  readonly locked: boolean;

  constructor(message: string, locked: boolean) {
    super(message);
    this.locked = locked;
  }
}

const answer = z.object({ value: z.string().nullish(), error: z.string().optional() });

// In a process of its own: a call that waits for a password to be typed cannot be cancelled, and its thread would keep
// ours from ending. On Linux the Secret Service, since the kernel's own keyring forgets at every start.
const program = `
const [library, service, account] = process.argv.slice(1);
let input = '';
for await (const chunk of process.stdin) input += chunk;
try {
  const { Entry } = await import(library);
  const entry = new Entry(service, account, { linux: { store: 'secret-service' } });
  if (input !== '') entry.setPassword(input);
  console.log(JSON.stringify({ value: entry.getPassword() }));
} catch (error) {
  console.log(JSON.stringify({ error: String(error.message ?? error) }));
}`;

/** What of the environment a keyring is found by. */
const NEEDED =
  /^(?:DBUS_SESSION_BUS_ADDRESS|XDG_\w+|DISPLAY|WAYLAND_DISPLAY|HOME|USER|LOGNAME|LANG|USERPROFILE|APPDATA|LOCALAPPDATA|SystemRoot|TMPDIR|TEMP)$/i;

/** Keeps the value under the account where one is given; what is kept there then, or undefined. Throws KeyringError. */
export async function inKeyring(account: string, value = ''): Promise<string | undefined> {
  const env: Record<string, string> = {};
  for (const [name, text] of Object.entries(process.env)) if (text && NEEDED.test(name)) env[name] = text;
  const library = import.meta.resolve('@napi-rs/keyring');
  let said: string;
  try {
    const args = ['--input-type=module', '-e', program, library, SERVICE, account];
    said = (await command('node', args, { input: value, deadlineMs: ANSWER_MS, env, what: 'the keyring' }))
      .stdout;
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    if (error.reason !== 'deadline') throw unreachable(error.message);
    throw new KeyringError(
      `The system's keyring gave no answer in ${ANSWER_MS / 1000} s: it may be locked and asking for its password. Unlock it, then try again.`,
      true,
    );
  }
  const { value: kept, error } = answer.parse(JSON.parse(said));
  if (error === undefined) return kept ?? undefined;
  if (/lock|dismissed|denied|not allowed|interaction/i.test(error))
    throw new KeyringError(
      `The system's keyring is locked (${error}). Unlock it (it opens when you sign in to the desktop; in a password manager for it otherwise), then try again.`,
      true,
    );
  throw unreachable(error);
}

const unreachable = (why: string) =>
  new KeyringError(
    `The system's keyring cannot be reached from here (${why}). It belongs to the desktop session: run this there, or where DBUS_SESSION_BUS_ADDRESS names its bus.`,
    false,
  );
