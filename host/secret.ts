import { kuzniaHome } from '../kit/config.ts';
import { secretName, secretStore } from '../kit/secret-store.ts';
import { registerSecret } from '../kit/secrets.ts';
import { ToolError } from '../kit/tool.ts';
import { typed } from './terminal/hidden.ts';
import { EXIT, parse, UsageError, type Command, type Io } from './terminal/io.ts';

const help = `
kuznia secret: tokens, passwords and two-factor apps, kept encrypted in KUZNIA_HOME/secrets. Settings name them:
"token": "secret://gitlab-token". Values are typed or piped in, never given as an argument, and never shown.

Usage: kuznia secret add NAME [--origin URL]...          a password or token
       kuznia secret add NAME --totp [--qr FILE] [--origin URL]...
                                 a two-factor app: otpauth:// URI, seed, Google Authenticator export, or a QR picture
       kuznia secret add NAME --page [--totp] [--origin URL]...
                                 either of them, entered on a page of this computer that closes itself
       kuznia secret allow NAME URL                      a site where it may be typed in
       kuznia secret rotate NAME                         another value for the same name
       kuznia secret rm NAME
       kuznia secret list [--json]

  --origin URL  a site where a tool may type it in; settings need none (repeatable)
  --totp        enrol a two-factor app
  --qr FILE     its QR code as a PNG or JPEG picture
  --page        prints the address of a page for this browser, open for one entry and at most 5 minutes
  --json        the result as one JSON object

Example: pass show gitlab | kuznia secret add gitlab-token
`;

export const command: Command = {
  help,
  async run(argv, io) {
    const { values, positionals } = parse(argv, {
      origin: { type: 'string', multiple: true, default: [] },
      totp: { type: 'boolean', default: false },
      qr: { type: 'string' },
      page: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    });
    const [action = 'list', name = '', site = '', ...more] = positionals;
    const home = kuzniaHome(io.env);
    if (more.length > 0) throw new UsageError('Too many words. A value is typed or piped in: see --help.');
    if (action === 'list') return list(home, values.json, io);
    if (!['add', 'allow', 'rotate', 'rm'].includes(action)) {
      throw new UsageError(`kuznia secret ${action.slice(0, 40)}: expected add, allow, rotate, rm or list.`);
    }
    if (!secretName.test(name)) {
      throw new UsageError(
        'A name is needed: lower case letters, digits, . - and _, for example gitlab-token.',
      );
    }
    if (site !== '' && action !== 'allow') {
      // It may be the value itself: it is in the shell's history now.
      throw new UsageError(
        `A value on the command line can be read by others. Pipe it in: kuznia secret ${action} ${name}`,
      );
    }
    const origins = values.origin.map(originOf);
    const done = (result: object, text: string) => {
      io.out(values.json ? `${JSON.stringify(result)}\n` : `${text}\n`);
      return EXIT.done;
    };
    if (action === 'rm') {
      await remove(home, name);
      return done(
        { removed: name },
        `Removed ${name}. Revoke it at its service too, if it may be known to others.`,
      );
    }
    if (action === 'allow') {
      const origin = originOf(site);
      await change(home, name, ({ origins }) => ({ origins: [...new Set([...origins, origin])] }));
      return done({ allowed: origin, name }, `${name} may be used at ${origin}.`);
    }
    const totp = values.totp || values.qr !== undefined;
    if (totp && action !== 'add')
      throw new UsageError('A seed is not rotated: remove the entry and enrol the new one.');
    const kept = async (given: Given) => {
      if ('picture' in given || given.totp) return enrolled(home, name, given, origins);
      registerSecret(given.text, { label: name });
      if (action === 'add') await add(home, name, given.text, origins);
      else await change(home, name, () => ({ value: given.text }));
      const result = { [action === 'add' ? 'added' : 'rotated']: name };
      return { result, text: `Kept. Settings name it secret://${name}` };
    };
    if (values.page) {
      if (values.qr !== undefined) throw new UsageError('The picture is given on the page: leave --qr out.');
      await refuseTaken(home, name, action);
      const kinds = action === 'rotate' ? 'secret' : totp ? 'totp' : 'either';
      const { result, text } = await onPage({ name, origins, kinds, keep: kept }, io);
      return done(result, text);
    }
    const text = totp ? 'otpauth:// URI or seed (not shown): ' : `Value of ${name} (not shown): `;
    const given = values.qr === undefined ? { text: await typed(text, io), totp } : { picture: values.qr };
    const { result, text: said } = await kept(given);
    return done(result, said);
  },
};

/** What was entered: a text, or the picture of a QR code as a file or its bytes. */
type Given = { text: string; totp: boolean } | { picture: string | Uint8Array };

interface Kept {
  result: object;
  text: string;
}

async function enrolled(home: string, name: string, given: Given, origins: string[]): Promise<Kept> {
  const { enrol } = await import('../servers/auth/definition.ts');
  const added = await enrol(home, name, given, origins);
  const lines = added.map(({ name, issuer, account }) =>
    ['  totp://' + name, issuer, account].filter(Boolean).join('  '),
  );
  const open =
    origins.length > 0 && added.length === 1
      ? ''
      : '\nNo site may be given its codes yet: kuznia secret allow NAME URL';
  return { result: { added }, text: `Enrolled:\n${lines.join('\n')}${open}` };
}

/** The address stands on stderr, so that the result alone is on stdout. */
async function onPage(
  asked: {
    name: string;
    origins: string[];
    kinds: 'secret' | 'totp' | 'either';
    keep: (given: Given) => Promise<Kept>;
  },
  io: Io,
): Promise<Kept> {
  const { enterOnPage } = await import('../servers/auth/definition.ts');
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  process.once('SIGINT', onSignal);
  let kept: Kept | undefined;
  try {
    await enterOnPage({
      ...asked,
      keep: async (given) => {
        kept = await asked.keep(given).catch((error: unknown) => {
          // The page shows what a person can mend.
          throw error instanceof UsageError ? new ToolError(error.message) : error;
        });
        return kept.text;
      },
      show: (url) =>
        io.err(`Open ${url}\nin a browser of this computer. It is good for one entry, and 5 minutes.\n`),
      signal: stop.signal,
    });
  } finally {
    process.removeListener('SIGINT', onSignal);
  }
  if (!kept) throw new Error('the page closed without an entry');
  return kept;
}

/** Before somebody goes to a page for nothing. */
async function refuseTaken(home: string, name: string, action: string): Promise<void> {
  const known = await secretStore(home).get(name);
  if (action === 'add' && known) throw taken(name);
  if (action === 'rotate' && !known) throw unknown(name);
}

const taken = (name: string) =>
  new UsageError(`${name} is there already. Another value: kuznia secret rotate ${name}`);
const unknown = (name: string) => new UsageError(`There is no secret ${name}. See kuznia secret list.`);

async function list(home: string, json: boolean, io: Io): Promise<number> {
  const store = secretStore(home, io.env);
  const all = Object.entries(await store.all());
  const secrets = all
    .map(([name, { kind, origins, added, changed, expires }]) => ({
      name,
      kind,
      origins,
      added,
      changed,
      expires,
    }))
    .sort((a, b) => a.name.localeCompare(b.name));
  const kept = store.kept();
  if (json) io.out(`${JSON.stringify({ identity: kept ?? null, secrets })}\n`);
  else if (secrets.length === 0) io.out('No secret is kept yet. Add one: kuznia secret add NAME\n');
  else {
    for (const { name, kind, origins, added, changed, expires } of secrets) {
      const when = expires ? `expires ${expires}` : `since ${(changed ?? added).slice(0, 10)}`;
      io.out(
        `${name.padEnd(24)} ${kind.padEnd(7)} ${when}${origins.length > 0 ? `  ${origins.join(', ')}` : ''}\n`,
      );
    }
    io.out(
      `The key that opens them is in ${kept === 'keyring' ? "the system's keyring" : `${home}/secrets/identity.txt`}.\n`,
    );
  }
  return EXIT.done;
}

async function add(home: string, name: string, value: string, origins: string[]): Promise<void> {
  const added = new Date().toISOString();
  await secretStore(home).update((all) => {
    if (all[name]) throw taken(name);
    all[name] = { kind: 'secret', value, origins, added };
  });
}

type Entry = Awaited<ReturnType<ReturnType<typeof secretStore>['all']>>[string];

async function change(home: string, name: string, to: (entry: Entry) => Partial<Entry>): Promise<void> {
  await secretStore(home).update((all) => {
    const entry = all[name];
    if (!entry) throw unknown(name);
    const changed = to(entry);
    if (changed.value !== undefined && entry.kind !== 'secret') {
      throw new UsageError(`${name} is no plain secret: enrol it again, or kuznia login ${name}.`);
    }
    all[name] = { ...entry, ...changed, changed: new Date().toISOString() };
  });
}

async function remove(home: string, name: string): Promise<void> {
  await secretStore(home).update((all) => {
    if (!Object.hasOwn(all, name)) throw unknown(name);
    delete all[name];
  });
}

function originOf(text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
    throw new UsageError(
      `${text.slice(0, 80)}: expected the address of a site, such as https://gitlab.example`,
    );
  }
  return new URL(text).origin;
}
