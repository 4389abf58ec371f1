import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import { z } from 'zod';
import type { Ending } from '../auth-kit.ts';
import { certificates } from './mail-dovecot.ts';

/** An IMAP server that only signs in, by XOAUTH2 (developers.google.com/gmail/imap/xoauth2-protocol), and says goodbye. */
export async function xoauth2(t: Ending, folder: string, token: string) {
  certificates(folder);
  const tries: string[] = [];
  const server = createServer(
    { key: readFileSync(join(folder, 'server.key')), cert: readFileSync(join(folder, 'server.pem')) },
    (socket) => {
      socket.on('error', () => socket.destroy());
      let rest = '';
      let tag = '';
      const say = (line: string) => socket.write(`${line}\r\n`);
      const judge = (blob: string) => {
        const said = Buffer.from(blob, 'base64').toString();
        tries.push(said);
        const right = said === `user=jan@example.com\u0001auth=Bearer ${token}\u0001\u0001`;
        if (right) say(`${tag} OK [CAPABILITY IMAP4rev1 IDLE] signed in`);
        else say(`${tag} NO [AUTHENTICATIONFAILED] Invalid credentials`);
      };
      say('* OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR] ready');
      socket.setEncoding('utf8').on('data', (chunk: string) => {
        const lines = (rest + chunk).split('\r\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          const [first = '', verb = '', , blob] = line.split(' ');
          if (verb === '') judge(first);
          else {
            tag = first;
            if (verb !== 'AUTHENTICATE') {
              if (verb === 'LOGOUT') say('* BYE');
              say(`${tag} OK done`);
            } else if (blob === undefined) say('+ ');
            else judge(blob);
          }
        }
      });
    },
  ).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => void server.close());
  const { port } = z.object({ port: z.number() }).parse(server.address());
  return { host: 'localhost', port, ca: join(folder, 'ca.pem'), tries };
}
