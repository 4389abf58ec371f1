import { kuzniaHome } from '../kit/config.ts';
import { clientName, Tokens } from './gateway/tokens.ts';
import { EXIT, parse, UsageError, type Command, type Io } from './terminal/io.ts';

const help = `
kuznia token: who may come in at \`kuznia serve --http\`, each client with a token of its own. Tokens are kept as hashes
in KUZNIA_HOME/tokens.json and shown once. As soon as there is one, nobody comes in without.

Usage: kuznia token add NAME [--tools PATTERN]... [--days N]   a new token, printed on standard output
       kuznia token rotate NAME                     another one with the same tools; the one of before is refused
       kuznia token rm NAME                         its next request is refused
       kuznia token list [--json]

  --tools PATTERN  the tools it may see and call, for example "gitlab_*"; repeatable; all of them without it
  --days N         how long it lasts; for good without it
  --json           the result as one JSON object
KUZNIA_TOKEN, where it is set, may use every tool.

Example: kuznia token add ci --tools "gitlab_list_*" --tools gitlab_why_failed
`;

export const command: Command = {
  help,
  async run(argv, io) {
    const { values, positionals } = parse(argv, {
      tools: { type: 'string', multiple: true, default: [] },
      days: { type: 'string' },
      json: { type: 'boolean', default: false },
    });
    const [action = 'list', name = '', ...more] = positionals;
    if (!['add', 'rotate', 'rm', 'list'].includes(action)) {
      throw new UsageError(`kuznia token ${action.slice(0, 40)}: expected add, rotate, rm or list.`);
    }
    if (more.length > 0 || (action === 'list' && name !== '')) {
      throw new UsageError('Too many words. For example: kuznia token add ci --tools "gitlab_*"');
    }
    if (values.tools.length > 0 && action !== 'add') throw new UsageError('--tools goes with add.');
    if (values.days !== undefined && action !== 'add') throw new UsageError('--days goes with add.');
    const tokens = new Tokens(kuzniaHome(io.env));
    if (action === 'list') return list(tokens, values.json, io);
    if (!clientName.test(name)) {
      throw new UsageError('A name is needed: lower case letters, digits, . - and _, for example ci.');
    }
    if (action === 'rm') {
      if (!(await tokens.remove(name))) {
        throw new UsageError(`There is no token ${name}. See kuznia token list.`);
      }
      io.out(values.json ? `${JSON.stringify({ removed: name })}\n` : `Removed ${name}.\n`);
      return EXIT.done;
    }
    if (action === 'rotate') {
      const token = await tokens.rotate(name);
      if (token === undefined) throw new UsageError(`There is no token ${name}. See kuznia token list.`);
      if (values.json) io.out(`${JSON.stringify({ rotated: name, token })}\n`);
      else {
        io.err(`New token of ${name}; the old one is refused from now on. It is shown this once:\n`);
        io.out(`${token}\n`);
      }
      return EXIT.done;
    }
    const days = values.days === undefined ? undefined : wholeDays(values.days);
    const patterns = values.tools.map(pattern);
    const token = await tokens.add(name, patterns, days);
    if (token === undefined) {
      throw new UsageError(`${name} has a token already. For a new one: kuznia token rotate ${name}.`);
    }
    if (values.json) io.out(`${JSON.stringify({ added: name, tools: patterns, token })}\n`);
    else {
      io.err(`Token of ${name}, for ${said(patterns)}. It is shown this once:\n`);
      io.out(`${token}\n`);
    }
    return EXIT.done;
  },
};

function list(tokens: Tokens, json: boolean, io: Io): number {
  const clients = tokens.list();
  if (json) io.out(`${JSON.stringify({ clients })}\n`);
  else if (clients.length === 0) io.out('No client has a token yet. Add one: kuznia token add NAME\n');
  for (const { name, tools, added, expires, expired } of json ? [] : clients) {
    const until = expires ? `  ${expired ? 'expired' : 'until'} ${expires.slice(0, 10)}` : '';
    io.out(`${name.padEnd(20)} since ${added.slice(0, 10)}${until}  ${said(tools)}\n`);
  }
  return EXIT.done;
}

const said = (patterns: string[]) => (patterns.length === 0 ? 'all tools' : patterns.join(', '));

function wholeDays(text: string): number {
  const days = Number(text);
  if (Number.isInteger(days) && days > 0 && days <= 3_650) return days;
  throw new UsageError(
    `--days ${text.slice(0, 40)}: expected a whole number from 1 to 3650, for example 90.`,
  );
}

function pattern(text: string): string {
  if (/^[\w*.-]{1,128}$/.test(text)) return text;
  throw new UsageError(
    `--tools ${text.slice(0, 60)}: expected a tool's name, or a pattern such as "gitlab_*".`,
  );
}
