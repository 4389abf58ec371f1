import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Ending } from '../auth-kit.ts';
import { real, until } from '../support.ts';

/** A real Dovecot of this test alone: TLS by a CA of its own, a Maildir, run as `nobody` where the test is root. */
export interface Mailbox {
  host: string;
  port: number;
  plainPort: number;
  /** PEM file of the CA. */
  ca: string;
  user: string;
  password: string;
  /** Puts a message in place as a mail transfer agent does; resolves when it is there. */
  deliver: (mail: Mail | string) => void;
  /** Another program of the mailbox's owner deletes everything in it. */
  empty: () => void;
  /** Flags of what is in the inbox. */
  seen: () => number;
  stop: () => Promise<void>;
  start: () => Promise<void>;
  log: () => string;
}

interface Mail {
  from?: string;
  subject?: string;
  text?: string;
  html?: string;
}

/** The message as it travels (RFC 5322). */
export function written({
  from = 'Acme <noreply@acme.example>',
  subject = 'Sign in',
  text = '',
  html,
}: Mail): string {
  const head = [
    `From: ${from}`,
    'To: jan@test.example',
    `Subject: ${subject}`,
    `Date: ${new Date().toUTCString()}`,
  ];
  const type = html === undefined ? 'text/plain' : 'text/html';
  return [
    ...head,
    `Message-ID: <${crypto.randomUUID()}@acme.example>`,
    'MIME-Version: 1.0',
    `Content-Type: ${type}; charset=utf-8`,
    '',
    html ?? text,
    '',
  ].join('\r\n');
}

export async function dovecot(t: Ending): Promise<Mailbox> {
  const folder = mkdtempSync(join(tmpdir(), 'kz-mail-'));
  const [port, plainPort] = [await freePort(), await freePort()];
  const maildir = join(folder, 'mail', 'jan');
  const root = process.getuid?.() === 0;
  const user = root ? 'nobody' : execFileSync('id', ['-un'], { encoding: 'utf8' }).trim();
  const group = execFileSync('id', ['-gn', user], { encoding: 'utf8' }).trim();
  const uid = Number(execFileSync('id', ['-u', user], { encoding: 'utf8' }));
  const gid = Number(execFileSync('id', ['-g', user], { encoding: 'utf8' }));
  for (const part of ['cur', 'new', 'tmp']) mkdirSync(join(maildir, part), { recursive: true });
  for (const part of ['run', 'state']) mkdirSync(join(folder, part));
  const password = 'kzcanary-mailbox-1';
  writeFileSync(join(folder, 'users'), `jan:{PLAIN}${password}:${uid}:${gid}::${maildir}\n`);
  certificates(folder);
  writeFileSync(
    join(folder, 'dovecot.conf'),
    `base_dir = ${folder}/run
state_dir = ${folder}/state
log_path = ${folder}/log
protocols = imap
listen = 127.0.0.1
default_internal_user = ${user}
default_internal_group = ${group}
default_login_user = ${user}
first_valid_uid = 1
mail_location = maildir:${maildir}
ssl = yes
ssl_cert = <${folder}/server.pem
ssl_key = <${folder}/server.key
disable_plaintext_auth = yes
auth_failure_delay = 0
service imap-login {
  chroot =
  inet_listener imap {
    port = ${plainPort}
  }
  inet_listener imaps {
    port = ${port}
    ssl = yes
  }
}
service anvil {
  chroot =
}
service stats {
  chroot =
}
passdb {
  driver = passwd-file
  args = ${folder}/users
}
userdb {
  driver = passwd-file
  args = ${folder}/users
}
`,
  );
  chmodSync(folder, 0o755);
  if (root) execFileSync('chown', ['-R', `${user}:${group}`, folder]);
  let child: ReturnType<typeof spawn> | undefined;
  const log = () => {
    try {
      return readFileSync(join(folder, 'log'), 'utf8');
    } catch {
      return '';
    }
  };
  const start = async () => {
    const own = root ? { uid, gid } : {};
    child = spawn(real('KUZNIA_DOVECOT'), ['-F', '-c', join(folder, 'dovecot.conf')], {
      stdio: ['ignore', 'ignore', 'inherit'],
      ...own,
    });
    await until(`Dovecot answers; ${log()}`, () => answers(port), 10_000);
  };
  const stop = async () => {
    if (!child || child.exitCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    await gone;
  };
  t.after(async () => {
    await stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  await start();
  let serial = 0;
  return {
    host: 'localhost',
    port,
    plainPort,
    ca: join(folder, 'ca.pem'),
    user: 'jan',
    password,
    start,
    stop,
    log,
    deliver(mail) {
      // cr.yp.to/proto/maildir.html: written in tmp, renamed into new.
      const name = `${Date.now()}.${process.pid}_${serial++}.test`;
      const path = join(maildir, 'tmp', name);
      writeFileSync(path, typeof mail === 'string' ? mail : written(mail));
      if (root) chownSync(path, uid, gid);
      renameSync(path, join(maildir, 'new', name));
    },
    empty() {
      for (const part of ['cur', 'new'])
        for (const name of readdirSync(join(maildir, part))) rmSync(join(maildir, part, name));
    },
    seen: () => readdirSync(join(maildir, 'cur')).filter((name) => /:2,[A-Z]*S/.test(name)).length,
  };
}

async function answers(port: number): Promise<boolean> {
  const { connect } = await import('node:tls');
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
    socket.on('data', () => (socket.destroy(), resolve(true))).on('error', () => resolve(false));
    void sleep(500).then(() => (socket.destroy(), resolve(false)));
  });
}

/** A CA, and a certificate of `localhost` by it. */
export function certificates(folder: string): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-days',
    '2',
    '-subj',
    '/CN=Test CA',
  );
  openssl('req', ...key, '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost');
  writeFileSync(join(folder, 'san'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  openssl(
    'x509',
    '-req',
    '-in',
    'server.csr',
    '-CA',
    'ca.pem',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-out',
    'server.pem',
    '-days',
    '2',
    '-extfile',
    'san',
  );
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = z.object({ port: z.number() }).parse(server.address());
  server.close();
  await once(server, 'close');
  return port;
}
