import { kuzniaHome } from '../kit/config.ts';
import { EXIT, parse, UsageError, type Command } from './terminal/io.ts';

const help = `
kuznia login: sign in to a provider of servers.auth.oauth in kuznia.json. The token is kept encrypted and refreshed;
settings name it secret://NAME.

Usage: kuznia login NAME [--out] [--json]

  --out   revoke the token and forget it
  --json  the result as one JSON object; what to do stands on stderr

Example: kuznia login gitlab
`;

export const command: Command = {
  help,
  async run(argv, io) {
    const { values, positionals } = parse(argv, {
      out: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    });
    const [name, ...more] = positionals;
    if (name === undefined || more.length > 0) throw new UsageError('A name is needed: kuznia login gitlab');
    const home = kuzniaHome(io.env);
    const { login, logout } = await import('../servers/auth/definition.ts');
    const done = (result: object, text: string) => {
      io.out(values.json ? `${JSON.stringify(result)}\n` : text);
      return EXIT.done;
    };
    if (values.out) {
      const result = await logout(home, name);
      return done({ name, ...result }, `Signed out of ${name}${result.note ? `; ${result.note}` : ''}.\n`);
    }
    const stop = new AbortController();
    process.once('SIGINT', () => stop.abort());
    await login(
      { home, env: io.env },
      name,
      ({ url, code }) =>
        io.err(`Open ${url}\n${code === undefined ? '' : `and check that it shows the code ${code}\n`}`),
      stop.signal,
    );
    return done({ name, signed_in: true }, `Signed in. Settings name the token secret://${name}\n`);
  },
};
