import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createServer, type TLSSocket } from 'node:tls';
import { z } from 'zod';
import type { Ending } from '../auth-kit.ts';
import { certificates } from './mail-dovecot.ts';

interface Kept {
  uid: number;
  from: string;
  subject: string;
  source: string;
  arrived: Date;
}

/**
 * An IMAP server with what RFC 3501 asks for and nothing more: no IDLE, no LITERAL+, no UIDPLUS. News are told only in the
 * answer to a command (7: a server may), EXPUNGE never in one that names sequence numbers (7.4.1). `idle: 'refused'`
 * offers IDLE and answers NO to it, as servers behind a proxy that forgets their capabilities do.
 */
export async function spartan(t: Ending, folder: string, { idle }: { idle?: 'refused' } = {}) {
  certificates(folder);
  let mails: Kept[] = [];
  let nextUid = 4;
  const views = new Map<TLSSocket, { said: number[]; selected: boolean }>();
  const seen: string[] = [];
  const server = createServer(
    { key: readFileSync(join(folder, 'server.key')), cert: readFileSync(join(folder, 'server.pem')) },
    (socket) => {
      const view: { said: number[]; selected: boolean } = { said: [], selected: false };
      views.set(socket, view);
      socket.on('error', () => socket.destroy()).on('close', () => views.delete(socket));
      const say = (line: string) => socket.write(`${line}\r\n`);
      const news = () => {
        for (let i = view.said.length - 1; i >= 0; i--) {
          if (mails.some(({ uid }) => uid === view.said[i])) continue;
          say(`* ${i + 1} EXPUNGE`);
          view.said.splice(i, 1);
        }
        arrivals();
      };
      const arrivals = () => {
        const fresh = mails.filter(({ uid }) => !view.said.includes(uid));
        if (fresh.length === 0) return;
        view.said.push(...fresh.map(({ uid }) => uid));
        say(`* ${view.said.length} EXISTS`);
      };
      const fetched = (set: string, byUid: boolean, items: string) => {
        const [low = '1', high = low] = set.split(':');
        const all = byUid ? view.said : view.said.map((_, i) => i + 1);
        const last = all.at(-1) ?? 0;
        const [a, b] = [low, high].map((end) => (end === '*' ? last : Number(end)));
        // `*` is the last there is, whichever end it stands at (RFC 3501, 9: seq-range).
        const [from, to] = [Math.min(a ?? 0, b ?? 0), Math.max(a ?? 0, b ?? 0)];
        for (const [i, key] of all.entries()) {
          const mail = mails.find(({ uid }) => uid === view.said[i]);
          if (key < from || key > to || !mail) continue;
          const parts = [`UID ${mail.uid}`];
          if (items.includes('INTERNALDATE')) parts.push(`INTERNALDATE "${dateOf(mail.arrived)}"`);
          if (items.includes('ENVELOPE')) parts.push(`ENVELOPE ${envelope(mail)}`);
          const piece = /BODY(?:\.PEEK)?\[\]<0\.(\d+)>/.exec(items)?.[1];
          const body = mail.source.slice(0, Number(piece ?? 0));
          if (piece !== undefined) parts.push(`BODY[]<0> {${Buffer.byteLength(body)}}\r\n${body}`);
          say(`* ${i + 1} FETCH (${parts.join(' ')})`);
        }
      };
      say('* OK ready');
      let rest = '';
      socket.setEncoding('utf8').on('data', (chunk: string) => {
        const lines = (rest + chunk).split('\r\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          const [, tag = '', uid, verb = '', more = ''] = /^(\S+) (UID )?(\S+) ?(.*)$/.exec(line) ?? [];
          seen.push(verb.toUpperCase());
          const done = (text = 'OK done') => say(`${tag} ${text}`);
          const command = verb.toUpperCase();
          if (command === 'CAPABILITY') {
            say(`* CAPABILITY IMAP4rev1${idle ? ' IDLE' : ''}`);
            done();
          } else if (command === 'LOGIN') {
            done(
              more.includes('"right"') || more.endsWith(' right') ? 'OK in' : 'NO [AUTHENTICATIONFAILED] no',
            );
          } else if (command === 'SELECT' || command === 'EXAMINE') {
            view.said = mails.map((mail) => mail.uid);
            say('* FLAGS (\\Seen \\Deleted)');
            say(`* ${view.said.length} EXISTS`);
            say('* 0 RECENT');
            say('* OK [UIDVALIDITY 7] valid');
            // UIDNEXT is optional to tell (6.3.1: "if this is missing, the client can not make any assumptions").
            done(command === 'SELECT' ? 'OK [READ-WRITE] open' : 'OK [READ-ONLY] open');
          } else if (command === 'FETCH') {
            const [set = '', ...items] = more.split(' ');
            if (uid) news();
            fetched(set, uid !== undefined, items.join(' '));
            if (!uid) arrivals();
            done();
          } else if (command === 'NOOP') {
            news();
            done();
          } else if (command === 'IDLE') done('NO not here');
          else if (command === 'LOGOUT') {
            say('* BYE');
            done();
            socket.end();
          } else if (['LIST', 'LSUB'].includes(command)) {
            say(`* ${command} () "/" INBOX`);
            done();
          } else done('BAD unknown command');
        }
      });
    },
  ).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of views.keys()) socket.destroy();
    server.close();
  });
  const { port } = z.object({ port: z.number() }).parse(server.address());
  return {
    host: 'localhost',
    port,
    ca: join(folder, 'ca.pem'),
    seen,
    deliver(from: string, subject: string, text: string) {
      const source = `From: <${from}>\r\nSubject: ${subject}\r\n\r\n${text}\r\n`;
      mails.push({ uid: nextUid++, from, subject, source, arrived: new Date() });
    },
    /** Another program of the owner deletes the first ones. */
    expunge: (count: number) => void (mails = mails.slice(count)),
    /** As a server does that is shut down: a farewell, whatever is going on. */
    bye() {
      for (const socket of views.keys()) socket.end('* BYE shutting down\r\n');
    },
    connections: () => views.size,
  };
}

const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');

/** ` 8-Nov-2026 09:14:02 +0000`: a day of one digit is padded with a space. */
function dateOf(date: Date): string {
  const day = String(date.getUTCDate()).padStart(2, ' ');
  return `${day}-${MONTHS[date.getUTCMonth()] ?? ''}-${date.getUTCFullYear()} ${date.toISOString().slice(11, 19)} +0000`;
}

function envelope({ from, subject }: Kept): string {
  const [mailbox = '', host = ''] = from.split('@');
  const people = `((NIL NIL "${mailbox}" "${host}"))`;
  return `("Sat, 28 Nov 2026 14:05:12 +0000" "${subject}" ${people} ${people} ${people} NIL NIL NIL NIL "<1@x>")`;
}
